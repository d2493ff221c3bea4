// What went wrong in other folders of BatchNormalization, one test each: arithmetic, axes, types. Numbers are
// worked by hand.
#include <gtest/gtest.h>

#include "api/model_access.h"
#include "support/fold_layer.h"
#include "support/random_graph.h"

namespace bnrun::testing {
namespace {

// ---------------------------------------------------------------- arithmetic

// ncnn#1339 and three others: a bias that was there already stayed unscaled.
TEST(FoldBugs, AnExistingBiasWasNotScaled) {
  Layer m;
  m.b.output(m.batch_normalization(m.gemm()));
  const Model model = folded(m.b.model());
  EXPECT_EQ(constant_of(model, "Gemm", 1), (std::vector<double>{1, -4, 3, -8}));
  EXPECT_EQ(constant_of(model, "Gemm", 2), (std::vector<double>{9.5, -35.75}));
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {"N", 1, 2, 2});
  const ValueId h = b.op("Conv", {x, Tensor({2, 1, 1, 1}, Floats{1, 2}), row({10, 20})});
  b.output(b.op("BatchNormalization", {h, row({2, -1}), row({0.5F, 0.25F}), row({1, 2}), row({4, 0.25F})},
                {{"epsilon", 0.0F}}));
  const Model conv = folded(b.model());
  EXPECT_EQ(constant_of(conv, "Conv", 1), (std::vector<double>{1, -4}));
  EXPECT_EQ(constant_of(conv, "Conv", 2), (std::vector<double>{9.5, -35.75}));
}

TEST(FoldBugs, AShiftInFrontWasNotMultipliedByTheWeights) {
  Layer m;  // a = s*x + t: W' = {1*1, 1*2; -2*3, -2*4}, b' = {10 - 0.5*1 + 4.25*3, 20 - 0.5*2 + 4.25*4}
  const ValueId a = m.batch_normalization(m.b.op("Sigmoid", {m.x}));
  m.b.output(m.b.op("Gemm", {a, weights(), row({10, 20})}));
  const Model model = folded(m.b.model());
  EXPECT_EQ(constant_of(model, "Gemm", 1), (std::vector<double>{1, 2, -6, -8}));
  EXPECT_EQ(constant_of(model, "Gemm", 2), (std::vector<double>{22.25, 36}));
}

// onnxscript#3027, OnnxSlim: alpha and beta were dropped.
TEST(FoldBugs, AlphaAndBetaWereIgnored) {
  Layer m;  // W' = 0.5*W*s, b' = 2*b*s + t
  m.b.output(m.batch_normalization(m.gemm({{"alpha", 0.5F}, {"beta", 2.0F}})));
  const Model model = folded(m.b.model());
  EXPECT_EQ(constant_of(model, "Gemm", 1), (std::vector<double>{0.5, -2, 1.5, -4}));
  EXPECT_EQ(constant_of(model, "Gemm", 2), (std::vector<double>{19.5, -75.75}));
  expect_fold(m.b.model(), {{"Gemm", 1}});
}

TEST(FoldBugs, AlphaScaledAShiftInFrontTwice) {
  Layer m;  // b' = 10 + 0.5*(-0.5*1 + 4.25*3), 20 + 0.5*(-0.5*2 + 4.25*4)
  const ValueId a = m.batch_normalization(m.b.op("Sigmoid", {m.x}));
  m.b.output(m.b.op("Gemm", {a, weights(), row({10, 20})}, {{"alpha", 0.5F}}));
  EXPECT_EQ(constant_of(folded(m.b.model()), "Gemm", 2), (std::vector<double>{16.125, 28}));
}

// Wrong in four systems.
TEST(FoldBugs, OperandsOfSubAndDivWereSwapped) {
  const auto bias_of = [](const char* op_type, bool constant_first) {
    Layer m;
    const ValueId h = m.gemm();
    const ValueId c = m.b.constant(row({4, 2}));
    m.b.output(constant_first ? m.b.op(op_type, {c, h}) : m.b.op(op_type, {h, c}));
    return folded(m.b.model());
  };
  EXPECT_EQ(constant_of(bias_of("Sub", false), "Gemm", 2), (std::vector<double>{6, 18}));
  EXPECT_EQ(constant_of(bias_of("Sub", true), "Gemm", 2), (std::vector<double>{-6, -18}));
  EXPECT_EQ(constant_of(bias_of("Sub", true), "Gemm", 1), (std::vector<double>{-1, -2, -3, -4}));
  EXPECT_EQ(constant_of(bias_of("Div", false), "Gemm", 2), (std::vector<double>{2.5, 10}));
  EXPECT_EQ(constant_of(bias_of("Div", false), "Gemm", 1), (std::vector<double>{0.25, 1, 0.75, 2}));
  EXPECT_EQ(constant_of(bias_of("Div", true), "Gemm", 2), (std::vector<double>{10, 20}))
      << "c / x is not affine";
}

TEST(FoldBugs, RowsOfAFullBiasWereTakenForOne) {
  for (const Shape& shape : {Shape{3, 2}, Shape{3, 1}, Shape{1, 2}, Shape{1, 1}, Shape{1}}) {
    GraphBuilder each;
    const ValueId data = each.input("x", DType::float32, {3, 2});
    const ValueId h = each.op("Gemm", {data, weights(), random_tensor(shape, 3)});
    each.output(each.op("Mul", {h, row({2, -3})}));
    expect_fold(each.model(), {{"Gemm", 1}});
  }
}

TEST(FoldBugs, ABiasThatIsStretchedLackedTheFlagOfOldOpsets) {
  GraphBuilder b(6);
  const ValueId x = b.input("x", DType::float32, {1, 2});
  const ValueId h = b.op("Gemm", {x, weights(), Tensor({1, 2}, Floats{1, 2})});  // needs no flag
  b.output(b.op("Neg", {h}));
  const Model model = folded(b.model());
  const Node& gemm = graph_of(model).node(graph_of(model).live_nodes().at(0));
  EXPECT_EQ(gemm.op_type, "Gemm");
  EXPECT_EQ(std::get<std::int64_t>(gemm.attributes.at("broadcast")), 1);
}

TEST(FoldBugs, WeightsOfATransposedGemmWereScaledAlongTheWrongAxis) {
  Layer m;  // W[n,k] = {1, 2; 3, 4}: row n takes s[n]
  m.b.output(m.b.op("Mul", {m.b.op("Gemm", {m.x, weights(), row({1, 1})}, {{"transB", 1}}), row({2, -1})}));
  EXPECT_EQ(constant_of(folded(m.b.model()), "Gemm", 1), (std::vector<double>{2, 4, -3, -4}));
}

TEST(FoldBugs, AMapOnTheRowsOfATransposedOperandWasTakenForOneOnItsColumns) {
  GraphBuilder b;  // A[2,2] transposed: axis 1 of A counts rows of the result
  const ValueId x = b.op("Relu", {b.input("x", DType::float32, {2, 2})});
  b.output(b.op("Gemm", {b.op("Mul", {x, row({2, -1})}), weights(), row({1, 1})}, {{"transA", 1}}));
  expect_untouched(b.model(), Decline::axis_unproven);
}

TEST(FoldBugs, TheDataOnTheRightOfAProductWasTakenForTheLeft) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {2, 2});
  b.output(b.op("MatMul", {weights(), b.op("Mul", {b.op("Relu", {x}), row({2, -1})})}));
  expect_untouched(b.model(), Decline::no_linear_neighbour);
}

