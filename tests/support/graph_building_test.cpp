#include "support/graph_building.h"

#include <gtest/gtest.h>

#include "api/model_access.h"
#include "verify/interpret.h"

namespace bnrun::testing {
namespace {

TEST(GraphBuilder, BuildsWhatItReads) {
  GraphBuilder b(13);
  const auto x = b.input("x", DType::float32, {"N", 2});
  const auto h = b.op("Gemm", {x, Tensor({2, 2}, std::vector<float>{1, 2, 3, 4}), ValueId{}},
                      {{"transB", std::int64_t{1}}});
  b.output(b.op("Relu", {h}));
  const Model model = b.model();
  EXPECT_EQ(to_string(graph_of(model).value(x).type), "float32[N,2]");

  // [1,-1] times the transpose of [[1,2],[3,4]] is [-1,-1]; [0,1] gives [2,4].
  const Tensor X({2, 2}, std::vector<float>{1, -1, 0, 1});
  const TensorView inputs[] = {X};
  const auto outputs = interpret(graph_of(model), inputs);
  ASSERT_EQ(outputs.size(), 1U);
  EXPECT_TRUE(identical(outputs[0], Tensor({2, 2}, std::vector<float>{0, 0, 2, 4})));
}

TEST(RandomTensor, StaysInRangeAndDependsOnTheSeed) {
  const Tensor a = random_tensor({1000}, 1, -2.0, 3.0);
  for (const float x : a.span<float>()) {
    EXPECT_GE(x, -2.0F);
    EXPECT_LE(x, 3.0F);
  }
  EXPECT_TRUE(identical(a, random_tensor({1000}, 1, -2.0, 3.0)));
  EXPECT_FALSE(identical(a, random_tensor({1000}, 2, -2.0, 3.0)));
}

}  // namespace
}  // namespace bnrun::testing
