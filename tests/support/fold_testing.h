// Checks that every fold test shares: what is left, and that it computes the same.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "api/model_access.h"
#include "bnrun/fold.h"
#include "graph/graph.h"
#include "op/shape_rules.h"
#include "passes/widen.h"
#include "support/graph_building.h"
#include "verify/interpret.h"

namespace bnrun::testing {

using Operators = std::map<std::string, std::size_t>;

/// Builds one graph with random constants of one element type.
struct Maker {
  GraphBuilder b{13};
  DType dtype = DType::float32;
  std::uint32_t seed = 100;

  Tensor random(const Shape& shape, double low = -1.0, double high = 1.0) {
    return convert(random_tensor<double>(shape, seed++, low, high), dtype);
  }
  ValueId batch_normalization(ValueId x, std::int64_t channels) {
    return b.op("BatchNormalization", {x, random({channels}), random({channels}), random({channels}),
                                       random({channels}, 0.5, 2.0)});
  }
};

/// Inputs of a graph for one batch size: every unknown dimension becomes `rows`.
inline std::vector<Tensor> random_inputs(const Graph& graph, std::int64_t rows, std::uint32_t seed) {
  std::vector<Tensor> inputs;
  for (const ValueId id : graph.inputs()) {
    Shape shape;
    for (const Dim& dim : *graph.value(id).type.dims) shape.push_back(dim.known() ? dim.extent() : rows);
    inputs.push_back(convert(random_tensor<double>(shape, seed++, -2.0, 2.0), graph.value(id).type.dtype));
  }
  return inputs;
}

/// Largest distance between the outputs of `model` as it computes and those of `original` computed in double.
inline double distance_from_truth(const Model& original, const Model& model, std::int64_t rows) {
  const auto inputs = random_inputs(graph_of(original), rows, 11);
  std::vector<Tensor> wide;
  for (const Tensor& input : inputs)
    wide.push_back(is_floating(input.dtype()) ? convert(input, DType::float64) : input);
  const auto truth =
      interpret(widened(graph_of(original)), {std::vector<TensorView>(wide.begin(), wide.end())});
  const auto actual = interpret(graph_of(model), {std::vector<TensorView>(inputs.begin(), inputs.end())});
  double distance = 0.0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    EXPECT_EQ(truth[i].shape(), actual[i].shape());
    const auto expected = read_doubles(truth[i]);
    const auto got = read_doubles(actual[i]);
    for (std::size_t k = 0; k < expected.size(); ++k) {
      const double d = std::abs(expected[k] - got[k]) / (1.0 + std::abs(expected[k]));
      distance = std::isnan(d) ? INFINITY : std::max(distance, d);
    }
  }
  return distance;
}

/// Folds a copy and asserts: the operators left, the numbers for batches of 0, 1 and 7 rows against double
/// precision, inputs and outputs untouched, and that a second fold finds nothing to do.
inline FoldReport expect_fold(const Model& original, const Operators& left, double tolerance = 2e-6,
                              const FoldOptions& options = {}) {
  Model folded = original;
  const FoldReport report = fold(folded, options);
  EXPECT_EQ(report.after.operators, left);
  for (const std::int64_t rows : {0, 1, 7}) {
    EXPECT_LE(distance_from_truth(original, folded, rows), tolerance) << rows << " rows";
  }
  const auto names = [](const std::vector<PortInfo>& ports) {
    std::vector<std::string> list;
    for (const auto& port : ports) list.push_back(port.name);
    return list;
  };
  EXPECT_EQ(names(folded.inputs()), names(original.inputs()));
  EXPECT_EQ(names(folded.outputs()), names(original.outputs()));
  Model again = folded;
  EXPECT_EQ(fold(again, options).rewrites, 0U) << "a second fold found something to do";
  return report;
}

/// Asserts that nothing changes and that the one BatchNormalization or disguise declines for this reason.
inline void expect_declined(const Model& original, Decline reason, const FoldOptions& options = {}) {
  Model folded = original;
  const FoldReport report = fold(folded, options);
  EXPECT_EQ(report.rewrites, 0U);
  ASSERT_EQ(report.entries.size(), 1U);
  EXPECT_FALSE(report.entries[0].folded);
  EXPECT_EQ(name_of(report.entries[0].reason), name_of(reason)) << report.entries[0].detail;
  EXPECT_FALSE(report.complete());
}

}  // namespace bnrun::testing
