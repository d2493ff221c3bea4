// Folding around operators that the engine does not know: types go on from what the operators behind them know.
#include <gtest/gtest.h>

#include <functional>

#include "api/model_access.h"
#include "bnrun/error.h"
#include "support/expect_error.h"
#include "support/fold_layer.h"
#include "support/fold_testing.h"

namespace bnrun {
namespace {

using namespace testing;

/// The same network around an operator that is known, or is not.
struct Net : Maker {
  explicit Net(bool known) : known_(known) { b.import("com.custom", 1); }

  ValueId odd(ValueId data) { return b.node("Tanh", {data}, {}, {""}, known_ ? "" : "com.custom")[0]; }
  ValueId rows(std::int64_t features = 5) { return odd(b.input("x", DType::float32, {"N", features})); }
  ValueId image() { return odd(b.input("x", DType::float32, {"N", 4, 5, 6})); }
  ValueId gemm(ValueId data) { return b.op("Gemm", {data, random({5, 4}), random({4})}); }
  ValueId batch_normalization(ValueId data, std::int64_t channels = 4) {
    return Maker::batch_normalization(data, channels);
  }
  void end(ValueId y) { b.output(b.op("Sigmoid", {y})); }

 private:
  bool known_;
};

struct Case {
  const char* name;
  std::function<void(Net&)> build;
  Operators left;
};

class FoldIslands : public ::testing::TestWithParam<Case> {};

/// What the operator computes cannot be told; that the constants are those of the network in which it is known can.
TEST_P(FoldIslands, AreFoldedAroundAsAroundAKnownOperator) {
  Net known(true);
  Net odd(false);
  GetParam().build(known);
  GetParam().build(odd);
  expect_fold(known.b.model(), GetParam().left, 4e-6);
  Model after = odd.b.model();
  const FoldReport report = fold(after);
  EXPECT_EQ(report.after.operators, GetParam().left);
  EXPECT_TRUE(report.complete());
  EXPECT_FALSE(report.entries.empty());
  const Model expected = folded(known.b.model());
  const Graph& a = graph_of(expected);
  const Graph& b = graph_of(after);
  for (const ValueId id : a.live_values()) {
    if (!a.value(id).constant.defined()) continue;
    const ValueId other = b.find_value(a.value(id).name);
    ASSERT_TRUE(other.valid()) << a.value(id).name;
    EXPECT_TRUE(identical(a.value(id).constant, b.value(other).constant)) << a.value(id).name;
  }
}

const Case kCases[] = {
    {"BehindAGemm",
     [](Net& m) { m.end(m.batch_normalization(m.gemm(m.rows()))); },
     {{"Tanh", 1}, {"Gemm", 1}, {"Sigmoid", 1}}},
    {"BehindAConv",
     [](Net& m) {
       m.end(m.batch_normalization(m.b.op("Conv", {m.image(), m.random({4, 4, 3, 3})})));
     },
     {{"Tanh", 1}, {"Conv", 1}, {"Sigmoid", 1}}},
    {"BehindAConvTranspose",
     [](Net& m) {
       m.end(m.batch_normalization(m.b.op("ConvTranspose", {m.image(), m.random({4, 4, 3, 3})})));
     },
     {{"Tanh", 1}, {"ConvTranspose", 1}, {"Sigmoid", 1}}},
    {"InFrontOfAGemm",  // whose input has rank 2 and its weights' type
     [](Net& m) { m.end(m.gemm(m.batch_normalization(m.rows(), 5))); },
     {{"Tanh", 1}, {"Gemm", 1}, {"Sigmoid", 1}}},
    {"InFrontOfAConv",
     [](Net& m) {
       m.end(m.b.op("Conv", {m.batch_normalization(m.image()), m.random({5, 4, 2, 2})}));
     },
     {{"Tanh", 1}, {"Conv", 1}, {"Sigmoid", 1}}},
    {"ThroughAnActivation",
     [](Net& m) {
       m.end(m.gemm(m.b.op("Relu", {m.b.op("Mul", {m.rows(), m.random({}, 0.5, 2.0)})})));
     },
     {{"Tanh", 1}, {"Relu", 1}, {"Gemm", 1}, {"Sigmoid", 1}}},
    {"BehindAReshape",
     [](Net& m) {
       const ValueId rows = m.b.op("Reshape", {m.rows(10), Tensor({2}, Ints{-1, 5})});
       m.end(m.gemm(m.batch_normalization(rows, 5)));
     },
     {{"Tanh", 1}, {"Reshape", 1}, {"Gemm", 1}, {"Sigmoid", 1}}},
    {"InFrontOfAPool",
     [](Net& m) {
       const ValueId a = m.b.op("Mul", {m.image(), m.random({}, 0.5, 2.0)});
       const ValueId pooled = m.b.op("MaxPool", {a}, {{"kernel_shape", Ints{2, 2}}});
       m.end(m.b.op("Conv", {pooled, m.random({5, 4, 2, 2})}));
     },
     {{"Tanh", 1}, {"MaxPool", 1}, {"Conv", 1}, {"Sigmoid", 1}}},
    {"BehindWhatIsJoined",
     [](Net& m) {
       const ValueId z = m.b.input("z", DType::float32, {"N", 2});
       const ValueId joined = m.b.op("Concat", {m.rows(3), z}, {{"axis", std::int64_t{1}}});
       m.end(m.batch_normalization(m.gemm(joined)));
     },
     {{"Tanh", 1}, {"Concat", 1}, {"Gemm", 1}, {"Sigmoid", 1}}},
};

INSTANTIATE_TEST_SUITE_P(All, FoldIslands, ::testing::ValuesIn(kCases),
                         [](const auto& row) { return std::string(row.param.name); });

struct GuardCase {
  const char* name;
  std::function<void(Net&)> build;
};

class FoldIslandsGuard : public ::testing::TestWithParam<GuardCase> {};

TEST_P(FoldIslandsGuard, NothingIsAssumedThatTheOperatorMayContradict) {
  Net m(false);
  GetParam().build(m);
  Model model = m.b.model();
  const FoldReport report = fold(model);
  EXPECT_EQ(report.rewrites, 0U);
  for (const FoldEntry& entry : report.entries) {
    EXPECT_FALSE(entry.folded);
    EXPECT_EQ(name_of(entry.reason), name_of(Decline::axis_unproven));
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, FoldIslandsGuard,
    ::testing::Values(
        GuardCase{"TheRankBehindAMatMul",  // rows, or rows of rows
                  [](Net& m) {
                    m.end(m.batch_normalization(m.b.op("MatMul", {m.rows(), m.random({5, 4})})));
                  }},
        GuardCase{"TheRankOfASum",
                  [](Net& m) {
                    const ValueId y = m.b.op(
                        "Add", {m.rows(4), m.b.op("Relu", {m.b.input("z", DType::float32, {"N", 4})})});
                    m.end(m.batch_normalization(y));
                  }},
        GuardCase{"TheExtentInFrontOfAConstant",  // [N,1]*[4] is [N,4] as well
                  [](Net& m) {
                    const ValueId y = m.b.op("Mul", {m.rows(4), m.random({4})});
                    m.end(m.b.op("Gemm", {y, m.random({4, 2})}));
                  }}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(FoldIslandsGuard, AModelThatContradictsItselfIsRefused) {
  Net m(false);
  const ValueId h = m.rows();
  m.b.output(m.b.op("Gemm", {m.b.op("Conv", {h, m.random({4, 4, 3, 3})}), m.random({4, 2})}));
  Model model = m.b.model();
  expect_error(ErrorCode::invalid_model, [&] { fold(model); });
}

TEST(FoldIslandsGuard, InputsAndOutputsKeepTheirTypes) {
  Net m(false);
  const ValueId x = m.b.input("z", ValueType{DType::float32, std::nullopt});
  m.end(m.gemm(m.batch_normalization(x, 5)));
  Model model = m.b.model();
  const FoldReport report = fold(model);
  EXPECT_TRUE(report.complete());  // the rank follows from the Gemm
  EXPECT_FALSE(model.inputs()[0].dims.has_value());
}

}  // namespace
}  // namespace bnrun
