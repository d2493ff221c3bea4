#include "verify/sizes.h"

#include <gtest/gtest.h>

#include <functional>

#include "bnrun/error.h"
#include "bnrun/verify.h"
#include "support/expect_error.h"
#include "support/graph_building.h"

namespace bnrun {
namespace {

using namespace testing;
using Ints = std::vector<std::int64_t>;

struct SizesCase {
  std::string name;
  std::function<void(GraphBuilder&)> build;
  Shape shape;  ///< of the first set drawn
};

/// x -> Conv with so many strides along both axes -> y
ValueId shrunk(GraphBuilder& b, ValueId x, std::int64_t strides) {
  return b.op("Conv", {x, random_tensor({2, 1, strides, strides}, 1)}, {{"strides", Ints{strides, strides}}});
}

TEST(OpenSizes, AreFoundWhereTheModelRuns) {
  const std::vector<SizesCase> cases = {
      {"any size",
       [](GraphBuilder& b) {
         b.output(shrunk(b, b.input("x", DType::float32, {"N", 1, "H", "W"}), 1));
       },
       {1, 1, 5, 5}},
      {"two images halved and added up need an even size",
       [](GraphBuilder& b) {
         const ValueId x = b.input("x", DType::float32, {"N", 1, "H", "W"});
         const ValueId half = b.op("MaxPool", {x}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}});
         const ValueId whole =
             b.op("Resize", {half, ValueId{}, tensor<float>({4}, {1.0F, 1.0F, 2.0F, 2.0F})});
         b.output(b.op("Add", {x, whole}));
       },
       {1, 1, 32, 32}},
      {"the width of a Gemm behind Flatten",
       [](GraphBuilder& b) {
         const ValueId h = shrunk(b, b.input("x", DType::float32, {"N", 1, "H", "W"}), 4);
         b.output(b.op("Gemm", {b.op("Flatten", {h}), random_tensor({2 * 7 * 7, 3}, 2)}));
       },
       {1, 1, 28, 28}},
      {"a line of text: a height that becomes 1, a width that does not matter",
       [](GraphBuilder& b) {
         const ValueId x = b.input("x", DType::float32, {"N", 1, "H", "W"});
         const ValueId h = b.op("Conv", {x, random_tensor({2, 1, 48, 3}, 1)});
         b.output(b.op("Reshape", {h, tensor<std::int64_t>({3}, {0, 2, -1})}));
       },
       {1, 1, 48, 48}},
      {"a height and a width of their own",
       [](GraphBuilder& b) {
         const ValueId h = shrunk(b, b.input("x", DType::float32, {"N", 1, "H", "W"}), 16);
         b.output(b.op("Concat", {h, random_tensor({1, 2, 3, 12}, 2)}, {{"axis", std::int64_t{1}}}));
       },
       {1, 1, 48, 192}},
      {"samples of sound in one row",
       [](GraphBuilder& b) {
         const ValueId x = b.input("x", DType::float32, {"N", "samples"});
         const ValueId frames = b.op("Unsqueeze", {x, tensor<std::int64_t>({1}, {1})});
         b.output(b.op("Conv", {frames, random_tensor({4, 1, 400}, 1)}, {{"strides", Ints{160}}}));
       },
       {1, 400}},
      {"a batch declared open of exactly one row",
       [](GraphBuilder& b) {
         const ValueId x = b.input("x", DType::float32, {"N", 3, 4});
         b.output(b.op(
             "Gemm", {b.op("Reshape", {x, tensor<std::int64_t>({2}, {1, 12})}), random_tensor({12, 2}, 1)}));
       },
       {1, 3, 4}},
      {"a batch of exactly two rows",
       [](GraphBuilder& b) {
         const ValueId x = b.input("x", DType::float32, {"N", 4});
         b.output(b.op("Reshape", {x, tensor<std::int64_t>({2}, {4, 2})}));
       },
       {2, 4}},
      {"a batch of exactly six rows",
       [](GraphBuilder& b) {
         const ValueId x = b.input("x", DType::float32, {"N", 4});
         b.output(b.op("Reshape", {x, tensor<std::int64_t>({3}, {2, 3, 4})}));
       },
       {6, 4}},
  };
  for (const SizesCase& c : cases) {
    SCOPED_TRACE(c.name);
    GraphBuilder b;
    c.build(b);
    VerifyOptions options;
    options.budget = 1e3;
    options.batches = 1;
    options.rows = 2;
    const auto report = verify(b.model(), b.model(), options);
    EXPECT_TRUE(report.agree()) << report.why;
    ASSERT_EQ(report.inputs.size(), 1U);
    EXPECT_EQ(to_string(report.inputs[0].shape), to_string(c.shape));
  }
}

TEST(OpenSizes, ThatNobodyFindsAreSaidToBeMissing) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {"N", "T"});
  const ValueId frames = b.op("Reshape", {x, tensor<std::int64_t>({2}, {-1, 40009})});
  b.output(b.op("Add", {frames, random_tensor({7, 40009}, 1)}));
  const auto report = verify(b.model(), b.model());
  EXPECT_EQ(report.verdict, Verdict::not_compared);
  EXPECT_NE(report.why.find("give shapes or data"), std::string::npos) << report.why;
  VerifyOptions options;
  options.shapes = {{"x", {7, 40009}}};
  EXPECT_TRUE(verify(b.model(), b.model(), options).agree());
}

TEST(OpenSizes, GivenShapesMustFit) {
  GraphBuilder b;
  b.output(b.op("Relu", {b.input("x", DType::float32, {"N", 4, "W"})}));
  const OpenSizes sizes(b.graph(), std::vector<InputShape>{{"x", {2, 4, 9}}});
  EXPECT_EQ(sizes.open(), 0U);
  EXPECT_EQ(sizes.shapes(1, {})[0], Shape({2, 4, 9}));
  for (const InputShape& wrong : {InputShape{"x", {2, 3, 9}}, {"x", {2, 4}}, {"z", {2, 4, 9}}})
    expect_error(ErrorCode::invalid_input, [&] { OpenSizes(b.graph(), std::vector{wrong}); });
}

}  // namespace
}  // namespace bnrun
