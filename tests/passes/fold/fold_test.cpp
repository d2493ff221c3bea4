// Folding: {disguise} x {linear operator form} x {direction} x {type}, structure and numbers; then every
// guard.
#include <gtest/gtest.h>

#include <functional>

#include "api/model_access.h"
#include "support/fold_testing.h"

namespace bnrun {
namespace {

using namespace testing;

constexpr std::int64_t kIn = 5;
constexpr std::int64_t kOut = 4;

struct Disguise {
  const char* name;
  std::function<ValueId(Maker&, ValueId, std::int64_t)> build;
  bool shifts = true;
};

const std::vector<Disguise> kDisguises = {
    {"BatchNormalization", [](Maker& m, ValueId x, std::int64_t c) { return m.batch_normalization(x, c); }},
    {"MulAdd",
     [](Maker& m, ValueId x, std::int64_t c) {
       return m.b.op("Add", {m.b.op("Mul", {x, m.random({c})}), m.random({1, c})});
     }},
    {"AddMulConstantsFirst",
     [](Maker& m, ValueId x, std::int64_t c) {
       return m.b.op("Mul", {m.random({c}), m.b.op("Add", {m.random({c}), x})});
     }},
    {"SubDiv",
     [](Maker& m, ValueId x, std::int64_t c) {
       return m.b.op("Div", {m.b.op("Sub", {x, m.random({c})}), m.random({c}, 0.5, 2.0)});
     }},
    {"ConstantMinusX",
     [](Maker& m, ValueId x, std::int64_t c) {
       return m.b.op("Sub", {m.random({c}), x});
     }},
    {"ScalarMul",
     [](Maker& m, ValueId x, std::int64_t) {
       return m.b.op("Mul", {x, m.random({})});
     },
     false},
    {"TwoBatchNormalizations",
     [](Maker& m, ValueId x, std::int64_t c) {
       return m.batch_normalization(m.batch_normalization(x, c), c);
     }},
    {"ParametersBehindIdentity",
     [](Maker& m, ValueId x, std::int64_t c) {
       const auto hidden = [&](double low, double high) {
         return m.b.op("Identity", {m.random({c}, low, high)});
       };
       return m.b.op("BatchNormalization", {x, hidden(-1, 1), hidden(-1, 1), hidden(-1, 1), hidden(0.5, 2)});
     }},
    {"DecomposedReciprocal",  // tf2onnx: Add(eps)-Sqrt-Reciprocal-Mul-Mul-Sub-Add
     [](Maker& m, ValueId x, std::int64_t c) {
       const ValueId deviation =
           m.b.op("Sqrt", {m.b.op("Add", {m.random({c}, 0.5, 2), m.random({}, 1e-3, 2e-3)})});
       const ValueId factor = m.b.op("Mul", {m.b.op("Reciprocal", {deviation}), m.random({c})});
       const ValueId shift = m.b.op("Sub", {m.random({c}), m.b.op("Mul", {factor, m.random({c})})});
       return m.b.op("Add", {m.b.op("Mul", {x, factor}), shift});
     }},
    {"DecomposedRsqrt",  // Keras 3 on torch: (x - mean) * (rsqrt(var + eps) * gamma) + beta
     [](Maker& m, ValueId x, std::int64_t c) {
       const ValueId deviation =
           m.b.op("Sqrt", {m.b.op("Add", {m.random({1, c}, 0.5, 2), m.random({}, 1e-3, 2e-3)})});
       const ValueId factor =
           m.b.op("Mul", {m.b.op("Div", {m.random({}, 1, 1), deviation}), m.random({1, c})});
       return m.b.op("Add", {m.b.op("Mul", {m.b.op("Sub", {x, m.random({c})}), factor}), m.random({c})});
     }},
    {"ParametersBehindReshapeAndCast",
     [](Maker& m, ValueId x, std::int64_t c) {
       const ValueId column =
           m.b.op("Cast", {m.random({c, 1})}, {{"to", static_cast<std::int64_t>(m.dtype)}});
       const ValueId row = m.b.op("Reshape", {column, Tensor({2}, std::vector<std::int64_t>{1, -1})});
       return m.b.op("Mul", {m.b.op("Neg", {x}), m.b.op("Transpose", {m.b.op("Transpose", {row})})});
     },
     false},
    {"UnsqueezeBatchNormalizationSqueeze",  // torch's old way at rank 2
     [](Maker& m, ValueId x, std::int64_t c) {
       const Tensor axis({1}, std::vector<std::int64_t>{2});
       return m.b.op("Squeeze", {m.batch_normalization(m.b.op("Unsqueeze", {x, axis}), c), axis});
     }},
    {"IdentityBetween",
     [](Maker& m, ValueId x, std::int64_t c) { return m.batch_normalization(m.b.op("Identity", {x}), c); }},
};

struct LinearForm {
  const char* name;
  std::function<ValueId(Maker&, ValueId)> build;
};

const std::vector<LinearForm> kLinearForms = {
    {"Gemm",
     [](Maker& m, ValueId x) {
       return m.b.op("Gemm", {x, m.random({kIn, kOut}), m.random({kOut})});
     }},
    {"GemmTransB",
     [](Maker& m, ValueId x) {
       return m.b.op("Gemm", {x, m.random({kOut, kIn}), m.random({kOut})}, {{"transB", std::int64_t{1}}});
     }},
    {"GemmAlphaBeta",
     [](Maker& m, ValueId x) {
       return m.b.op("Gemm", {x, m.random({kIn, kOut}), m.random({1, kOut})},
                     {{"alpha", 0.5F}, {"beta", -2.0F}});
     }},
    {"GemmWithoutC",
     [](Maker& m, ValueId x) {
       return m.b.op("Gemm", {x, m.random({kIn, kOut})});
     }},
    {"GemmScalarC",
     [](Maker& m, ValueId x) {
       return m.b.op("Gemm", {x, m.random({kIn, kOut}), m.random({})});
     }},
    {"GemmBetaZeroIgnoresNaN",
     [](Maker& m, ValueId x) {
       const Tensor nan = convert(Tensor({kOut}, std::vector<double>(kOut, NAN)), m.dtype);
       return m.b.op("Gemm", {x, m.random({kIn, kOut}), nan}, {{"beta", 0.0F}});
     }},
    {"MatMul",
     [](Maker& m, ValueId x) {
       return m.b.op("MatMul", {x, m.random({kIn, kOut})});
     }},
    {"MatMulAdd",
     [](Maker& m, ValueId x) {
       return m.b.op("Add", {m.b.op("MatMul", {x, m.random({kIn, kOut})}), m.random({kOut})});
     }},
    {"MatMulAddBiasFirst",
     [](Maker& m, ValueId x) {
       return m.b.op("Add", {m.random({kOut}), m.b.op("MatMul", {x, m.random({kIn, kOut})})});
     }},
};

using FoldCase = std::tuple<std::size_t, std::size_t, bool, DType>;

class FoldTable : public ::testing::TestWithParam<FoldCase> {};

TEST_P(FoldTable, LeavesOnlyTheLinearOperator) {
  const auto& [disguise_index, form_index, backward, dtype] = GetParam();
  const Disguise& disguise = kDisguises[disguise_index];
  const LinearForm& form = kLinearForms[form_index];
  Maker m;
  m.dtype = dtype;
  const ValueId x = m.b.input("x", dtype, {"N", kIn});
  // Forward: the activation in front keeps the map from going anywhere else.
  const ValueId y = backward ? m.b.op("Relu", {disguise.build(m, form.build(m, x), kOut)})
                             : form.build(m, disguise.build(m, m.b.op("Relu", {x}), kIn));
  m.b.output(y);
  // A MatMul that has a shift to take becomes a Gemm; one that is only scaled stays what it is.
  const bool stays_matmul = form.name == std::string("MatMul") && !disguise.shifts;
  const Operators left = {{"Relu", 1}, {stays_matmul ? "MatMul" : "Gemm", 1}};
  const auto report = expect_fold(m.b.model(), left, dtype == DType::float64 ? 1e-14 : 2e-6);
  EXPECT_TRUE(report.complete());
  ASSERT_FALSE(report.entries.empty());
  EXPECT_EQ(report.entries[0].direction, backward ? FoldDirection::backward : FoldDirection::forward);
}

std::string case_name(const ::testing::TestParamInfo<FoldCase>& info) {
  const auto& [disguise, form, backward, dtype] = info.param;
  return std::string(kDisguises[disguise].name) + (backward ? "After" : "Before") + kLinearForms[form].name +
         (dtype == DType::float64 ? "Double" : "Float");
}

INSTANTIATE_TEST_SUITE_P(All, FoldTable,
                         ::testing::Combine(::testing::Range<std::size_t>(0, kDisguises.size()),
                                            ::testing::Range<std::size_t>(0, kLinearForms.size()),
                                            ::testing::Bool(),
                                            ::testing::Values(DType::float32, DType::float64)),
                         case_name);

/// x -> Gemm -> h -> BatchNormalization -> y, with a hand in the middle.
struct GemmThenBatchNormalization : Maker {
  ValueId x = b.input("x", dtype, {"N", kIn});
  ValueId h = b.op("Gemm", {x, random({kIn, kOut}), random({kOut})}, {}, "h");
};

TEST(Fold, TheNetworkOfTheMissionBecomesThreeGemmsAndASoftmax) {
  Maker m;
  ValueId x = m.b.input("x", DType::float32, {"N", 64});
  std::int64_t width = 64;
  for (const std::int64_t units : {32, 32}) {
    x = m.batch_normalization(m.b.op("Gemm", {x, m.random({width, units}, -0.3, 0.3), m.random({units})}),
                              units);
    width = units;
  }
  m.b.output(m.b.op("Sigmoid", {m.b.op("Gemm", {x, m.random({width, 10}, -0.3, 0.3), m.random({10})})}));
  const auto report = expect_fold(m.b.model(), {{"Gemm", 3}, {"Sigmoid", 1}});
  ASSERT_EQ(report.entries.size(), 2U);
  EXPECT_EQ(report.entries[0].into, "Gemm 'Gemm_0'");
}

TEST(Fold, BothSidesOfOneLayerAreRoundedTogether) {
  Maker m;
  const ValueId x = m.b.op("Relu", {m.b.input("x", DType::float32, {"N", kIn})});
  const ValueId y = m.b.op("Gemm", {m.batch_normalization(x, kIn), m.random({kIn, kOut}), m.random({kOut})});
  m.b.output(m.batch_normalization(y, kOut));
  const auto report = expect_fold(m.b.model(), {{"Relu", 1}, {"Gemm", 1}});
  EXPECT_EQ(report.rewrites, 1U);
}

TEST(Fold, PositiveScalePassesRelu) {
  Maker m;
  const ValueId x = m.b.input("x", DType::float32, {"N", kIn});
  const ValueId h = m.b.op("Relu", {m.b.op("Gemm", {x, m.random({kIn, kOut}), m.random({kOut})})});
  m.b.output(m.b.op("Tanh", {m.b.op("Mul", {h, m.random({kOut}, 0.5, 2.0)})}));
  expect_fold(m.b.model(), {{"Gemm", 1}, {"Relu", 1}, {"Tanh", 1}});
}

TEST(Fold, NegativeScaleDoesNotPassRelu) {
  Maker m;
  const ValueId x = m.b.input("x", DType::float32, {"N", kIn});
  const ValueId h = m.b.op("Relu", {m.b.op("Gemm", {x, m.random({kIn, kOut}), m.random({kOut})})});
  m.b.output(m.b.op("Tanh", {m.b.op("Mul", {h, m.random({kOut}, -2.0, -0.5)})}));
  expect_declined(m.b.model(), Decline::activation_between);
}

TEST(Fold, SharedWeightsOfTheOtherNodeKeepTheirBits) {
  Maker m;
  const ValueId x = m.b.input("x", DType::float32, {"N", kIn});
  const ValueId W = m.b.constant(m.random({kIn, kOut}), "W");
  m.b.output(m.batch_normalization(m.b.op("MatMul", {x, W}), kOut));
  const ValueId other = m.b.op("MatMul", {x, W}, {}, "other");
  m.b.output(other);
  const Model original = m.b.model();
  expect_fold(original, {{"MatMul", 1}, {"Gemm", 1}});
  Model folded = original;
  fold(folded);
  EXPECT_TRUE(identical(graph_of(folded).value(graph_of(folded).find_value("W")).constant,
                        graph_of(original).value(graph_of(original).find_value("W")).constant));
}

TEST(Fold, BiasOfAMatMulBecomesThatOfAGemm) {
  Maker m;
  const ValueId x = m.b.input("x", DType::float32, {"N", kIn});
  m.b.output(m.b.op("Add", {m.b.op("MatMul", {x, m.random({kIn, kOut})}), m.random({kOut})}));
  EXPECT_TRUE(expect_fold(m.b.model(), {{"Gemm", 1}}).entries.empty());
  FoldOptions options;
  options.without = {"gemm"};
  EXPECT_TRUE(expect_fold(m.b.model(), {{"MatMul", 1}, {"Add", 1}}, 2e-6, options).entries.empty());
}

TEST(Fold, BiasOfAMatMulOfRank3Stays) {
  Maker m;
  const ValueId x = m.b.input("x", DType::float32, {"N", 3, kIn});
  m.b.output(m.b.op("Add", {m.b.op("MatMul", {x, m.random({kIn, kOut})}), m.random({kOut})}));
  expect_fold(m.b.model(), {{"MatMul", 1}, {"Add", 1}});
}

TEST(Fold, TransposesAroundABatchNormalizationOfRank3Cancel) {
  Maker m;
  const ValueId x = m.b.input("x", DType::float32, {"N", 3, kIn});
  const ValueId h = m.b.op("MatMul", {x, m.random({kIn, kOut})});
  const Attributes swap = {{"perm", std::vector<std::int64_t>{0, 2, 1}}};
  const ValueId y = m.batch_normalization(m.b.op("Transpose", {h}, swap), kOut);
  m.b.output(m.b.op("Relu", {m.b.op("Transpose", {y}, swap)}));
  expect_fold(m.b.model(), {{"MatMul", 1}, {"Add", 1}, {"Relu", 1}});
}

TEST(Fold, IntoEveryReaderOrIntoNone) {
  for (const bool all : {true, false}) {
    Maker m;
    const ValueId x =
        m.batch_normalization(m.b.op("Relu", {m.b.input("x", DType::float32, {"N", kIn})}), kIn);
    m.b.output(m.b.op("Gemm", {x, m.random({kIn, kOut}), m.random({kOut})}));
    m.b.output(m.b.op("MatMul", {x, m.random({kIn, kOut})}));
    if (all) {
      const auto report = expect_fold(m.b.model(), {{"Relu", 1}, {"Gemm", 1}, {"MatMul", 1}, {"Add", 1}},
                                      2e-6, {.without = {"gemm"}});
      ASSERT_EQ(report.entries.size(), 1U);
      EXPECT_EQ(report.entries[0].into, "Gemm 'Gemm_2', MatMul 'MatMul_3'");
    } else {
      m.b.output(m.b.op("Tanh", {x}));
      expect_declined(m.b.model(), Decline::intermediate_used_elsewhere);
    }
  }
}

TEST(Fold, IdentityBeforeAnOutputHandsItsNameOver) {
  Maker m;
  const ValueId x = m.b.input("x", DType::float32, {"N", kIn});
  m.b.output(m.b.op("Identity", {m.b.op("Relu", {x})}, {}, "y"));
  expect_fold(m.b.model(), {{"Relu", 1}});
}

TEST(Fold, IdentityBeforeAnOutputHandsItsNameOverToOtherReadersToo) {
  Maker m;
  const ValueId h = m.b.op("Relu", {m.b.input("x", DType::float32, {"N", kIn})});
  m.b.output(m.b.op("Identity", {h}, {}, "y"));
  m.b.output(m.b.op("Exp", {h}, {}, "z"));
  expect_fold(m.b.model(), {{"Relu", 1}, {"Exp", 1}});
}

TEST(Fold, IdentityOfAnOutputStays) {
  Maker m;
  const ValueId h = m.b.op("Relu", {m.b.input("x", DType::float32, {"N", kIn})}, {}, "h");
  m.b.output(h);
  m.b.output(m.b.op("Identity", {h}, {}, "y"));
  expect_fold(m.b.model(), {{"Relu", 1}, {"Identity", 1}});
}

TEST(Fold, IdentityBetweenInputAndOutputStays) {
  Maker m;
  m.b.output(m.b.op("Identity", {m.b.input("x", DType::float32, {"N", kIn})}, {}, "y"));
  expect_fold(m.b.model(), {{"Identity", 1}});
}

TEST(Fold, DenormalsAreFlushedAndCounted) {
  Maker m;
  const ValueId x = m.b.input("x", DType::float32, {"N", kIn});
  const ValueId h = m.b.op("Gemm", {x, m.random({kIn, kOut}), m.random({kOut})});
  m.b.output(m.b.op("Mul", {h, Tensor({kOut}, std::vector<float>{1.0F, 1.0F, 1e-38F, 1.0F})}));
  const auto report = expect_fold(m.b.model(), {{"Gemm", 1}});
  EXPECT_GE(report.entries.at(0).flushed_denormals, static_cast<std::size_t>(kIn));
}

// ---------------------------------------------------------------- guards

TEST(FoldGuard, IntermediateUsedElsewhere) {
  GemmThenBatchNormalization m;
  m.b.output(m.batch_normalization(m.h, kOut));
  m.b.output(m.b.op("Relu", {m.h}));
  expect_declined(m.b.model(), Decline::intermediate_used_elsewhere);
}

TEST(FoldGuard, IntermediateIsOutput) {
  GemmThenBatchNormalization m;
  m.b.output(m.batch_normalization(m.h, kOut));
  m.b.output(m.h);
  expect_declined(m.b.model(), Decline::intermediate_is_output);
}

TEST(FoldGuard, TrainingMode) {
  Maker m;
  m.b = GraphBuilder(15);
  const ValueId x = m.b.input("x", DType::float32, {"N", kIn});
  const ValueId h = m.b.op("Gemm", {x, m.random({kIn, kOut}), m.random({kOut})});
  m.b.output(m.b.op("BatchNormalization",
                    {h, m.random({kOut}), m.random({kOut}), m.random({kOut}), m.random({kOut}, 0.5, 2.0)},
                    {{"training_mode", std::int64_t{1}}}));
  expect_declined(m.b.model(), Decline::training_mode);
}

TEST(FoldGuard, TrainingModeOfOpset6WithoutIsTest) {
  Maker m;
  m.b = GraphBuilder(6);
  const ValueId x = m.b.input("x", DType::float32, {"N", kIn});
  const ValueId h =
      m.b.op("Gemm", {x, m.random({kIn, kOut}), m.random({kOut})}, {{"broadcast", std::int64_t{1}}});
  m.b.output(m.b.op("BatchNormalization",
                    {h, m.random({kOut}), m.random({kOut}), m.random({kOut}), m.random({kOut}, 0.5, 2.0)}));
  expect_declined(m.b.model(), Decline::training_mode);
}

TEST(FoldGuard, NotConstantWhenAParameterIsAnInput) {
  GemmThenBatchNormalization m;
  const ValueId scale = m.b.input("scale", DType::float32, {kOut});
  m.b.output(m.b.op("BatchNormalization",
                    {m.h, scale, m.random({kOut}), m.random({kOut}), m.random({kOut}, 0.5, 2.0)}));
  expect_declined(m.b.model(), Decline::not_constant);
}

TEST(FoldGuard, NotConstantWhenAParameterIsOverridable) {
  GemmThenBatchNormalization m;
  const ValueId scale = m.b.constant(m.random({kOut}), "scale", true);
  m.b.output(m.b.op("BatchNormalization",
                    {m.h, scale, m.random({kOut}), m.random({kOut}), m.random({kOut}, 0.5, 2.0)}));
  expect_declined(m.b.model(), Decline::not_constant);
}

TEST(FoldGuard, NotConstantWeights) {
  Maker m;
  const ValueId x = m.b.input("x", DType::float32, {"N", kIn});
  const ValueId W = m.b.input("W", DType::float32, {kIn, kOut});
  m.b.output(m.batch_normalization(m.b.op("MatMul", {x, W}), kOut));
  expect_declined(m.b.model(), Decline::not_constant);
}

TEST(FoldGuard, AxisUnprovenWithoutARank) {
  Maker m;
  ValueId x = m.b.input("x", DType::float32, {"N", "T", kIn});
  const ValueId h = m.b.op("MatMul", {x, m.random({kIn, kOut})});
  // At rank 3 the channel of a BatchNormalization is axis 1, that of a MatMul the last one.
  m.b.output(m.batch_normalization(h, 6));
  expect_declined(m.b.model(), Decline::axis_unproven);
}

TEST(FoldGuard, ShapeWouldChange) {
  Maker m;
  const ValueId x = m.b.input("x", DType::float32, {"N", kIn});
  const ValueId h = m.b.op("Gemm", {x, m.random({kIn, 1}), m.random({1})});
  m.b.output(m.b.op("Mul", {h, m.random({3})}));  // [N,1] becomes [N,3]
  Model model = m.b.model();
  EXPECT_EQ(fold(model).rewrites, 0U);
}

TEST(FoldGuard, BadVariance) {
  for (const float variance : {-1.0F, NAN, INFINITY}) {
    GemmThenBatchNormalization m;
    Tensor var = m.random({kOut}, 0.5, 2.0);
    var.mutable_data<float>()[2] = variance;
    m.b.output(
        m.b.op("BatchNormalization", {m.h, m.random({kOut}), m.random({kOut}), m.random({kOut}), var}));
    expect_declined(m.b.model(), Decline::bad_variance);
  }
}

TEST(FoldGuard, Overflow) {
  GemmThenBatchNormalization m;
  m.b.output(m.b.op("Mul", {m.b.op("Mul", {m.h, Tensor({}, std::vector<float>{1e38F})}),
                            Tensor({}, std::vector<float>{1e38F})}));
  expect_declined(m.b.model(), Decline::overflow);
}

TEST(FoldGuard, WhatWouldCancelInTheLayerIsTakenAwayInFrontOfIt) {
  Maker m;
  const ValueId x = m.b.op("Relu", {m.b.input("x", DType::float32, {"N", kIn})});
  const ValueId centred = m.b.op("Sub", {x, Tensor({}, std::vector<float>{1e7F})});
  m.b.output(
      m.b.op("Gemm", {m.b.op("Mul", {centred, m.random({kIn})}), m.random({kIn, kOut}), m.random({kOut})}));
  expect_fold(m.b.model(), {{"Relu", 1}, {"Sub", 1}, {"Gemm", 1}});
}

TEST(FoldGuard, ConstantDividedByXIsNoAffineMap) {
  GemmThenBatchNormalization m;
  m.b.output(m.b.op("Div", {m.random({kOut}), m.h}));
  Model model = m.b.model();
  EXPECT_EQ(fold(model).rewrites, 0U);
}

TEST(FoldGuard, SwitchedOffByName) {
  GemmThenBatchNormalization m;
  m.b.output(m.batch_normalization(m.h, kOut));
  expect_declined(m.b.model(), Decline::switched_off, {.skip = {"BatchNorm*"}});
  expect_declined(m.b.model(), Decline::switched_off, {.only = {"other"}});
}

}  // namespace
}  // namespace bnrun
