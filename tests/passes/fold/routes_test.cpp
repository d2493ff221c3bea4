// Folding along ways that fork: operators that join or part data, and values with several readers.
#include <gtest/gtest.h>

#include <functional>

#include "api/model_access.h"
#include "support/fold_layer.h"
#include "support/fold_testing.h"

namespace bnrun {
namespace {

using namespace testing;

constexpr std::int64_t kIn = 5;
constexpr std::int64_t kOut = 4;

/// x[N,5] and random layers on top of it.
struct Net : Maker {
  ValueId x = b.input("x", DType::float32, {"N", kIn});

  ValueId gemm(ValueId data, std::int64_t from = kIn, std::int64_t to = kOut) {
    return b.op("Gemm", {data, random({from, to}), random({to})});
  }
  ValueId matmul(ValueId data, std::int64_t from = kIn, std::int64_t to = kOut) {
    return b.op("MatMul", {data, random({from, to})});
  }
  ValueId batch_normalization(ValueId data, std::int64_t channels = kOut) {
    return Maker::batch_normalization(data, channels);
  }
  ValueId relu(ValueId data) { return b.op("Relu", {data}); }
  ValueId concat(const std::vector<NodeInput>& parts, std::int64_t axis = 1) {
    return b.op("Concat", parts, {{"axis", axis}});
  }
  std::vector<ValueId> split(ValueId data, const Ints& lengths) {
    return b.node("Split", {data, Tensor({static_cast<std::int64_t>(lengths.size())}, lengths)},
                  {{"axis", std::int64_t{1}}}, std::vector<std::string>(lengths.size()));
  }
  /// Keeps maps from leaving at the end.
  void end(ValueId y) { b.output(b.op("Tanh", {y})); }
};

struct Case {
  const char* name;
  std::function<void(Net&)> build;
  Operators left;
};

class FoldRoutes : public ::testing::TestWithParam<Case> {};

TEST_P(FoldRoutes, LeaveOnlyWhatIsNotAffine) {
  Net m;
  GetParam().build(m);
  const FoldReport report = expect_fold(m.b.model(), GetParam().left, 4e-6);
  EXPECT_TRUE(report.complete());
  EXPECT_FALSE(report.entries.empty());
}

const Case kCases[] = {
    // ---- up, into everything that is joined
    {"UpConcat",
     [](Net& m) {
       m.end(m.batch_normalization(m.concat({m.gemm(m.x), m.gemm(m.x)}), 2 * kOut));
     },
     {{"Gemm", 2}, {"Concat", 1}, {"Tanh", 1}}},
    {"UpConcatOfUnequalParts",
     [](Net& m) {
       m.end(m.batch_normalization(m.concat({m.gemm(m.x, kIn, 1), m.matmul(m.x), m.gemm(m.x, kIn, 2)}), 7));
     },
     {{"Gemm", 3}, {"Concat", 1}, {"Tanh", 1}}},
    {"UpConcatOfRows",
     [](Net& m) {
       m.end(m.batch_normalization(m.concat({m.gemm(m.x), m.gemm(m.x)}, 0)));
     },
     {{"Gemm", 2}, {"Concat", 1}, {"Tanh", 1}}},
    {"UpConcatByAScalar",
     [](Net& m) {
       m.end(m.b.op("Mul", {m.concat({m.gemm(m.x), m.gemm(m.x)}), m.random({})}));
     },
     {{"Gemm", 2}, {"Concat", 1}, {"Tanh", 1}}},
    {"UpConcatOfRowsWithAConstant",
     [](Net& m) {
       m.end(m.batch_normalization(m.concat({m.gemm(m.x), m.random({2, kOut})}, 0)));
     },
     {{"Gemm", 1}, {"Concat", 1}, {"Tanh", 1}}},
    {"UpConcatThroughOtherOperators",
     [](Net& m) {
       const Tensor axis({1}, Ints{2});
       const ValueId a = m.b.op("Unsqueeze", {m.gemm(m.x), axis});
       const ValueId b = m.b.op("Unsqueeze", {m.b.op("Mul", {m.gemm(m.x), m.random({kOut})}), axis});
       m.end(m.batch_normalization(m.concat({a, b}), 2 * kOut));
     },
     {{"Gemm", 2}, {"Unsqueeze", 2}, {"Concat", 1}, {"Tanh", 1}}},
    {"UpAdd",
     [](Net& m) {
       m.end(m.batch_normalization(m.b.op("Add", {m.gemm(m.x), m.gemm(m.x)})));
     },
     {{"Gemm", 2}, {"Add", 1}, {"Tanh", 1}}},
    {"UpAddThatActivatesItsFirstOperand",
     [](Net& m) {
       const ValueId a = m.relu(m.gemm(m.x));
       const ValueId b = m.gemm(m.x);
       const ValueId y = m.b.op("Mul", {m.b.op("Add", {a, b}), m.random({kOut}, 0.5, 2.0)});
       m.end(m.b.op("Add", {y, m.random({kOut})}));
     },
     {{"Gemm", 2}, {"Relu", 1}, {"Add", 1}, {"Tanh", 1}}},
    {"UpAddThatActivatesItsLastOperand",
     [](Net& m) {
       const ValueId a = m.gemm(m.x);
       const ValueId b = m.relu(m.gemm(m.x));
       const ValueId y = m.b.op("Mul", {m.b.op("Add", {a, b}), m.random({kOut}, 0.5, 2.0)});
       m.end(m.b.op("Add", {y, m.random({kOut})}));
     },
     {{"Gemm", 2}, {"Relu", 1}, {"Add", 1}, {"Tanh", 1}}},
    {"UpConcatOfOneConstantTwice",
     [](Net& m) {
       const ValueId x = m.b.input("image", DType::float32, {3, 2, 2, 2});
       const ValueId Z = m.b.constant(m.random({3, 1, 2, 2}), "Z");
       const ValueId h = m.b.op("Conv", {x, m.random({2, 2, 1, 1})});
       m.end(m.batch_normalization(m.concat({Z, h, Z})));
     },
     {{"Conv", 1}, {"Concat", 1}, {"Tanh", 1}}},
    {"UpSub",
     [](Net& m) {
       m.end(m.batch_normalization(m.b.op("Sub", {m.gemm(m.x), m.matmul(m.x)})));
     },
     {{"Gemm", 1}, {"MatMul", 1}, {"Sub", 1}, {"Tanh", 1}}},
    {"UpSum",
     [](Net& m) {
       m.end(m.batch_normalization(m.b.op("Sum", {m.gemm(m.x), m.gemm(m.x), m.gemm(m.x)})));
     },
     {{"Gemm", 3}, {"Sum", 1}, {"Tanh", 1}}},
    {"UpMean",
     [](Net& m) {
       m.end(m.batch_normalization(m.b.op("Mean", {m.gemm(m.x), m.gemm(m.x), m.gemm(m.x)})));
     },
     {{"Gemm", 3}, {"Mean", 1}, {"Tanh", 1}}},
    {"UpMaxByPositiveScales",
     [](Net& m) {
       const ValueId most = m.b.op("Max", {m.gemm(m.x), m.gemm(m.x)});
       m.end(m.b.op("Add", {m.b.op("Mul", {most, m.random({kOut}, 0.5, 2.0)}), m.random({kOut})}));
     },
     {{"Gemm", 2}, {"Max", 1}, {"Tanh", 1}}},
    {"UpAddOfWhatConcatJoins",
     [](Net& m) {
       const ValueId joined = m.concat({m.gemm(m.x, kIn, 1), m.gemm(m.x, kIn, 3)});
       m.end(m.batch_normalization(m.b.op("Add", {joined, m.gemm(m.x)})));
     },
     {{"Gemm", 3}, {"Concat", 1}, {"Add", 1}, {"Tanh", 1}}},
    {"UpSplitIntoThePartItReads",
     [](Net& m) {
       const auto parts = m.split(m.gemm(m.x, kIn, 6), {2, 4});
       m.end(m.batch_normalization(parts[1]));
       m.b.output(m.relu(parts[0]));
     },
     {{"Gemm", 1}, {"Split", 1}, {"Relu", 1}, {"Tanh", 1}}},
    {"UpSplitFromBothParts",
     [](Net& m) {
       const auto parts = m.split(m.gemm(m.x, kIn, 6), {2, 4});
       m.end(m.batch_normalization(parts[0], 2));
       m.end(m.batch_normalization(parts[1]));
     },
     {{"Gemm", 1}, {"Split", 1}, {"Tanh", 2}}},
    {"UpAddOfTheParts",  // both parts ask the one Split
     [](Net& m) {
       const auto parts = m.split(m.gemm(m.x, kIn, 2 * kOut), {kOut, kOut});
       m.end(m.batch_normalization(m.b.op("Add", {parts[0], parts[1]})));
     },
     {{"Gemm", 1}, {"Split", 1}, {"Add", 1}, {"Tanh", 1}}},
    {"UpTwiceToOneValue",  // one of them through a Cast that does nothing
     [](Net& m) {
       const ValueId h = m.gemm(m.x);
       const ValueId same = m.b.op("Cast", {h}, {{"to", std::int64_t{1}}});
       m.end(m.b.op("Mul", {m.b.op("Add", {same, h}), m.random({kOut})}));
     },
     {{"Gemm", 1}, {"Add", 1}, {"Tanh", 1}}},
    // ---- down, into everything that reads it
    {"DownIntoTwoReaders",
     [](Net& m) {
       const ValueId a = m.batch_normalization(m.relu(m.x), kIn);
       m.end(m.gemm(a));
       m.end(m.gemm(a));
     },
     {{"Gemm", 2}, {"Relu", 1}, {"Tanh", 2}}},
    {"DownSplit",
     [](Net& m) {
       const auto parts = m.split(m.batch_normalization(m.relu(m.x), kIn), {2, 3});
       m.end(m.gemm(parts[0], 2));
       m.end(m.gemm(parts[1], 3));
     },
     {{"Gemm", 2}, {"Relu", 1}, {"Split", 1}, {"Tanh", 2}}},
    {"DownConcat",
     [](Net& m) {
       const ValueId a = m.batch_normalization(m.relu(m.x), kIn);
       m.end(m.gemm(m.concat({a, m.b.op("Sigmoid", {m.x})}), 2 * kIn));
     },
     {{"Gemm", 1}, {"Relu", 1}, {"Sigmoid", 1}, {"Concat", 1}, {"Tanh", 1}}},
    {"DownConcatFromBothParts",
     [](Net& m) {
       const ValueId a = m.batch_normalization(m.relu(m.x), kIn);
       const ValueId b = m.batch_normalization(m.b.op("Sigmoid", {m.x}), kIn);
       m.end(m.gemm(m.concat({a, b}), 2 * kIn));
     },
     {{"Gemm", 1}, {"Relu", 1}, {"Sigmoid", 1}, {"Concat", 1}, {"Tanh", 1}}},
    {"DownDenseBlock",  // the layers read what all layers before have made
     [](Net& m) {
       const ValueId a = m.batch_normalization(m.relu(m.x), kIn);
       const ValueId b = m.relu(m.gemm(a));
       const ValueId c = m.relu(m.gemm(m.concat({a, b}), kIn + kOut));
       m.end(m.gemm(m.concat({a, b, c}), kIn + 2 * kOut));
     },
     {{"Gemm", 3}, {"Relu", 3}, {"Concat", 2}, {"Tanh", 1}}},
    {"DownAndAlongAnotherMap",
     [](Net& m) {
       const ValueId a = m.batch_normalization(m.relu(m.x), kIn);
       m.end(m.gemm(a));
       m.end(m.gemm(m.b.op("Mul", {a, m.random({kIn})})));
     },
     {{"Gemm", 2}, {"Relu", 1}, {"Tanh", 2}}},
    {"DownAddOfTheParts",
     [](Net& m) {
       const ValueId a = m.b.op("Mul", {m.relu(m.gemm(m.x, kIn, 6)), m.random({}, -2.0, -1.0)});
       const auto parts = m.split(a, {3, 3});
       m.end(m.gemm(m.b.op("Add", {parts[0], parts[1]}), 3));
     },
     {{"Gemm", 2}, {"Relu", 1}, {"Split", 1}, {"Add", 1}, {"Tanh", 1}}},
    {"DownSubOfTheParts",  // whose shifts cancel
     [](Net& m) {
       const ValueId scaled = m.b.op("Mul", {m.relu(m.gemm(m.x, kIn, 6)), m.random({}, -2.0, -1.0)});
       const auto parts = m.split(m.b.op("Add", {scaled, m.random({}, 1.0, 2.0)}), {3, 3});
       m.end(m.gemm(m.b.op("Sub", {parts[0], parts[1]}), 3));
     },
     {{"Gemm", 2}, {"Relu", 1}, {"Split", 1}, {"Sub", 1}, {"Tanh", 1}}},
};

INSTANTIATE_TEST_SUITE_P(All, FoldRoutes, ::testing::ValuesIn(kCases),
                         [](const auto& row) { return std::string(row.param.name); });

// ---------------------------------------------------------------- guards

TEST(FoldRoutesGuard, AResidualIsReadElsewhere) {
  Net m;
  const ValueId h = m.gemm(m.x);
  m.end(m.batch_normalization(m.b.op("Add", {h, m.gemm(m.relu(h), kOut)})));
  expect_untouched(m.b.model(), Decline::intermediate_used_elsewhere);
}

TEST(FoldRoutesGuard, OneOfTheJoinedCannotTakeIt) {
  for (const char* joins : {"Add", "Concat"}) {
    Net m;
    const std::vector<NodeInput> parts = {m.gemm(m.x), m.relu(m.gemm(m.x))};
    const bool add = joins == std::string("Add");
    m.end(m.batch_normalization(add ? m.b.op("Add", parts) : m.concat(parts), add ? kOut : 2 * kOut));
    expect_untouched(m.b.model(), Decline::activation_between);
  }
}

TEST(FoldRoutesGuard, OneOfThePartsCannotTakeIt) {
  Net m;
  const auto parts = m.split(m.batch_normalization(m.relu(m.x), kIn), {2, 3});
  m.end(m.gemm(parts[0], 2));
  m.end(parts[1]);
  expect_untouched(m.b.model(), Decline::activation_between);
}

TEST(FoldRoutesGuard, OneValueCannotBecomeTwo) {
  Net m;  // the halves of the BatchNormalization differ, what they normalise is one value
  const ValueId h = m.gemm(m.x);
  m.end(m.batch_normalization(m.concat({h, h}), 2 * kOut));
  expect_untouched(m.b.model(), Decline::intermediate_used_elsewhere);
}

TEST(FoldRoutesGuard, APartThatIsAnOutputKeepsItsNumbers) {
  Net m;
  const auto parts = m.split(m.gemm(m.x, kIn, 2 * kOut), {kOut, kOut});
  m.end(m.batch_normalization(m.b.op("Add", {parts[0], parts[1]})));
  m.b.output(parts[0]);
  expect_untouched(m.b.model(), Decline::intermediate_is_output);
}

TEST(FoldRoutesGuard, MaxByANegativeScale) {
  Net m;
  m.end(m.b.op("Mul", {m.b.op("Max", {m.gemm(m.x), m.gemm(m.x)}), row({1, 1, -1, 1})}));
  expect_untouched(m.b.model(), Decline::activation_between);
}

TEST(FoldRoutesGuard, AddOfAScaledAndAnUnscaledValue) {
  Net m;
  const ValueId scaled = m.b.op("Mul", {m.relu(m.x), m.random({kIn})});
  m.end(m.gemm(m.b.op("Add", {scaled, m.b.op("Sigmoid", {m.x})})));
  expect_untouched(m.b.model(), Decline::activation_between);
}

TEST(FoldRoutesGuard, AddThatStretchesAnOperand) {
  Net m;
  const ValueId column = m.gemm(m.x, kIn, 1);  // [N,1] + [N,4]
  m.end(m.batch_normalization(m.b.op("Add", {column, m.gemm(m.x)})));
  expect_untouched(m.b.model(), Decline::axis_unproven);
}

TEST(FoldRoutesGuard, ConcatOfUnknownLengths) {
  Net m;
  const ValueId y = m.b.input("y", DType::float32, {"N", "K"});
  m.end(m.batch_normalization(m.concat({m.gemm(m.x), m.relu(y)}), 2 * kOut));
  expect_declined(m.b.model(), Decline::axis_unproven);
}

TEST(FoldRoutesGuard, AConstantThatIsReadElsewhereKeepsItsBits) {
  Net m;
  const Tensor rows = m.random({2, kOut});
  const ValueId constant = m.b.constant(rows, "rows");
  m.end(m.batch_normalization(m.concat({m.gemm(m.x), constant}, 0)));
  m.b.output(m.b.op("Concat", {constant, m.matmul(m.x)}, {{"axis", std::int64_t{0}}}));
  const Model original = m.b.model();
  expect_fold(original, {{"Gemm", 1}, {"MatMul", 1}, {"Concat", 2}, {"Tanh", 1}});
  const Model after = folded(original);
  EXPECT_TRUE(identical(graph_of(after).value(graph_of(after).find_value("rows")).constant, rows));
}

/// The bias of the first layer is one of the rows that are joined; only the rows change.
TEST(FoldRoutesGuard, AConstantOnTheWayIsTheBiasOfALayerToo) {
  Net m;
  const ValueId shared = m.b.constant(m.random({1, kOut}), "shared");
  const ValueId h = m.b.op("Add", {m.b.op("Relu", {m.x}), m.random({kIn})});
  const ValueId a = m.b.op("Gemm", {h, m.random({kIn, kOut}), shared});
  const ValueId slope = m.b.op("PRelu", {a, shared});
  m.end(m.b.op("Mul", {m.concat({slope, shared}, 0), m.random({kOut}, 0.5, 2.0)}));
  expect_fold(m.b.model(), {{"Relu", 1}, {"Gemm", 1}, {"PRelu", 1}, {"Concat", 1}, {"Tanh", 1}});
}

}  // namespace
}  // namespace bnrun
