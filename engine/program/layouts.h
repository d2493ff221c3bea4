// Where the channels lie: regions of steps that work with channels last.
#pragma once

#include <vector>

#include "program/fuse.h"
#include "program/values.h"

namespace bnrun {

/// Every step that wants its channels last gets them there, and every step behind one that can work so does as well:
/// a conversion stands only where such a region begins or ends. Each value is converted at most once each way. Values
/// with channels last are added to `values`.
std::vector<Step> choose_layouts(std::vector<FusedStep> steps, const Graph& graph, Values& values);

}  // namespace bnrun
