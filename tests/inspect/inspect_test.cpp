#include "bnrun/inspect.h"

#include <gtest/gtest.h>

#include "api/model_access.h"
#include "bnrun/error.h"
#include "support/graph_building.h"

namespace bnrun {
namespace {

using namespace testing;
using MaybeCount = std::optional<std::int64_t>;

Tensor zeros(const Shape& shape) {
  return Tensor(DType::float32, shape);
}

struct CostCase {
  const char* what;
  const char* op_type;
  std::vector<DimSpec> x;
  Shape weight;
  Attributes attributes;
  MaybeCount macs;
};

TEST(Inspect, CountsMultiplyAccumulatesPerRow) {
  const std::vector<CostCase> cases = {
      {"Gemm: 5 outputs of depth 3", "Gemm", {"N", 3}, {3, 5}, {}, 15},
      {"Gemm, transB", "Gemm", {"N", 3}, {5, 3}, {{"transB", std::int64_t{1}}}, 15},
      {"Gemm, transA: 4x5 outputs of depth 3, for 3 rows of x",
       "Gemm",
       {3, 4},
       {3, 5},
       {{"transA", std::int64_t{1}}},
       4 * 5 * 3 / 3},
      {"a static batch counts one row", "Gemm", {64, 3}, {3, 5}, {}, 15},
      {"MatMul over 7 positions", "MatMul", {"N", 7, 3}, {3, 5}, {}, 7 * 5 * 3},
      {"MatMul over an unknown number of positions", "MatMul", {"N", "T", 3}, {3, 5}, {}, std::nullopt},
      {"Conv: 4 channels of 6x6, filters 2x3x3", "Conv", {"N", 2, 8, 8}, {4, 2, 3, 3}, {}, 4 * 36 * 18},
      {"Conv, depthwise", "Conv", {"N", 2, 8, 8}, {2, 1, 3, 3}, {{"group", std::int64_t{2}}}, 2 * 36 * 9},
      {"ConvTranspose: each of 2x4x4 inputs meets 3x2x2 weights",
       "ConvTranspose",
       {"N", 2, 4, 4},
       {2, 3, 2, 2},
       {},
       32 * 12},
      {"Einsum is not counted",
       "Einsum",
       {"N", 3},
       {3, 5},
       {{"equation", std::string("ij,jk->ik")}},
       std::nullopt},
      {"Mul is none", "Mul", {"N", 3}, {3}, {}, 0},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    Graph graph = GraphBuilder().graph();
    const ValueId x = graph.add_input("x", {DType::float32, Dims(c.x.begin(), c.x.end())});
    const ValueId W = graph.add_constant("W", zeros(c.weight));
    const ValueId y = graph.add_value("y");
    Node node;
    node.op_type = c.op_type;
    node.attributes = c.attributes;
    node.inputs = {x, W};
    node.outputs = {y};
    graph.add_node(std::move(node));
    graph.add_output(y);
    const Inspection inspection = inspect(make_model(graph));
    ASSERT_EQ(inspection.layers.size(), 1U);
    EXPECT_EQ(inspection.layers[0].macs, c.macs);
    EXPECT_EQ(inspection.macs, c.macs);
    EXPECT_EQ(macs_per_row(make_model(graph)), c.macs);
    EXPECT_EQ(inspection.layers[0].problem, "");
    EXPECT_EQ(inspection.parameters, c.weight.elements());
  }
}

TEST(Inspect, SharedConstantsCountOnce) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {"N", 3});
  const ValueId W = b.constant(zeros({3, 3}), "W");
  b.output(b.op("MatMul", {b.op("MatMul", {x, W}), W}, {}, "y"));
  const Inspection inspection = inspect(b.model());
  EXPECT_EQ(inspection.layers[0].parameters, 9);
  EXPECT_EQ(inspection.layers[1].parameters, 0);
  EXPECT_EQ(inspection.parameters, 9);
  EXPECT_EQ(inspection.parameter_bytes, 36);
  EXPECT_EQ(inspection.layers[1].type, "float32[N,3]");
}

TEST(Inspect, ConstantsComputedAheadAreNoLayers) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {"N", 3});
  b.output(b.op("MatMul", {x, b.op("Transpose", {zeros({5, 3})})}, {}, "y"));
  const Inspection inspection = inspect(b.model());
  EXPECT_EQ(inspection.computed_ahead, 1U);
  ASSERT_EQ(inspection.layers.size(), 1U);
  EXPECT_EQ(inspection.layers[0].parameters, 15);
  EXPECT_EQ(inspection.macs, MaybeCount(15));
}

