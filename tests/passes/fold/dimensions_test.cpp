// Who reads the dimensions of a value is no reader of its elements: folding goes on, and it reads those of what
// takes the value's place.
#include <gtest/gtest.h>

#include <functional>
#include <ostream>

#include "support/fold_passing.h"

namespace bnrun {
namespace {

using namespace testing;

using Net = PassingNet;
constexpr std::int64_t kC = Net::kChannels;
constexpr std::int64_t kPlane = Net::kExtent * Net::kExtent;

/// x.view(x.size(0), -1)
ValueId viewed(Net& m, ValueId of, ValueId h) {
  const ValueId rows = m.op("Gather", {m.op("Shape", {of}), Tensor({}, Ints{0})});
  const ValueId shape = m.op("Concat", {m.op("Unsqueeze", {rows, Net::ints({0})}), Net::ints({-1})},
                             {{"axis", std::int64_t{0}}});
  return m.op("Reshape", {h, shape});
}
ValueId gemm(Net& m, ValueId h, std::int64_t from, std::int64_t to) {
  return m.op("Gemm", {h, m.random({from, to}), m.random({to})});
}
/// An output that depends on the dimensions of a value.
void output_dimensions(Net& m, ValueId value) {
  m.b.output(m.op("Mul", {m.op("Size", {value}), Tensor({}, Ints{3})}));
}
void end(Net& m, ValueId y) {
  m.b.output(m.op("Tanh", {y}));
}

struct Case {
  const char* name;
  std::function<void(Net&)> build;
  Operators left;

