// Which steps and stages a program is made of.
#include "program/compile.h"

#include <gtest/gtest.h>

#include "bnrun/error.h"
#include "support/expect_error.h"
#include "support/session_testing.h"

namespace bnrun::testing {
namespace {

TEST(Compile, DenseChainIsOneStageAndEveryLayerOneStep) {
  const Program program = compile(prepared(graph_of(classifier())));
  ASSERT_EQ(program.stages.size(), 1U);
  ASSERT_TRUE(program.stages[0].blocks);
  EXPECT_EQ(program.stages[0].steps.size(), 4U);  // three dense layers and Softmax
  EXPECT_EQ(program.stages[0].steps[0].where, "node 'Gemm_0' (Gemm) + BatchNormalization + Relu");
  for (const Tensor& constant : program.constants) EXPECT_FALSE(constant.defined());
}

TEST(Compile, AMapBehindAnActivationThatStaysInRegistersIsPartOfTheLayer) {
  struct Case {
    const char* activation;
    std::size_t steps;
  };
  for (const auto& [activation, steps] : {Case{"Relu", 1}, Case{"LeakyRelu", 1}, Case{"Sigmoid", 2}}) {
    SCOPED_TRACE(activation);
    GraphBuilder b;
    const auto h = b.op(activation, {dense(b, b.input("x", F32, {"N", 6}), 6, 37, 1)});
    b.output(batch_normalization(b, h, 37, 2));
    const Model model = b.model();
    const Program program = compile(prepared(graph_of(model)));
    ASSERT_EQ(program.stages.size(), 1U);
    EXPECT_EQ(program.stages[0].steps.size(), steps);
    expect_like_interpret(model, {{"x", random_tensor({29, 6}, 3)}});
  }
}

TEST(Compile, AWeightThatALayerAndAnotherOperatorReadServesBoth) {
  GraphBuilder b;
  const auto x = b.input("x", F32, {"N", 6});
  const auto W = b.constant(random_tensor({6, 6}, 1), "W");
  const auto twice = b.op("MatMul", {b.op("Relu", {b.op("MatMul", {x, W})}), W});
  const auto given = b.input("z", F32, {6, 6});
  b.output(b.op("Add", {twice, b.op("MatMul", {x, b.op("Max", {given, W})})}));
  expect_like_interpret(b.model(), {{"x", random_tensor({4, 6}, 3)}, {"z", random_tensor({6, 6}, 4)}});
}

TEST(Compile, AValueReadElsewhereIsNotFusedAway) {
  GraphBuilder b;
  const auto h = dense(b, b.input("x", F32, {"N", 6}), 6, 4, 1);
  b.output(b.op("Relu", {h}));
  b.output(h);
  const Program program = compile(prepared(b.graph()));
  ASSERT_EQ(program.stages.size(), 1U);
  EXPECT_EQ(program.stages[0].steps.size(), 2U);
}

TEST(Compile, ScratchDoesNotGrowWithTheModelsDepth) {
  const auto scratch_of = [](int layers) {
    GraphBuilder b;
    auto h = b.input("x", F32, {"N", 16});
    for (int i = 0; i < layers; ++i) h = b.op("Relu", {dense(b, h, 16, 16, 1)});
    b.output(h);
    return compile(prepared(b.graph())).stages.at(0).blocks->scratch_bytes;
  };
  EXPECT_EQ(scratch_of(1), 0U);
  EXPECT_EQ(scratch_of(4), scratch_of(20));
}

TEST(Compile, UnknownOperatorIsUnsupportedAndNamed) {
  GraphBuilder b;
  b.output(b.op("Frobnicate", {b.input("x", F32, {"N", 2})}));
  const auto text = expect_error(ErrorCode::unsupported, [&] { Session{b.model()}; });
  EXPECT_NE(text.find("Frobnicate"), std::string::npos) << text;
}

}  // namespace
}  // namespace bnrun::testing
