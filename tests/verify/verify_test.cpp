#include "bnrun/verify.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "api/model_access.h"
#include "bnrun/error.h"
#include "bnrun/fold.h"
#include "passes/widen.h"
#include "support/expect_error.h"
#include "support/graph_building.h"
#include "verify/interpret.h"

namespace bnrun {
namespace {

using namespace testing;

/// x[N,3] -> Gemm -> h -> BatchNormalization -> y, the bias of channel 1 moved by `change`.
Model network(float change, bool named_x = true) {
  GraphBuilder b;
  const ValueId x = b.input(named_x ? "x" : "z", DType::float32, {"N", 3});
  const Tensor W = random_tensor({3, 4}, 1);
  Tensor bias = random_tensor({4}, 2);
  bias.mutable_data<float>()[1] += change;
  const ValueId h = b.op("Gemm", {x, W, bias}, {}, "h");
  b.output(b.op("BatchNormalization",
                {h, random_tensor({4}, 3, 0.5, 1.5), random_tensor({4}, 4), random_tensor({4}, 5),
                 random_tensor({4}, 6, 0.5, 2)},
                {}, "y"));
  return b.model();
}

TEST(Widened, LargeConstantsStayAsStoredAndComputeTheSame) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {2, 3});
  const ValueId W = b.constant(random_tensor({3, 4}, 1), "W");
  const ValueId c = b.constant(random_tensor({4}, 2), "c", true);
  b.output(b.op("Gemm", {x, W, c}));
  b.output(W);
  b.output(c);
  const Graph wide = widened(b.graph());
  const Graph lazy = widened(b.graph(), 16);
  EXPECT_EQ(wide.value(wide.find_value("W")).constant.dtype(), DType::float64);
  EXPECT_EQ(lazy.value(lazy.find_value("W")).constant.view().bytes, b.graph().value(W).constant.view().bytes);
  EXPECT_EQ(lazy.value(lazy.find_value("W")).type.dtype, DType::float64);
  EXPECT_EQ(lazy.value(lazy.find_value("c")).constant.dtype(), DType::float64);
  const Tensor X = random_tensor<double>({2, 3}, 3);
  const Tensor other_c = random_tensor<double>({4}, 4);
  for (const TensorView& given : {TensorView{}, other_c.view()}) {
    const std::vector<TensorView> inputs{X, given};
    const auto expected = interpret(wide, inputs);
    for (const std::size_t limit : {16, 0}) {
      const auto actual = interpret(widened(b.graph(), limit), inputs);
      ASSERT_EQ(actual.size(), 3U);
      for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(identical(actual[i], expected[i])) << i << ' ' << limit;
    }
  }
}

TEST(Verify, AModelAgreesWithItsFold) {
  const Model original = network(0);
  Model folded = original;
  ASSERT_TRUE(fold(folded).complete());
  const VerifyReport report = verify(original, folded);
  EXPECT_TRUE(report.agree());
  ASSERT_EQ(report.outputs.size(), 1U);
  EXPECT_GT(report.outputs[0].elements, 1000);
  EXPECT_GT(report.outputs[0].max_absolute,
            0.0);  // rounding differs, so a distance of 0 would mean it compared a model with itself
  EXPECT_LT(report.outputs[0].max_absolute, 1e-4);
  EXPECT_GT(report.outputs[0].cosine, 0.999999);
  EXPECT_EQ(report.outputs[0].class_flips, 0);
  EXPECT_FALSE(report.first_divergence);
  EXPECT_LT(report.truth_distance.value(), 1e-4);
}

TEST(Verify, DrawsIndicesThatASmallEmbeddingHas) {
  const auto model = [](float change) {
    GraphBuilder b;
    const ValueId category = b.input("category", DType::int64, {"N"});
    const Tensor rows({2, 2}, std::vector<float>{1, 2, 3, 4 + change});
    b.output(b.op("Gather", {rows, category}, {}, "y"));
    return b.model();
  };
  EXPECT_TRUE(verify(model(0), model(0)).agree());
  EXPECT_FALSE(verify(model(0), model(1)).agree()) << "the second row was not looked up";
}

