// What a report says of a map that stays: what stops each direction, and advice that fits.
#include <gtest/gtest.h>

#include <functional>

#include "support/fold_layer.h"
#include "support/fold_testing.h"

namespace bnrun {
namespace {

using namespace testing;

struct Case {
  const char* name;
  std::function<void(Layer&)> build;
  Decline reason;
  std::string detail;
};

class FoldReasons : public ::testing::TestWithParam<Case> {};

TEST_P(FoldReasons, NameWhatStopsEachDirection) {
  Layer m;
  GetParam().build(m);
  Model model = m.b.model();
  const FoldReport report = fold(model);
  ASSERT_EQ(report.entries.size(), 1U);
  EXPECT_EQ(name_of(report.entries[0].reason), name_of(GetParam().reason));
  EXPECT_EQ(report.entries[0].detail, GetParam().detail);
}

const Case kCases[] = {
    {"AnActivationOnBothSides",
     [](Layer& m) {
       const ValueId y = m.b.op("Tanh", {m.batch_normalization(m.b.op("Sigmoid", {m.gemm()}))});
       m.b.output(m.b.op("Gemm", {y, weights(), row({1, 2})}));
     },
     Decline::activation_between,
     "backward: activation_between, node 'Sigmoid_1' (Sigmoid); forward: activation_between, node 'Tanh_3' "
     "(Tanh)"},
    {"AnActivationInFrontAndAnOutputBehind",
     [](Layer& m) { m.b.output(m.batch_normalization(m.b.op("Relu", {m.gemm()}))); },
     Decline::activation_between,
     "backward: activation_between, node 'Relu_1' (Relu), a shift does not pass; "
     "forward: no_linear_neighbour, 'BatchNormalization_2_out' is read by no layer"},
    {"AScaleOfZeroInFrontOfPadding",
     [](Layer& m) {
       const ValueId image = m.b.op("Sigmoid", {m.b.input("image", DType::float32, {"N", 2, 3, 3})});
       const ValueId scaled = m.b.op("Mul", {image, Tensor({2, 1, 1}, Floats{0, 1})});
       const ValueId y = m.b.op("Add", {scaled, Tensor({2, 1, 1}, Floats{1, 1})});
       m.b.output(m.b.op("Conv", {y, random_tensor({2, 2, 3, 3}, 1)}, {{"pads", Ints{1, 1, 1, 1}}}));
     },
     Decline::padding,
     "backward: activation_between, node 'Sigmoid_0' (Sigmoid); "
     "forward: padding, node 'Conv_3' (Conv), padding is not shifted"},
    {"NoLayerAnywhere",
     [](Layer& m) { m.b.output(m.b.op("Tanh", {m.batch_normalization(m.b.op("Relu", {m.x}))})); },
     Decline::no_linear_neighbour,
     "backward: activation_between, node 'Relu_0' (Relu), a shift does not pass; "
     "forward: activation_between, node 'Tanh_2' (Tanh)"},
    {"AProductOfComputedMatrices",  // no export could write its factors down
     [](Layer& m) {
       const ValueId a = m.b.op("Sigmoid", {m.gemm()});
       const ValueId product = m.b.op("MatMul", {a, m.b.op("Transpose", {m.b.op("Exp", {m.x})})});
       m.b.output(m.b.op("Tanh", {m.b.op("Mul", {product, Tensor({}, Floats{2})})}));
     },
     Decline::activation_between,
     "backward: activation_between, node 'Sigmoid_1' (Sigmoid); forward: activation_between, node 'Tanh_6' "
     "(Tanh)"},
    {"AComputedBias",
     [](Layer& m) {
       const ValueId y = m.b.op("Gemm", {m.x, weights(), m.b.op("Sigmoid", {m.x})});
       m.b.output(m.b.op("Tanh", {m.batch_normalization(y)}));
     },
     Decline::activation_between,
     "backward: activation_between, node 'Gemm_1' (Gemm), the bias is not constant; "
     "forward: activation_between, node 'Tanh_3' (Tanh)"},
};

INSTANTIATE_TEST_SUITE_P(All, FoldReasons, ::testing::ValuesIn(kCases),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace bnrun
