// Runs between the caller's buffers allocate nothing.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "base/aligned_buffer.h"
#include "bnrun/session.h"
#include "support/allocation_counter.h"
#include "support/graph_building.h"

namespace bnrun::testing {
namespace {

constexpr DType F32 = DType::float32;
constexpr const char* kNothingIsKept =
    "under AddressSanitizer temporary memory is new each time, so that it is watched";
using Ints = std::vector<std::int64_t>;

/// Of a run after the first ones: of many where threads share them, since a helper may sleep while all others run.
std::size_t allocations_of_a_run(const Session& session, std::span<const TensorView> inputs) {
  constexpr int kMostRuns = 1000;
  std::vector<Tensor> outputs;
  for (const TensorType& type : session.output_types(inputs)) outputs.emplace_back(type);
  std::vector<MutableTensorView> views;
  for (Tensor& output : outputs) views.push_back(output.mutable_view());
  for (int i = 0; i < 2; ++i) session.run(inputs, views);
  std::size_t made = 0;
  for (int runs = 0; runs < (session.threads() > 1 ? kMostRuns : 1); ++runs) {
    const auto before = allocations();
    session.run(inputs, views);
    made = allocations() - before;
    if (made == 0) break;
  }
  return made;
}

struct Row {
  std::string op;
  std::vector<Tensor> constants{};
  Attributes attributes{};
  int data = 1;  ///< how many times x is an input, before the constants
};

Tensor ints(const Ints& values) {
  return Tensor(Shape{static_cast<std::int64_t>(values.size())}, values);
}

Tensor quarters(const Shape& shape, std::uint8_t first) {
  std::vector<std::uint8_t> values(static_cast<std::size_t>(shape.elements()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint8_t>(first + i % 4);
  return Tensor(shape, values);
}

/// Each on x[N,4,6,6], those behind the first ones with memory that it takes for a run.
std::vector<Row> rows() {
  const Tensor channel = random_tensor({4, 1, 1}, 1);
  const Tensor parameter = random_tensor({4}, 2, 0.5, 2.0);
  const Tensor one = Tensor(Shape{}, std::vector<float>{0.5F});
  const auto scalar = [](std::int64_t number) { return Tensor(Shape{}, Ints{number}); };
  const auto floats = [](const std::vector<float>& values) {
    return Tensor(Shape{static_cast<std::int64_t>(values.size())}, values);
  };
  return {
      {"Relu"},
      {"Sigmoid"},
      {"Erf"},
      {"Add", {channel}},
      {"Mul", {}, {}, 2},
      {"Clip", {Tensor(Shape{}, std::vector<float>{-1.0f}), Tensor(Shape{}, std::vector<float>{1.0f})}},
      {"Softmax", {}, {{"axis", std::int64_t{1}}}},
      {"BatchNormalization", {parameter, parameter, parameter, parameter}},
      {"LayerNormalization", {random_tensor({6}, 3)}},
      {"Transpose", {}, {{"perm", Ints{0, 2, 3, 1}}}},
      {"Flatten"},
      {"Reshape", {ints({0, -1})}},
      {"Concat", {}, {{"axis", std::int64_t{1}}}, 2},
      {"Cast", {}, {{"to", std::int64_t{11}}}},

      {"MaxPool", {}, {{"kernel_shape", Ints{3, 3}}}},
      {"AveragePool", {}, {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}}},
      {"LpPool", {}, {{"kernel_shape", Ints{2, 2}}}},
      {"GlobalMaxPool"},
      {"Conv", {random_tensor({3, 4, 3, 3}, 4)}},
      {"Conv", {}, {}, 2},
      {"ConvTranspose", {random_tensor({4, 2, 3, 3}, 4)}, {{"strides", Ints{2, 2}}}},
      {"ConvTranspose", {}, {}, 2},
      {"MatMul", {}, {}, 2},
      {"MatMul", {random_tensor({4, 6, 5}, 4)}},
      {"Einsum", {random_tensor({6, 5}, 4)}, {{"equation", std::string("bchw,wk->bchk")}}},
      {"Det"},
      {"ReduceSum", {ints({1, 3})}},
      {"ReduceProd", {}, {{"axes", Ints{2}}}},
      {"ReduceLogSumExp", {}, {{"axes", Ints{1, 2}}}},
      {"CumSum", {scalar(2)}},
      {"Mean", {channel, one}},
      {"Pow", {Tensor(Shape{6}, Ints{1, 2, 3, 2, 1, 0})}},
      {"PRelu", {channel}},
      {"InstanceNormalization", {parameter, parameter}},
      {"LpNormalization"},
      {"MeanVarianceNormalization"},
      {"Slice", {ints({1, 0}), ints({5, 3}), ints({2, 1}), ints({2, 1})}},
      {"Pad", {ints({0, 0, 1, 2, 0, 0, 1, 0})}, {{"mode", std::string("reflect")}}},
      {"Pad", {ints({0, 0, 1, 2, 0, 0, 1, 0}), one}},
      {"Tile", {ints({1, 2, 1, 1})}},
      {"Expand", {ints({1, 4, 6, 6})}},
      {"Gather", {ints({3, 0, -1})}, {{"axis", std::int64_t{1}}}},
      {"GatherND", {Tensor(Shape{2, 1}, Ints{0, 2})}},
      {"ScatterND", {Tensor(Shape{1, 2}, Ints{0, 3}), random_tensor({1, 6, 6}, 4)}},
      {"OneHot", {scalar(5), Tensor(Shape{2}, std::vector<float>{0.0F, 1.0F})}},
      {"Trilu", {scalar(1)}},
      {"Resize", {floats({}), floats({1, 1, 2, 2})}},
      {"Resize", {floats({}), floats({1, 1, 1.5F, 0.5F})}, {{"mode", std::string("linear")}}},
      {"Resize", {floats({}), floats({}), ints({3, 4, 9, 4})}, {{"mode", std::string("cubic")}}},
      {"QuantizeLinear", {parameter, quarters({4}, 3)}},
      {"TopK", {ints({2})}},
      {"DynamicQuantizeLinear"},
  };
}

TEST(Allocations, NoStepMakesAnyAfterWarmUp) {
  if (kWatched) GTEST_SKIP() << kNothingIsKept;
  for (const Row& row : rows()) {
    GraphBuilder b(17);
    const auto x = b.input("x", F32, {"N", 4, 6, 6});
    std::vector<NodeInput> inputs(static_cast<std::size_t>(row.data), x);
    inputs.insert(inputs.end(), row.constants.begin(), row.constants.end());
    b.output(b.op(row.op, inputs, row.attributes));
    const Tensor data = random_tensor({4, 4, 6, 6}, 6);
    const TensorView given[] = {data};
    for (const int threads : {1, 2}) {
      const Session session(b.model(), {.threads = threads});
      EXPECT_EQ(allocations_of_a_run(session, given), 0U) << row.op << ", " << threads << " threads";
    }
  }
}

TEST(Allocations, LargeTemporaryMemoryIsNotTakenForManySmallBlocks) {
  if (kWatched) GTEST_SKIP() << kNothingIsKept;
  GraphBuilder b(17);
  const auto x = b.input("x", F32, {1, 3, 200, 150});
  const Tensor scales(Shape{4}, std::vector<float>{1, 1, 2, 1.5F});
  b.output(
      b.op("Resize", {x, Tensor(Shape{0}, std::vector<float>{}), scales}, {{"mode", std::string("linear")}}));
  const Tensor data = random_tensor({1, 3, 200, 150}, 6);
  const TensorView given[] = {data};
  const Session session(b.model(), {.threads = 1});
  EXPECT_EQ(allocations_of_a_run(session, given), 0U);
}

TEST(Allocations, StagesOfSeveralInputsMakeNone) {
  GraphBuilder b;
  const auto x = b.input("x", F32, {"N", 8, 9, 7});
  const auto y = b.op("Tanh", {x});
  const auto joined = b.op("Concat", {b.op("Add", {y, x}), y}, {{"axis", std::int64_t{1}}});
  b.output(b.op("Mul", {joined, b.op("Sigmoid", {joined})}));
  for (const int threads : {1, 2}) {
    const Session session(b.model(), {.threads = threads});
    for (const std::int64_t images : {1, 5}) {
      const Tensor data = random_tensor({images, 8, 9, 7}, 6);
      const TensorView given[] = {data};
      EXPECT_EQ(allocations_of_a_run(session, given), 0U) << images << " images, " << threads << " threads";
    }
  }
}

TEST(Allocations, DenseNetworksMakeNoneHoweverTheyAreFoldedAndMultiplied) {
  GraphBuilder b;
  auto h = b.input("x", F32, {"N", 64});
  for (const std::string activation : {"Relu", "Tanh", "Sigmoid"}) {
    h = b.op(activation, {b.op("Gemm", {h, random_tensor({64, 64}, 1, -0.1, 0.1), random_tensor({64}, 2)})});
    const Tensor parameter = random_tensor({64}, 3, 0.5, 2.0);
    h = b.op("BatchNormalization", {h, parameter, parameter, parameter, parameter});
  }
  b.output(b.op("Softmax", {h}, {{"axis", std::int64_t{-1}}}));
  for (const Kernels kernels : {Kernels::packed, Kernels::blas}) {
    for (const bool fold : {true, false}) {
      SessionOptions options{.kernels = kernels};
      if (!fold) options.fold.reset();
      const Session session(b.model(), options);
      for (const std::int64_t rows : {1, 300}) {
        const Tensor x = random_tensor({rows, 64}, 4);
        const TensorView inputs[] = {x};
        EXPECT_EQ(allocations_of_a_run(session, inputs), 0U) << "fold " << fold << ", " << rows << " rows";
      }
    }
  }
}

}  // namespace
}  // namespace bnrun::testing