TEST(Verify, DrawsEveryIndexThatATableHas) {
  constexpr std::int64_t kEntries = 1000;
  const auto model = [](float change) {
    GraphBuilder b;
    const ValueId id = b.input("id", DType::int64, {"N", 4});
    const ValueId kind = b.input("kind", DType::int32, {"N", 4});
    Tensor table = random_tensor({kEntries, 2}, 1);
    for (std::int64_t i = kEntries; i < 2 * kEntries; ++i) table.mutable_data<float>()[i] += change;
    const ValueId looked_up = b.op("Gather", {table, id});
    b.output(b.op("Add", {looked_up, b.op("Gather", {random_tensor({2, 2}, 2), kind})}, {}, "y"));
    return b.model();
  };
  const auto report = verify(model(0), model(0));
  EXPECT_TRUE(report.agree());
  EXPECT_EQ(report.inputs[0].origin, "0:999, the indices that the model takes");
  EXPECT_EQ(report.inputs[1].origin, "0:1, the indices that the model takes");
  EXPECT_FALSE(verify(model(0), model(0.1F)).agree()) << "the upper half of the table was not read";
}

TEST(Verify, FindsTheFirstValueThatDiffersAndItsChannel) {
  const VerifyReport report = verify(network(0), network(0.01F));
  EXPECT_FALSE(report.agree());
  ASSERT_TRUE(report.first_divergence);
  EXPECT_EQ(report.first_divergence->value, "h");
  EXPECT_EQ(report.first_divergence->channel, 1);
  EXPECT_NEAR(report.first_divergence->max_absolute, 0.01, 1e-5);
}

TEST(Verify, NeededToleranceSuffices) {
  VerifyOptions options;
  options.tolerance = {.rtol = 0.0, .atol = 1e-9};
  const double needed = verify(network(0), network(0.01F), options).outputs[0].needed_atol;
  options.tolerance->atol = needed * 1.0001;
  EXPECT_TRUE(verify(network(0), network(0.01F), options).agree());
  options.tolerance->atol = needed * 0.99;
  EXPECT_FALSE(verify(network(0), network(0.01F), options).agree());
}

/// x -> Gemm -> y with outputs around `size` that cancel near 0.
Model regression(double size, float change) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {"N", 3});
  Tensor bias({1}, std::vector<float>{change});
  b.output(b.op("Gemm", {x, random_tensor({3, 1}, 1, -size, size), bias}, {}, "y"));
  return b.model();
}

TEST(Verify, WhatTheRoundingOfTheOriginalExplainsAgreesAndNothingElse) {
  VerifyOptions options;
  options.inputs = {{{"x", random_tensor({50, 3}, 9)}}};
  struct Case {
    double size;
    float change;
    bool agrees;
  };
  for (const auto& [size, change, agrees] :
       {Case{1000, 0, true}, Case{1000, 2e-5F, true}, Case{1000, 1e-2F, false}, Case{0.01, 2e-10F, true},
        Case{0.01, 1e-7F, false}, Case{1e-20, 2e-28F, true}, Case{1e-20, 1e-25F, false}}) {
    const auto report = verify(regression(size, 0), regression(size, change), options);
    EXPECT_EQ(report.agree(), agrees) << size << ' ' << change << ' ' << report.outputs[0].excess;
  }
}

TEST(Verify, AToleranceIsHeldByEveryElementAbsolutely) {
  VerifyOptions options;
  options.inputs = {{{"x", random_tensor({50, 3}, 9)}}};
  options.tolerance = {.rtol = 0.0, .atol = 1e-5};
  EXPECT_FALSE(verify(regression(1000, 0), regression(1000, 1e-3F), options).agree());
  EXPECT_TRUE(verify(regression(1e-20, 0), regression(1e-20, 1e-6F), options).agree());
}

