// What tells the operators of one factory apart, for the reduction family.
#pragma once

#include <memory>

#include "op/attribute_reader.h"
#include "op/op.h"

namespace bnrun {

enum class ArgExtremeKind { max, min };

enum class ClassLossKind { negative_log_likelihood, softmax_cross_entropy };

enum class ReduceKind { sum, mean, prod, max, min, l1, l2, sum_square, log_sum, log_sum_exp };

std::unique_ptr<const Op> make_arg_extreme(AttributeReader& node, ArgExtremeKind kind);
std::unique_ptr<const Op> make_class_loss(AttributeReader& node, ClassLossKind kind);
std::unique_ptr<const Op> make_reduce(AttributeReader& node, ReduceKind kind);

}  // namespace bnrun