// ---------------------------------------------------------------- axes and shapes

// onnxruntime#22512, pytorch#118990: equal extents were taken for the same axis.
TEST(FoldBugs, AnAxisWasGuessedFromItsExtent) {
  const auto image = [](const Shape& constant, bool in_front) {
    GraphBuilder b;
    ValueId x = b.op("Relu", {b.input("x", DType::float32, {"N", 3, 3, 3})});
    const Tensor c = random_tensor(constant, 3);
    if (in_front) x = b.op("Mul", {x, c});
    x = b.op("Conv", {x, random_tensor({3, 3, 1, 1}, 1)});
    if (!in_front) x = b.op("Mul", {x, c});
    b.output(b.op("Relu", {x}));
    return b.model();
  };
  for (const bool in_front : {false, true}) {
    for (const Shape& wrong : {Shape{3}, Shape{3, 1}, Shape{1, 3}})
      expect_untouched(image(wrong, in_front), Decline::axis_unproven);
    Model along_two_axes = image({3, 3, 1}, in_front);
    EXPECT_EQ(fold(along_two_axes).rewrites, 0U);
    for (const Shape& right : {Shape{3, 1, 1}, Shape{1, 3, 1, 1}, Shape{}, Shape{1, 1}})
      expect_fold(image(right, in_front), {{"Conv", 1}, {"Relu", 2}});
  }
}

TEST(FoldBugs, AxisOneOfASequenceWasTakenForTheFeaturesOfAMatMul) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {"N", 2, 2});
  const ValueId h = b.op("MatMul", {x, weights()});
  b.output(b.op("BatchNormalization", {h, row({2, -1}), row({1, 2}), row({1, 2}), row({1, 2})}));
  expect_untouched(b.model(), Decline::axis_unproven);
}

TEST(FoldBugs, AConstantPerRowWasTakenForOnePerChannel) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {2, 2});
  b.output(b.op("Mul", {b.op("Gemm", {x, weights(), row({1, 2})}), Tensor({2, 1}, Floats{2, 3})}));
  expect_untouched(b.model(), Decline::axis_unproven);
}

