// Steps -> stages: which steps a block of rows goes through in one go.
#pragma once

#include <vector>

#include "program/program.h"
#include "program/values.h"

namespace bnrun {

/// Every row-wise step joins the earliest stage that has the rows of all its inputs and wants about as many of them in a
/// block; other steps become stages of their own. A block has at most `block_rows` rows, fewer where they are long.
std::vector<Stage> group_stages(const Values& values, std::vector<Step> steps, std::int64_t block_rows);

}  // namespace bnrun