TEST(Verify, AWeightThatIsWrongIsSeenWhereTheOutputsAreLarge) {
  // The relative error of the output is 1e-7 of its scale: below a tolerance that grows with it.
  const auto model = [](float weight) {
    GraphBuilder b;
    const ValueId x = b.input("x", DType::float32, {"N", 2});
    const ValueId h =
        b.op("Gemm", {x, tensor<float>({2, 1}, {weight, 0.5F}), tensor<float>({1}, {1e4F})}, {}, "h");
    b.output(b.op("Sub", {h, tensor<float>({1}, {1e4F})}, {}, "y"));
    return b.model();
  };
  EXPECT_TRUE(verify(model(0.3F), model(0.3F)).agree());
  EXPECT_FALSE(verify(model(0.3F), model(0.31F)).agree());
}

TEST(Verify, QuantilesOfTheDifference) {
  const auto shifted = verify(regression(0.01, 0), regression(0.01, 1e-3F)).outputs[0];
  for (const double quantile : shifted.quantiles_absolute) EXPECT_NEAR(quantile, 1e-3, 1e-6);
  const auto output =
      verify(network(0), network(0.01F)).outputs[0];  // one channel of four differs, by about 0.01
  EXPECT_LT(output.quantiles_absolute[0], 1e-5);
  EXPECT_GT(output.quantiles_absolute[1], 1e-4);
  EXPECT_TRUE(std::ranges::is_sorted(output.quantiles_absolute));
  EXPECT_LE(output.quantiles_absolute.back(), output.max_absolute);
}

TEST(Verify, ANaNOnOneSideDisagrees) {
  EXPECT_FALSE(verify(network(0), network(NAN)).agree());
  EXPECT_FALSE(verify(network(NAN), network(0)).agree());
  EXPECT_TRUE(verify(network(NAN), network(NAN)).agree());
}

TEST(Verify, OutputsThatAreNowhereFiniteAreNoAgreement) {
  const auto report = verify(regression(1, NAN), regression(1, NAN));
  EXPECT_EQ(report.verdict, Verdict::nothing_finite);
  EXPECT_EQ(verify(regression(1, INFINITY), regression(1, INFINITY)).verdict, Verdict::nothing_finite);
}

TEST(Verify, OptionsThatMakeNoSenseAreRefused) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<std::function<void(VerifyOptions&)>> wrong = {[&](VerifyOptions& o) {
                                                                    o.range = {nan, 1.0};
                                                                  },
                                                                  [&](VerifyOptions& o) {
                                                                    o.range = {0.0, INFINITY};
                                                                  },
                                                                  [&](VerifyOptions& o) {
                                                                    o.range = {1.0, 0.0};
                                                                  },
                                                                  [&](VerifyOptions& o) {
                                                                    o.tolerance = {-1.0, 0.0};
                                                                  },
                                                                  [&](VerifyOptions& o) {
                                                                    o.tolerance = {0.0, nan};
                                                                  },
                                                                  [&](VerifyOptions& o) { o.budget = nan; },
                                                                  [&](VerifyOptions& o) { o.budget = -1.0; },
                                                                  [&](VerifyOptions& o) { o.batches = -1; },
                                                                  [&](VerifyOptions& o) { o.rows = -1; }};
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    SCOPED_TRACE(i);
    VerifyOptions options;
    wrong[i](options);
    expect_error(ErrorCode::invalid_input, [&] { verify(network(0), network(0), options); });
  }
}

TEST(Verify, RowsGoAsFarAsTheBudget) {
  VerifyOptions options;
  options.rows = std::int64_t{1} << 40;
  options.budget = 0.2;
  const auto report = verify(network(0), network(0), options);
  EXPECT_TRUE(report.agree());
  EXPECT_FALSE(report.complete);
  EXPECT_GT(report.rows, 64);
  options.rows = 200;
  options.budget = 1e3;
  EXPECT_TRUE(verify(network(0), network(0), options).complete);
}

