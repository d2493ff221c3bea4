// Passes over memory that their readers save: channels put together, shifted and bounded as they are read.
#pragma once

#include <vector>

#include "program/program.h"
#include "program/values.h"

namespace bnrun {

/// Steps whose only reader can do what they do as it reads (`ReadsInParts`) become a part of it. Channels must lie last
/// where a reader wants them so.
std::vector<Step> take_in_prologues(std::vector<Step> steps, const Values& values);

}  // namespace bnrun
