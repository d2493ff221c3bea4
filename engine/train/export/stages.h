// A network as nodes of a graph.
#pragma once

#include <string>

#include "train/export/chain_writer.h"
#include "train/network.h"

namespace bnrun::train {

/// (x - offset) * factor, as far as that changes anything; `stem` begins the names,
/// `row` is the shape of what is scaled.
void append_scaling(ChainWriter& chain, const Scaling& scaling, const std::string& stem, const Shape& row);

/// The stages of the network but the last `left_out` of them.
void append_stages(ChainWriter& chain, const Network& network, std::size_t left_out = 0);

}  // namespace bnrun::train