TEST(Verify, NamesOfVerdictsAreThoseOfReports) {
  EXPECT_EQ(name_of(Verdict::agree), "agree");
  EXPECT_EQ(name_of(Verdict::differ), "differ");
  EXPECT_EQ(name_of(Verdict::nothing_finite), "nothing_finite");
  EXPECT_EQ(name_of(Verdict::not_compared), "not_compared");
}

TEST(Verify, RelativeErrorsAreThoseOfNormalNumbers) {
  const auto output = verify(regression(1e-35, 0), regression(1e-35, 1e-39F)).outputs[0];
  EXPECT_LT(output.max_relative, 1e4);
  EXPECT_GT(output.max_ulp, 0);
}

TEST(Verify, AnOverridableDefaultIsComparedToo) {
  const auto model = [](float shift) {
    GraphBuilder b;
    const ValueId x = b.input("x", DType::float32, {"N", 2});
    b.output(b.op("Add", {x, b.constant(tensor<float>({1}, {shift}), "shift", true)}, {}, "y"));
    return b.model();
  };
  EXPECT_TRUE(verify(model(1), model(1)).agree());
  EXPECT_FALSE(verify(model(1), model(2)).agree());
}

TEST(Verify, AnErrorOfTheSecondModelAloneIsADifference) {
  const auto model = [](std::int64_t rows) {
    GraphBuilder b;
    const ValueId x = b.input("x", DType::float32, {"N", 4});
    b.output(b.op("Reshape", {x, tensor<std::int64_t>({2}, {rows, std::int64_t{4}})}, {}, "y"));
    return b.model();
  };
  const auto report = verify(model(-1), model(7));
  EXPECT_EQ(report.verdict, Verdict::differ);
  EXPECT_NE(report.why.find("second fails"), std::string::npos) << report.why;
}

TEST(Verify, AnOperatorThatCannotBeRunIsNamed) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {"N", 4});
  b.output(b.op("Frobnicate", {x}, {}, "y"));
  const auto report = verify(b.model(), b.model());
  EXPECT_EQ(report.verdict, Verdict::not_compared);
  EXPECT_EQ(report.cause, ErrorCode::unsupported);
  EXPECT_NE(report.why.find("Frobnicate"), std::string::npos) << report.why;
}

TEST(Verify, ADifferenceIsFoundWithoutTimeForMore) {
  VerifyOptions options;
  options.budget = 0.0;
  EXPECT_EQ(verify(network(0), network(0.01F), options).verdict, Verdict::differ);
}

TEST(Verify, SizesThatDependOnElementsMayDifferInDouble) {
  const auto model = [](float scale) {
    GraphBuilder b;
    const ValueId x = b.input("x", DType::float32, {"N", 2});
    const ValueId tiny = b.op("Mul", {x, tensor<float>({1}, {scale})});  // 0 in float, not in double
    b.output(b.op("NonZero", {b.op("Mul", {tiny, tensor<float>({1}, {1e-30F})})}, {}, "y"));
    return b.model();
  };
  VerifyOptions options;
  options.range = InputRange{};
  EXPECT_EQ(verify(model(1e-20F), model(1e-20F), options).verdict, Verdict::not_compared)
      << "it has no element";
  EXPECT_EQ(verify(model(1), model(1e-20F), options).verdict, Verdict::differ);
}

TEST(Verify, ADifferenceCountsThoughTheModelDoesNotRunOnLargerInputs) {
  const auto model = [](float change) {
    GraphBuilder b;
    const ValueId x = b.input("x", DType::float32, {"N"});
    const ValueId index = b.op("Cast", {b.op("Abs", {x})}, {{"to", std::int64_t{7}}});
    b.output(b.op("Gather", {tensor<float>({4}, {1 + change, 2, 3, 4}), index}, {}, "y"));
    return b.model();
  };
  EXPECT_EQ(verify(model(0), model(0)).verdict, Verdict::agree);
  EXPECT_EQ(verify(model(0), model(1)).verdict, Verdict::differ);
}

