// Dense layers of bfloat16 run on their kernel with what follows them, and are rounded once.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "base/elements.h"
#include "bnrun/session.h"
#include "passes/prepare.h"
#include "program/compile.h"
#include "support/graph_building.h"

namespace bnrun::testing {
namespace {

constexpr std::int64_t kRows = 40;
constexpr std::int64_t kInputs = 70;
constexpr std::int64_t kUnits = 50;

Tensor bfloat16(const Shape& shape, std::uint32_t seed) {
  return convert(random_tensor(shape, seed), DType::bfloat16);
}

/// Relu(x * W + b), W transposed or not, as Gemm or as MatMul and Add.
void add_layer(GraphBuilder& b, const std::string& op, bool transposed) {
  const auto x = b.input("x", DType::bfloat16, {"N", kInputs});
  const Tensor W = bfloat16(transposed ? Shape{kUnits, kInputs} : Shape{kInputs, kUnits}, 1);
  const Tensor bias = bfloat16({kUnits}, 2);
  if (op == "MatMul")
    b.output(b.op("Relu", {b.op("Add", {b.op("MatMul", {x, W}), bias})}));
  else
    b.output(b.op("Relu", {b.op("Gemm", {x, W, bias}, {{"transB", std::int64_t{transposed}}})}));
}

TEST(Bfloat16Layers, RunOnTheirKernelAndAreRoundedOnce) {
  for (const auto& [op, transposed] :
       {std::pair("Gemm", false), std::pair("Gemm", true), std::pair("MatMul", false)}) {
    GraphBuilder b;
    add_layer(b, op, transposed);
    const auto stages = compile(prepared(b.graph()), {}).stages;
    ASSERT_EQ(stages.size(), 1u) << op;
    ASSERT_EQ(stages[0].steps.size(), 1u) << op;
    EXPECT_EQ(stages[0].steps[0].kernel, "dense, bfloat16");

    const Tensor X = bfloat16({kRows, kInputs}, 3);
    const auto x = read_doubles(X.view());
    const auto w =
        read_doubles(bfloat16(transposed ? Shape{kUnits, kInputs} : Shape{kInputs, kUnits}, 1).view());
    const auto bias = read_doubles(bfloat16({kUnits}, 2).view());
    for (const int threads : {1, 2}) {
      const Session session(b.model(), {.threads = threads});
      const auto results = session.run({{"x", X}});
      const auto y = read_doubles(results[0].tensor.view());
      for (std::int64_t i = 0; i < kRows * kUnits; ++i) {
        const std::int64_t m = i / kUnits;
        const std::int64_t n = i % kUnits;
        double sum = bias[static_cast<std::size_t>(n)];
        double size = std::abs(sum);
        for (std::int64_t k = 0; k < kInputs; ++k) {
          const double product = x[static_cast<std::size_t>(m * kInputs + k)] *
                                 w[static_cast<std::size_t>(transposed ? n * kInputs + k : k * kUnits + n)];
          sum += product;
          size += std::abs(product);
        }
        const double exact = std::max(0.0, sum);
        // of the sums, and half a unit in the last of 8 places
        EXPECT_LE(std::abs(y[static_cast<std::size_t>(i)] - exact),
                  22 * 0x1p-24 * size + 1.001 * 0x1p-8 * exact)
            << op << " element " << i;
      }
    }
  }
}

TEST(Bfloat16Layers, RunWhereTheRowsDependOnData) {
  GraphBuilder b;
  const auto x = b.input("x", DType::float32, {"N"});
  const Tensor shape(Shape{3}, std::vector<std::int64_t>{1, -1, kInputs});
  const auto places = b.op("Cast", {b.op("NonZero", {x})}, {{"to", std::int64_t{16}}});
  b.output(b.op("MatMul", {b.op("Reshape", {places, shape}), bfloat16({kInputs, kUnits}, 1)}));

  GraphBuilder plain;
  plain.output(plain.op("MatMul",
                        {plain.input("x", DType::bfloat16, {"N", kInputs}), bfloat16({kInputs, kUnits}, 1)}));

  const Tensor ones(Shape{3 * kInputs}, std::vector<float>(3 * kInputs, 1.0F));
  std::vector<float> numbers;
  for (std::int64_t i = 0; i < 3 * kInputs; ++i) numbers.push_back(static_cast<float>(i));
  const Tensor rows = convert(Tensor(Shape{3, kInputs}, numbers), DType::bfloat16);
  for (const int threads : {1, 2}) {
    const auto found = Session(b.model(), {.threads = threads}).run({{"x", ones}});
    const auto expected = Session(plain.model(), {.threads = threads}).run({{"x", rows}});
    EXPECT_EQ(read_doubles(found[0].tensor.view()), read_doubles(expected[0].tensor.view()));
  }
}

}  // namespace
}  // namespace bnrun::testing
