// Writing what a model computed.
#pragma once

#include <ostream>
#include <span>
#include <string>

#include "bnrun/session.h"

namespace bnrun::io {

enum class Format { csv, npy, npz, json };

/// By the name's ending: .csv, .npy, .npz, .json. Throws invalid_input for another.
Format format_of(const std::string& path);

/// csv: a header and one line per row (axis 0), outputs side by side; a column has its output's name, with
///      "_0", "_1", ... when the output has several. Numbers are the shortest that read back as they were.
/// npy: the one output.
/// npz: every output under its name.
/// json: one object, output name to nested arrays; NaN and infinities, which JSON lacks, are null.
/// Throws invalid_input when the outputs do not go into the format.
void write_outputs(std::ostream& out, std::span<const NamedTensor> outputs, Format format);

}  // namespace bnrun::io