TEST(Verify, OutputsWithoutElementsAreNotCompared) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {0, 2});
  b.output(b.op("Relu", {x}));
  EXPECT_EQ(verify(b.model(), b.model()).verdict, Verdict::not_compared);
}

TEST(Verify, ABudgetEndsItAfterTheFirstSet) {
  VerifyOptions options;
  options.budget = 0.0;
  const auto report = verify(network(0), network(0), options);
  EXPECT_FALSE(report.complete);
  EXPECT_EQ(report.verdict, Verdict::agree);
  EXPECT_GE(report.sets, 1);
  EXPECT_FALSE(report.truth_distance.has_value());
  options.budget = 1e9;
  EXPECT_TRUE(verify(network(0), network(0), options).complete);
}

TEST(Verify, GivenDataIsUsedInsteadOfDrawnData) {
  VerifyOptions options;
  options.inputs = {{{"x", random_tensor({5, 3}, 9)}}};
  EXPECT_EQ(verify(network(0), network(0), options).rows, 5);
}

TEST(Verify, CountsClassFlips) {
  VerifyOptions options;
  options.tolerance = Tolerance{.rtol = 10.0, .atol = 10.0};
  const auto report = verify(network(0), network(1.0F), options);
  EXPECT_TRUE(report.agree());
  EXPECT_GT(report.outputs[0].class_flips, 0);
  EXPECT_LT(report.outputs[0].class_flips, report.outputs[0].class_rows);
}

TEST(Verify, WhatDiffersBetweenInputsAndOutputsIsNamed) {
  struct Port {
    std::string name = "x";
    DType dtype = DType::float32;
    std::vector<DimSpec> dims = {"N", 3};
  };
  const auto make = [](const std::vector<Port>& inputs, const std::vector<std::string>& outputs) {
    Graph graph = GraphBuilder().graph();
    ValueId x;
    for (const auto& [name, dtype, dims] : inputs)
      x = graph.add_input(name, {dtype, Dims(dims.begin(), dims.end())});
    for (const auto& name : outputs) {
      Node relu;
      relu.op_type = "Relu";
      relu.inputs = {x};
      relu.outputs = {graph.add_value(name)};
      graph.add_output(relu.outputs[0]);
      graph.add_node(std::move(relu));
    }
    return make_model(graph);
  };
  const Model model = make({{}}, {"y"});
  EXPECT_EQ(verify(model, make({{.dims = {5, 3}}}, {"y"})).why, "");
  const std::vector<std::pair<Model, std::string>> cases = {
      {make({{.name = "z"}}, {"y"}), "the second model has no input 'x'"},
      {make({{.name = "z"}, {}}, {"y"}), "the first model has no input 'z'"},
      {make({{.dtype = DType::float64}}, {"y"}),
       "input 'x' is float32 in the first model and float64 in the second"},
      {make({{.dims = {"N", 3, 1}}}, {"y"}),
       "input 'x' has 2 dimensions in the first model and 3 in the second"},
      {make({{.dims = {"N", 4}}}, {"y"}),
       "input 'x' has extent 3 in the first model and 4 in the second along axis 1"},
      {make({{}}, {"p"}), "the second model has no output 'y'"},
      {make({{}}, {"y", "p"}), "the first model has no output 'p'"}};
  for (const auto& [other, mismatch] : cases) {
    const VerifyReport report = verify(model, other);
    EXPECT_FALSE(report.agree());
    EXPECT_EQ(report.why, mismatch);
  }
}

TEST(Verify, ComparingNothingIsAnError) {
  VerifyOptions options;
  options.inputs = {{{"x", Tensor(DType::float32, {0, 3})}}};
  testing::expect_error(ErrorCode::invalid_input, [&] { verify(network(0), network(0), options); });
}

}  // namespace
}  // namespace bnrun
