// One operator on given tensors, as a test sees it:
//   const auto Y = run_op("Softmax", 13, {X}, {{"axis", -1}}).at(0);
//   expect_close(Y, tensor<float>({2}, {0.5F, 0.5F}));
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bnrun/error.h"
#include "bnrun/tensor.h"
#include "op/op.h"
#include "support/expect_error.h"
#include "support/tensors.h"

namespace bnrun::testing {

/// The operator of a node with that many inputs and outputs. Throws what make_op throws; an operator that the
/// table lacks is `unsupported`.
std::shared_ptr<const Op> op_of(const std::string& op_type, std::int64_t opset, std::size_t inputs,
                                const Attributes& attributes = {}, std::size_t outputs = 1,
                                const std::string& domain = "");

/// Runs an operator through `evaluate`; an undefined Tensor among the inputs is an absent optional input.
/// Expects on the way that `infer` allows the types and shapes that came out also when it knows less: every
/// extent a symbol, or no shape at all.
std::vector<Tensor> run_op(const std::string& op_type, std::int64_t opset, const std::vector<Tensor>& inputs,
                           const Attributes& attributes = {}, std::size_t outputs = 1,
                           const std::string& domain = "");

/// The code of the Error that running it throws; fails the test when it throws none.
ErrorCode run_op_error(const std::string& op_type, std::int64_t opset, const std::vector<Tensor>& inputs,
                       const Attributes& attributes = {}, std::size_t outputs = 1);

}  // namespace bnrun::testing