  friend void PrintTo(const Case& row, std::ostream* out) { *out << row.name; }
};

class FoldDimensions : public ::testing::TestWithParam<Case> {};

TEST_P(FoldDimensions, HoldNothingBack) {
  Net m(15, false);
  GetParam().build(m);
  EXPECT_TRUE(expect_fold(m.b.model(), GetParam().left, 8e-6).complete());
}

const Operators kView = {{"Shape", 1}, {"Gather", 1}, {"Unsqueeze", 1}, {"Concat", 1}, {"Reshape", 1}};
Operators and_view(Operators others) {
  others.insert(kView.begin(), kView.end());
  return others;
}

const Case kCases[] = {
    {"ViewOfANormalisedLayer",
     [](Net& m) {
       const ValueId h = m.batch_normalization(m.layer(m.x, kC, kC, 4), kC);
       end(m, gemm(m, viewed(m, h, h), kC * kPlane, 3));
     },
     and_view({{"Conv", 1}, {"Gemm", 1}, {"Tanh", 1}})},
    {"ViewOfPooledChannels",
     [](Net& m) {
       const ValueId h = m.op("GlobalAveragePool", {m.layer(m.x, kC, kC, 4)});
       end(m, m.batch_normalization(viewed(m, h, h), kC));
     },
     and_view({{"Conv", 1}, {"GlobalAveragePool", 1}, {"Tanh", 1}})},
    {"ViewForward",
     [](Net& m) {
       const ValueId h = m.batch_normalization(m.op("Sigmoid", {m.x}), kC);
       end(m, gemm(m, viewed(m, h, h), kC * kPlane, 3));
     },
     and_view({{"Sigmoid", 1}, {"Gemm", 1}, {"Tanh", 1}})},
    {"ViewOfTheLayerBehindAnActivation",  // the rows are those of a value that changes
     [](Net& m) {
       const ValueId h = m.layer(m.x, kC, kC, 4);
       const ValueId a = m.op("Relu", {m.map(MapKind::positive_scale, h, kC, 4)});
       end(m, gemm(m, viewed(m, h, a), kC * kPlane, 3));
     },
     and_view({{"Conv", 1}, {"Relu", 1}, {"Gemm", 1}, {"Tanh", 1}})},
    {"DimensionsWithinAChain",
     [](Net& m) {
       const ValueId a = m.op("Sub", {m.op("Sigmoid", {m.x}), m.per_channel(kC, 4, -1, 1)});
       output_dimensions(m, a);
       end(m, m.layer(m.map(MapKind::scale, a, kC, 4), kC, 3, 4));
     },
     {{"Sigmoid", 1}, {"Size", 1}, {"Mul", 1}, {"Conv", 1}, {"Tanh", 1}}},
    {"DimensionsWithinAChainBackward",
     [](Net& m) {
       const ValueId a = m.op("Sub", {m.layer(m.x, kC, kC, 4), m.per_channel(kC, 4, -1, 1)});
       output_dimensions(m, a);
       end(m, m.map(MapKind::scale, a, kC, 4));
     },
     {{"Size", 1}, {"Mul", 1}, {"Conv", 1}, {"Tanh", 1}}},
    {"DimensionsOfWhatIsCollected",
     [](Net& m) {
       const ValueId a = m.map(MapKind::positive_scale, m.layer(m.x, kC, kC, 4), kC, 4);
       output_dimensions(m, a);
       end(m, m.map(MapKind::positive_scale, m.op("Relu", {a}), kC, 4));
     },
     {{"Conv", 1}, {"Relu", 1}, {"Size", 1}, {"Mul", 1}, {"Tanh", 1}}},
    {"DimensionsOfTheProductOfAGemmToBe",
     [](Net& m) {
       const ValueId flat = m.op("Flatten", {m.x});
       const ValueId h = m.op("MatMul", {flat, m.random({kC * kPlane, 4})});
       output_dimensions(m, h);
       end(m, m.batch_normalization(m.op("Add", {h, m.random({4})}), 4));
     },
     {{"Flatten", 1}, {"Gemm", 1}, {"Size", 1}, {"Mul", 1}, {"Tanh", 1}}},
    {"TheTypeOfAValue",
     [](Net& m) {
       const ValueId h = m.layer(m.x, kC, kC, 4);
       m.b.output(m.b.op("CastLike", {m.b.input("k", DType::int64, {"N"}), h}));
       end(m, m.batch_normalization(h, kC));
     },
     {{"Conv", 1}, {"CastLike", 1}, {"Tanh", 1}}},
    {"SeveralDimensionsOfOneValue",
     [](Net& m) {
       const ValueId h = m.layer(m.x, kC, kC, 4);
       output_dimensions(m, h);
       m.b.output(m.op("ConstantOfShape", {m.op("Shape", {h})}));
       const ValueId y = m.batch_normalization(h, kC);
       output_dimensions(m, y);
       end(m, y);
     },
     {{"Conv", 1}, {"Size", 2}, {"Mul", 2}, {"Shape", 1}, {"ConstantOfShape", 1}, {"Tanh", 1}}},
    {"DimensionsBetweenNormalisations",
     [](Net& m) {
       const ValueId a = m.batch_normalization(m.op("Sigmoid", {m.x}), kC);
       output_dimensions(m, a);
       end(m, m.layer(m.batch_normalization(a, kC), kC, 3, 4));
     },
     {{"Sigmoid", 1}, {"Size", 1}, {"Mul", 1}, {"Conv", 1}, {"Tanh", 1}}},
};

INSTANTIATE_TEST_SUITE_P(All, FoldDimensions, ::testing::ValuesIn(kCases), NameOfPassing());

/// The batch is a dimension without a name: what is computed from it is as long, and its name is not written.
TEST(FoldDimensionsOf, AnUnnamedBatch) {
  Net m(13, false);
  m.b = GraphBuilder(13);
  m.x = m.b.input("x", DType::float32, {"?", kC, 6, 6});
  const ValueId h = m.batch_normalization(m.op("Sigmoid", {m.x}), kC);
  const ValueId flat = m.op("Identity", {viewed(m, h, h)});
  m.b.output(m.op("Tanh", {gemm(m, flat, kC * kPlane, 3)}));
  const Model original = m.b.model();
  expect_fold(original, and_view({{"Sigmoid", 1}, {"Gemm", 1}, {"Tanh", 1}}), 8e-6);
  const Model after = folded(original);
  EXPECT_EQ(after.inputs()[0].dims->front().symbol, "?");
  for (const ValueId id : graph_of(after).live_values()) {
    const auto& dims = graph_of(after).value(id).type.dims;
    for (std::size_t i = 0; dims && i < dims->size(); ++i) EXPECT_FALSE((*dims)[i].symbolic());
  }
}

/// A name that the model declares further on stays.
TEST(FoldDimensionsOf, AnUnnamedBatchThatGetsAName) {
  GraphBuilder b(13);
  const ValueId x = b.input("x", DType::float32, {"?", 2});
  const ValueId y = b.op("Tanh", {b.op("Mul", {b.op("Gemm", {x, weights(), row({1, 2})}), row({3, 4})})});
  b.output(y);
  Graph graph = b.graph();
  graph.set_type(y, {DType::float32, Dims{Dim::symbol("rows"), Dim(2)}});
  const Model after = folded(make_model(graph));
  EXPECT_EQ(after.inputs()[0].dims->front().symbol, "?");
  EXPECT_EQ(after.outputs()[0].dims->front().symbol, "rows");
}

TEST(FoldDimensionsOf, AChainThatIsShortened) {
  Net m(15, false);
  const ValueId a = m.map(MapKind::scale, m.op("Sigmoid", {m.x}), kC, 4);
  output_dimensions(m, a);
  end(m, m.map(MapKind::scale, a, kC, 4));
  const auto report = expect_fold(m.b.model(), {{"Sigmoid", 1}, {"Mul", 2}, {"Size", 1}, {"Tanh", 1}});
  EXPECT_EQ(report.simplifications.size(), 1U);
}

TEST(FoldDimensionsOf, OtherReadersStillCount) {
  for (const bool elements : {false, true}) {
    Net m(15, false);
    const ValueId h = gemm(m, m.op("Flatten", {m.x}), kC * kPlane, 4);
    m.b.output(elements ? m.op("NonZero", {h}) : m.op("EyeLike", {h}));
    end(m, m.batch_normalization(h, 4));
    if (elements)
      expect_declined(m.b.model(), Decline::intermediate_used_elsewhere);
    else
      expect_fold(m.b.model(), {{"Flatten", 1}, {"Gemm", 1}, {"EyeLike", 1}, {"Tanh", 1}}, 8e-6);
  }
}

}  // namespace
}  // namespace bnrun