TEST(Inspect, TellsWhatFoldingWouldDoWithoutDoingIt) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {"N", 3});
  const ValueId h = b.op("Gemm", {x, random_tensor({3, 4}, 1), random_tensor({4}, 2)});
  b.output(b.op(
      "BatchNormalization",
      {h, random_tensor({4}, 3), random_tensor({4}, 4), random_tensor({4}, 5), random_tensor({4}, 6, 0.5, 2)},
      {}, "y"));
  const Model model = b.model();
  const Inspection inspection = inspect(model);
  ASSERT_EQ(inspection.fold.entries.size(), 1U);
  EXPECT_TRUE(inspection.fold.entries[0].folded);
  EXPECT_EQ(inspection.layers.size(), 2U);
  EXPECT_EQ(graph_of(model).live_nodes().size(), 2U);
}

TEST(Inspect, UnknownOperatorsAreListedWithTheirProblem) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {"N", 3});
  b.output(b.op("MatMul", {b.op("Frobnicate", {x}), zeros({3, 2})}, {}, "y"));
  const Inspection inspection = inspect(b.model());
  ASSERT_EQ(inspection.layers.size(), 2U);
  EXPECT_NE(inspection.layers[0].problem.find("Frobnicate"), std::string::npos);
  EXPECT_EQ(inspection.layers[1].problem, "");
  EXPECT_EQ(inspection.macs, std::nullopt);
}

TEST(Inspect, AContradictionIsAnInvalidModel) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {"N", 3});
  b.output(b.op("MatMul", {x, zeros({4, 2})}, {}, "y"));
  try {
    inspect(b.model());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_model);
  }
}

TEST(Inspect, TellsWhichLayersALayerReads) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {"N", 3});
  const ValueId h = b.op("Relu", {x}, {}, "h");
  const ValueId t = b.op("Tanh", {h}, {}, "t");
  b.output(b.op("Add", {t, h}, {}, "y"));
  const Inspection inspection = inspect_layers(b.model());
  ASSERT_EQ(inspection.layers.size(), 3U);
  EXPECT_TRUE(inspection.layers[0].after.empty());
  EXPECT_EQ(inspection.layers[1].after, (std::vector<std::size_t>{0}));
  EXPECT_EQ(inspection.layers[2].after, (std::vector<std::size_t>{0, 1}));
  EXPECT_TRUE(inspection.fold.entries.empty());
}

struct RowsCase {
  const char* what;
  const char* op_type;
  std::vector<DimSpec> x;
  bool both;  ///< the second operand is x too, not a constant [3,3]
  Attributes attributes;
  bool apart;
};

TEST(Inspect, TellsWhetherRowsAreApart) {
  const std::vector<RowsCase> cases = {
      {"a dense layer", "MatMul", {"N", 3}, false, {}, true},
      {"a sum of rows with themselves", "Add", {"N", 3}, true, {}, true},
      {"a sum that grows a row into many", "Add", {"N"}, false, {}, false},
      {"a product of rows with each other", "Gemm", {"N", 3}, true, {{"transB", std::int64_t{1}}}, false},
      {"rows one behind the other", "Concat", {"N", 3}, true, {{"axis", std::int64_t{0}}}, false},
      {"columns behind one another", "Concat", {"N", 3}, true, {{"axis", std::int64_t{1}}}, true},
      {"a comparison with other rows", "Greater", {"N", 3}, false, {}, false},
      {"a batch of fixed size", "MatMul", {2, 3}, false, {}, false},
      {"columns for rows", "Gemm", {3, "N"}, false, {{"transA", std::int64_t{1}}}, false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    Graph graph = GraphBuilder().graph();
    const ValueId x = graph.add_input("x", {DType::float32, Dims(c.x.begin(), c.x.end())});
    Node node;
    node.op_type = c.op_type;
    node.attributes = c.attributes;
    node.inputs = {x, c.both ? x : graph.add_constant("W", zeros({3, 3}))};
    node.outputs = {graph.add_value("y")};
    graph.add_output(node.outputs[0]);
    graph.add_node(std::move(node));
    EXPECT_EQ(keeps_rows_apart(make_model(graph)), c.apart);
  }
}

}  // namespace
}  // namespace bnrun
