// A model's operators as a picture.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bnrun/inspect.h"

namespace bnrun {

/// One box for each layer, from top to bottom in the order in which they run, as SVG of a width that a small screen has:
/// lines lead from each to those that read it, past others in lanes at the left. `style` gives the class of a box.
/// Layers beyond some hundred are counted, not drawn.
std::string graph_picture(const std::vector<LayerInfo>& layers,
                          const std::function<std::string(const LayerInfo&)>& style);

}  // namespace bnrun
