// One small layer with numbers that are worked by hand, for tests of single mistakes.
#pragma once

#include <string_view>
#include <vector>

#include "api/model_access.h"
#include "support/fold_testing.h"

namespace bnrun::testing {

using Floats = std::vector<float>;
using Ints = std::vector<std::int64_t>;

inline Tensor row(const Floats& values) {
  return {Shape{static_cast<std::int64_t>(values.size())}, values};
}
inline Tensor weights() {
  return {Shape{2, 2}, Floats{1, 2, 3, 4}};
}

/// Input 1 or 2 of the one operator of this name.
inline std::vector<double> constant_of(const Model& model, std::string_view op_type, std::size_t input) {
  const Graph& graph = graph_of(model);
  for (const NodeId id : graph.live_nodes()) {
    if (graph.node(id).op_type != op_type) continue;
    return read_doubles(graph.value(graph.node(id).inputs.at(input)).constant);
  }
  return {};
}

inline Model folded(Model model, const FoldOptions& options = {}) {
  fold(model, options);
  return model;
}

/// x[N,2], and BatchNormalization that is s = {1, -2}, t = {-0.5, 4.25} exactly.
struct Layer {
  GraphBuilder b{13};
  ValueId x = b.input("x", DType::float32, {"N", 2});

  std::vector<NodeInput> parameters(ValueId data) {
    return {data, row({2, -1}), row({0.5F, 0.25F}), row({1, 2}), row({4, 0.25F})};
  }
  ValueId batch_normalization(ValueId data) {
    return b.op("BatchNormalization", parameters(data), {{"epsilon", 0.0F}});
  }
  ValueId gemm(Attributes attributes = {}) {
    return b.op("Gemm", {x, weights(), row({10, 20})}, std::move(attributes), "h");
  }
};

/// Declines for this reason, and the outputs keep their bits.
inline void expect_untouched(const Model& original, Decline reason, const FoldOptions& options = {}) {
  expect_declined(original, reason, options);
  const Model after = folded(original, options);
  const auto inputs = random_inputs(graph_of(original), 3, 5);
  const std::vector<TensorView> views(inputs.begin(), inputs.end());
  const auto expected = interpret(graph_of(original), views);
  const auto actual = interpret(graph_of(after), views);
  ASSERT_EQ(expected.size(), actual.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_TRUE(identical(expected[i], actual[i])) << "output " << i;
}

}  // namespace bnrun::testing
