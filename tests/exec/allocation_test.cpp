// Runs between the caller's buffers allocate nothing.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "bnrun/session.h"
#include "support/allocation_counter.h"
#include "support/graph_building.h"

namespace bnrun::testing {
namespace {

constexpr DType F32 = DType::float32;
using Ints = std::vector<std::int64_t>;

/// Of a run after the first ones.
std::size_t allocations_of_a_run(const Session& session, std::span<const TensorView> inputs) {
  std::vector<Tensor> outputs;
  for (const TensorType& type : session.output_types(inputs)) outputs.emplace_back(type);
  std::vector<MutableTensorView> views;
  for (Tensor& output : outputs) views.push_back(output.mutable_view());
  for (int i = 0; i < 2; ++i) session.run(inputs, views);
  const auto before = allocations();
  session.run(inputs, views);
  return allocations() - before;
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

/// Each on x[N,4,6,6]: operators that need no memory but their outputs. (Pools, convolutions, products of two
/// variables and those that read indices still take scratch memory.)
std::vector<Row> rows() {
  const Tensor channel = random_tensor({4, 1, 1}, 1);
  const Tensor parameter = random_tensor({4}, 2, 0.5, 2.0);
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
  };
}

TEST(Allocations, NoStepMakesAnyAfterWarmUp) {
  for (const Row& row : rows()) {
    GraphBuilder b(17);
    const auto x = b.input("x", F32, {"N", 4, 6, 6});
    std::vector<NodeInput> inputs(static_cast<std::size_t>(row.data), x);
    inputs.insert(inputs.end(), row.constants.begin(), row.constants.end());
    b.output(b.op(row.op, inputs, row.attributes));
    const Tensor data = random_tensor({3, 4, 6, 6}, 6);
    const TensorView given[] = {data};
    for (const int threads : {1, 2}) {
      const Session session(b.model(), {.threads = threads});
      EXPECT_EQ(allocations_of_a_run(session, given), 0U) << row.op << ", " << threads << " threads";
    }
  }
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
