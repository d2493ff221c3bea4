#include "verify/origin.h"

#include <gtest/gtest.h>

#include <functional>

#include "bnrun/verify.h"
#include "support/graph_building.h"

namespace bnrun {
namespace {

using namespace testing;

ValueId normalised(GraphBuilder& b, ValueId x, const std::vector<float>& mean,
                   const std::vector<float>& var) {
  const auto C = static_cast<std::int64_t>(mean.size());
  return b.op("BatchNormalization", {x, random_tensor({C}, 1), random_tensor({C}, 2),
                                     tensor<float>({C}, mean), tensor<float>({C}, var)});
}

struct OriginCase {
  std::string name;
  std::function<void(GraphBuilder&)> build;
  /// Of the first input: where its numbers lie, and what the origin says.
  std::vector<double> half;
  std::vector<double> centre;
  std::string origin;
};

TEST(Origin, InputsAreDrawnWhereTheModelSaysThatItsDataLie) {
  const std::vector<OriginCase> cases = {
      {"nothing tells",
       [](GraphBuilder& b) {
         b.output(b.op("Relu", {b.input("x", DType::float32, {"N", 2})}));
       },
       {3},
       {0},
       "-3:3"},
      {"BatchNormalization",
       [](GraphBuilder& b) {
         b.output(normalised(b, b.input("x", DType::float32, {"N", 2}), {1e6F, -4}, {4, 0.25F}));
       },
       {6, 1.5},
       {1e6, -4},
       "mean +- 3 deviations of node 'BatchNormalization_0' (BatchNormalization)"},
      {"scaler, then BatchNormalization",
       [](GraphBuilder& b) {
         const ValueId x = b.input("x", DType::float32, {"N", 2});
         b.output(normalised(b, b.op("Mul", {x, tensor<float>({1}, {0.5F})}), {1, 2}, {1, 4}));
       },
       {6, 12},
       {2, 4},
       "mean +- 3 deviations of node 'BatchNormalization_1' (BatchNormalization)"},
      {"Sub and Div",
       [](GraphBuilder& b) {
         const ValueId x = b.input("x", DType::float32, {"N", 2});
         b.output(b.op("Div", {b.op("Sub", {x, tensor<float>({2}, {48.137F, 5.3e6F})}),
                               tensor<float>({2}, {0.5F, 400.0F})}));
       },
       {1.5, 1200},
       {static_cast<double>(48.137F), 5.3e6},
       "what node 'Div_1' (Div) scales to +-3"},
      {"behind a Transpose",
       [](GraphBuilder& b) {
         const ValueId x = b.input("x", DType::float32, {"N", 5, 2});
         const ValueId moved = b.op("Transpose", {x}, {{"perm", std::vector<std::int64_t>{0, 2, 1}}});
         b.output(normalised(b, moved, {7, 8}, {1, 1}));
       },
       {3, 3},
       {7, 8},
       "mean +- 3 deviations of node 'BatchNormalization_1' (BatchNormalization)"},
      {"its part of a Concat",
       [](GraphBuilder& b) {
         const ValueId x = b.input("x", DType::float32, {"N", 1});
         const ValueId z = b.input("z", DType::float32, {"N", 1});
         b.output(normalised(b, b.op("Concat", {z, x}, {{"axis", std::int64_t{1}}}), {7, 8}, {1, 4}));
       },
       {6},
       {8},
       "mean +- 3 deviations of node 'BatchNormalization_1' (BatchNormalization)"},
      {"bytes divided by 255",
       [](GraphBuilder& b) {
         const ValueId x = b.input("x", DType::float32, {"N", 2, 4, 4});
         b.output(normalised(b, b.op("Div", {x, tensor<float>({1}, {255.0F})}), {0.5F, 0.5F}, {1, 1}));
       },
       {127.5},
       {127.5},
       "0:255, for node 'Div_0' (Div) scales bytes"},
      {"bytes around their middle",
       [](GraphBuilder& b) {
         const ValueId x = b.input("x", DType::float32, {"N", 2, 4, 4});
         b.output(
             b.op("Mul", {b.op("Sub", {x, tensor<float>({1}, {127.5F})}), tensor<float>({1}, {1 / 128.0F})}));
       },
       {127.5},
       {127.5},
       "0:255, for node 'Mul_1' (Mul) scales bytes"},
      {"a scale of zero tells nothing of its channel",
       [](GraphBuilder& b) {
         b.output(b.op("Mul", {b.input("x", DType::float32, {"N", 2}), tensor<float>({2}, {0.0F, 2.0F})}));
       },
       {3, 1.5},
       {0, 0},
       "what node 'Mul_0' (Mul) scales to +-3"},
  };
  for (const OriginCase& c : cases) {
    SCOPED_TRACE(c.name);
    GraphBuilder b;
    c.build(b);
    const auto sources = sources_of(b.graph(), std::nullopt);
    const auto index = b.graph().value(b.graph().inputs()[0]).name == "x" ? 0U : 1U;
    EXPECT_EQ(sources[index].origin, c.origin);
    const ChannelAffine& spread = sources[index].spread;
    ASSERT_EQ(spread.channels(), c.half.size());
    for (std::size_t i = 0; i < c.half.size(); ++i) {
      EXPECT_NEAR(spread.scale[i], c.half[i], 1e-4 * c.half[i]);
      EXPECT_NEAR(spread.shift[i], c.centre[i], 1e-4 * (1 + std::abs(c.centre[i])));
    }
    EXPECT_EQ(sources_of(b.graph(), InputRange{0, 2})[index].origin, "0:2");
  }
}

TEST(Origin, AValueIsVisitedOnceHoweverManyWaysLeadToIt) {
  GraphBuilder b;
  ValueId h = b.input("x", DType::float32, {"N", 2});
  for (int i = 0; i < 60; ++i) h = b.op("Add", {h, h});
  b.output(normalised(b, h, {7, 8}, {1, 1}));
  EXPECT_EQ(sources_of(b.graph(), std::nullopt).size(), 1U);
}

TEST(Origin, AChainMayBeLong) {
  GraphBuilder b;
  ValueId h = b.input("x", DType::float32, {"N", 2});
  for (int i = 0; i < 30'000; ++i)
    h = b.op("Relu", {b.op("Transpose", {h}, {{"perm", std::vector<std::int64_t>{0, 1}}})});
  b.output(b.op("Mul", {h, tensor<float>({1}, {2.0F})}));
  EXPECT_EQ(sources_of(b.graph(), std::nullopt).size(), 1U);
}

}  // namespace
}  // namespace bnrun