TEST(FoldBugs, AnUnknownChannelCountWasTakenForTheConstants) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {"N", "?"});
  b.output(b.op("MatMul", {b.op("Mul", {x, row({2, 3})}), weights()}));  // x may be [N,1]
  Model model = b.model();
  EXPECT_EQ(fold(model).rewrites, 0U);
}

TEST(FoldBugs, WeightsThatAreNoMatrixWereTakenForOne) {
  for (const Shape& shape : {Shape{2, 2, 3}, Shape{2}}) {
    GraphBuilder b;
    const ValueId x = b.input("x", DType::float32, {2, "N", 2});
    const ValueId h = b.op("MatMul", {x, random_tensor(shape, 3)});
    b.output(b.op("Mul", {h, Tensor({}, Floats{3})}));
    expect_untouched(b.model(), Decline::axis_unproven);
  }
}

// tensorflow#124103, openvino#25876: the map stretches its input, the folded layer does not.
TEST(FoldBugs, AMapThatStretchesItsInputWasFolded) {
  for (const Shape& shape : {Shape{3}, Shape{1, 1, 1}, Shape{4, 1, 1}}) {
    GraphBuilder b;
    const ValueId x = b.input("x", DType::float32, {"N", 2});
    const ValueId h = b.op("Gemm", {x, Tensor({2, 1}, Floats{1, 2}), row({3})});
    b.output(b.op("Mul", {h, random_tensor(shape, 1)}));
    Model model = b.model();
    EXPECT_EQ(fold(model).rewrites, 0U) << to_string(shape);
    GraphBuilder sum;
    const ValueId a = sum.input("x", DType::float32, {"N", 2});
    sum.output(sum.op("Add", {sum.op("MatMul", {a, Tensor({2, 1}, Floats{1, 2})}), random_tensor(shape, 1)}));
    Model joined = sum.model();
    EXPECT_EQ(fold(joined).rewrites, 0U) << to_string(shape);
  }
}

// ---------------------------------------------------------------- numbers

// coreai-torch#54: folded half-precision weights became infinite.
TEST(FoldBugs, FoldedWeightsOverflowedHalfPrecision) {
  const auto model = [](DType dtype) {
    GraphBuilder b;
    const ValueId x = b.input("x", dtype, {"N", 2});
    const auto stored = [&](const Tensor& tensor) { return convert(tensor, dtype); };
    const ValueId h = b.op("Gemm", {x, stored(Tensor({2, 2}, Floats{6e4F, 1, 1, 1})), stored(row({1, 1}))});
    b.output(b.op("Mul", {h, stored(row({2, 1}))}));
    return b.model();
  };
  expect_untouched(model(DType::float16), Decline::overflow);
  expect_fold(model(DType::float32), {{"Gemm", 1}});
}

TEST(FoldBugs, AnOverflowHalfWayLeftAHalfFoldedModel) {
  Layer m;  // only the bias overflows
  m.b.output(m.b.op("Mul", {m.b.op("Gemm", {m.x, weights(), row({3e38F, 1})}), row({10, 1})}));
  const Model original = m.b.model();
  expect_declined(original, Decline::overflow);
  EXPECT_EQ(listing(graph_of(folded(original))), listing(graph_of(original)));
}

TEST(FoldBugs, TypesWereMixed) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {"N", 2});
  const ValueId h = b.op("Gemm", {x, weights(), row({1, 2})});
  const ValueId half = b.op("Cast", {h}, {{"to", static_cast<std::int64_t>(DType::float16)}});
  b.output(b.op("Mul", {half, convert(row({2, 3}), DType::float16)}));
  expect_untouched(b.model(), Decline::type_mismatch);
  GraphBuilder integers;
  const Tensor numbers({2, 2}, std::vector<std::int32_t>{1, 2, 3, 4});
  const ValueId n = integers.op("MatMul", {integers.input("x", DType::int32, {"N", 2}), numbers});
  integers.output(integers.op("Mul", {n, Tensor({2}, std::vector<std::int32_t>{2, 3})}));
  Model model = integers.model();
  EXPECT_EQ(fold(model).rewrites, 0U);
}

TEST(FoldBugs, TheAxisAttributeOfAnOldMulWasResolvedAgainstAnUnknownRank) {
  GraphBuilder b(6);
  const ValueId x = b.input("x", {DType::float32, std::nullopt});
  b.output(b.op("Mul", {x, row({2, 3})}, {{"broadcast", 1}, {"axis", 1}}));
  Model model = b.model();
  const FoldReport report = fold(model);
  EXPECT_EQ(report.rewrites, 0U);
  EXPECT_TRUE(report.entries.empty());
}

TEST(FoldBugs, AFactorThatIsOneOnlyAsStoredWentWhenFoldedAgain) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {"N", 2});
  const ValueId deviation = b.op("Sqrt", {b.op("Add", {row({1}), row({1e-8F})})});
  b.output(b.op("Relu", {b.op("Div", {b.op("Tanh", {x}), deviation})}));
  expect_fold(b.model(), {{"Tanh", 1}, {"Relu", 1}});
}

// A BatchNormalization of small scale turned all weights in half precision to zero.
TEST(FoldBugs, SubnormalWeightsInHalfPrecisionVanished) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float16, {"N", 2});
  const auto half = [](const Floats& values, const Shape& shape) {
    return convert(Tensor(shape, values), DType::float16);
  };
  const ValueId h = b.op("Gemm", {x, half({0.05F, -0.05F, 0.04F, 0.03F}, {2, 2})});
  b.output(b.op("Mul", {h, half({1e-3F, 1e-3F}, {2})}));
  expect_fold(b.model(), {{"Gemm", 1}}, 1e-6);
  for (const double w : constant_of(folded(b.model()), "Gemm", 1)) EXPECT_NE(w, 0.0);
  Model model = b.model();
  EXPECT_EQ(fold(model).entries.at(0).flushed_denormals, 0U);
}

TEST(FoldBugs, WeightsForDataThatAreLargeBecameZero) {
  Layer m;  // a feature of 1e37, brought down to 1
  const ValueId scaled = m.b.op("Mul", {m.x, row({1e-37F, 1})});
  m.b.output(m.b.op("Gemm", {scaled, tensor<float>({2, 2}, {0.05F, 2, 3, 4}), row({10, 20})}));
  expect_untouched(m.b.model(), Decline::overflow);
  Layer other;  // the same behind a layer makes its outputs next to nothing
  other.b.output(other.b.op("Mul", {other.gemm(), row({1, 1e-39F})}));
  expect_fold(other.b.model(), {{"Gemm", 1}});
}

TEST(FoldBugs, DenormalWeightsSlowedTheModelDown) {
  Layer m;
  m.b.output(m.b.op("Mul", {m.gemm(), row({1, 1e-39F})}));
  EXPECT_EQ(constant_of(folded(m.b.model()), "Gemm", 1), (std::vector<double>{1, 0, 3, 0}));
}

TEST(FoldBugs, TheGrowthLimitIsALimit) {
  // In front of a layer, t = 297 makes the error (3 + 297)/3 = 100 times as large.
  Layer m;
  const ValueId shifted = m.b.op("Add", {m.b.op("Sigmoid", {m.x}), row({297, 148.5F})});
  m.b.output(m.b.op("Gemm", {m.b.op("Mul", {shifted, row({1, 2})}), weights(), row({1, 2})}));
  expect_fold(m.b.model(), {{"Sigmoid", 1}, {"Sub", 1}, {"Gemm", 1}}, 2e-6, {.max_growth = 49.0});
  expect_fold(m.b.model(), {{"Sigmoid", 1}, {"Sub", 1}, {"Gemm", 1}}, 2e-6, {.max_growth = 99.0});
  expect_fold(m.b.model(), {{"Gemm", 1}, {"Sigmoid", 1}}, 1e-4, {.max_growth = 101.0});
  // Data that come from an input have no rounding errors of their own.
  Layer exact;
  exact.b.output(
      exact.b.op("Gemm", {exact.b.op("Mul", {exact.b.op("Add", {exact.x, row({297, 148.5F})}), row({1, 2})}),
                          weights(), row({1, 2})}));
  expect_fold(exact.b.model(), {{"Sub", 1}, {"Gemm", 1}}, 2e-6, {.max_growth = 239.0});
  expect_fold(exact.b.model(), {{"Gemm", 1}}, 1e-4, {.max_growth = 241.0});
}

/// Zero times a NaN is one, folded or not and for any number of rows; BLAS leaves the product out.
TEST(FoldBugs, AnAlphaOfZeroComputesTheProduct) {
  for (const std::int64_t rows : {1, 40}) {
    Layer m;
    const Attributes nothing{{"alpha", 0.0F}};
    m.b.output(m.batch_normalization(m.gemm(nothing)));
    const Model model = m.b.model();
    Floats x(static_cast<std::size_t>(2 * rows), 1.0F);
    x[0] = NAN;
    for (const Model& each : {model, folded(model)}) {
      const auto y = interpret(graph_of(each), std::vector<TensorView>{Tensor({rows, 2}, x).view()});
      const auto values = read_doubles(y[0].view());
      EXPECT_TRUE(std::isnan(values[0])) << rows;
      EXPECT_TRUE(rows == 1 || values[2] == 9.5);
    }
  }
}

}  // namespace
}  // namespace bnrun::testing
