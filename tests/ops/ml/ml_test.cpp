// ai.onnx.ml, worked by hand from the operators' specification.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "passes/prepare.h"
#include "passes/widen.h"
#include "support/channel_map.h"
#include "support/graph_building.h"
#include "support/op_testing.h"
#include "verify/interpret.h"

namespace bnrun::testing {
namespace {

using Ints = std::vector<std::int64_t>;
using Floats = std::vector<float>;
using Strings = std::vector<std::string>;
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

std::vector<Tensor> ml(const std::string& op, const std::vector<Tensor>& inputs, const Attributes& attributes,
                       std::size_t outputs = 1, std::int64_t opset = 3) {
  return run_op(op, opset, inputs, attributes, outputs, "ai.onnx.ml");
}

ErrorCode ml_error(const std::string& op, const std::vector<Tensor>& inputs, const Attributes& attributes,
                   std::size_t outputs = 1, std::int64_t opset = 3) {
  try {
    ml(op, inputs, attributes, outputs, opset);
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << op << " throws nothing";
  return ErrorCode::internal;
}

constexpr DType kFeatureTypes[] = {DType::float32, DType::float64, DType::int64, DType::int32};

TEST(Scaler, SubtractsThenMultiplies) {
  for (const DType dtype : kFeatureTypes) {
    const Tensor X = tensor_of(dtype, {2, 3}, {1, 2, 3, 4, 5, 6});
    const Attributes per_feature{{"offset", Floats{1, 2, 3}}, {"scale", Floats{2, 0.5F, -1}}};
    expect_close(ml("Scaler", {X}, per_feature)[0], tensor<float>({2, 3}, {0, 0, 0, 6, 1.5F, -3}));
    const Attributes one{{"offset", Floats{1}}, {"scale", Floats{3}}};
    expect_close(ml("Scaler", {X}, one)[0], tensor<float>({2, 3}, {0, 3, 6, 9, 12, 15}));
  }
  const Tensor row({2}, std::vector<float>{1, 2});
  expect_close(ml("Scaler", {row}, {{"offset", Floats{1, 0}}, {"scale", Floats{1, 4}}})[0],
               tensor<float>({2}, {0, 8}));
  EXPECT_EQ(ml_error("Scaler", {row}, {{"offset", Floats{1, 0, 3}}, {"scale", Floats{1}}}),
            ErrorCode::invalid_model);
}

TEST(Scaler, IsAffineOnFeaturesOfItsOwnType) {
  const Attributes attributes{{"offset", Floats{1, 2, 3}}, {"scale", Floats{2, 0.5F, -1}}};
  const auto form_for = [&](const ValueType& X) {
    const std::vector<ValueType> types{X};
    return op_of("Scaler", 1, 1, attributes, 1, "ai.onnx.ml")->as_affine({.inputs = types});
  };
  const auto form = form_for({DType::float32, Dims{Dim::symbol("N"), Dim(3)}});
  ASSERT_TRUE(std::holds_alternative<AffineForm>(form));
  const ChannelAffine& map = std::get<AffineForm>(form).affine;
  EXPECT_EQ(map.axis, 1);
  const Tensor X = random_tensor(DType::float64, {4, 3}, 1);
  expect_close(convert(applied(map, X), DType::float32), ml("Scaler", {X}, attributes)[0]);

  const auto integers = form_for(ValueType::of(DType::int64, {2, 3}));
  EXPECT_EQ(std::get<Declined>(integers).reason, Decline::type_mismatch);
  const auto cube = form_for(ValueType::of(DType::float32, {2, 2, 3}));
  EXPECT_EQ(std::get<Declined>(cube).reason, Decline::axis_unproven);
}

TEST(Normalizer, DividesEachRowByItsNorm) {
  for (const DType dtype : kFeatureTypes) {
    const Tensor X = tensor_of(dtype, {3, 2}, {3, -4, 0, 0, 2, 8});
    expect_close(ml("Normalizer", {X}, {{"norm", std::string("L2")}})[0],
                 tensor<float>({3, 2}, {0.6F, -0.8F, 0, 0, 2 / std::sqrt(68.0F), 8 / std::sqrt(68.0F)}));
    expect_close(ml("Normalizer", {X}, {{"norm", std::string("L1")}})[0],
                 tensor<float>({3, 2}, {3 / 7.0F, -4 / 7.0F, 0, 0, 0.2F, 0.8F}));
    expect_close(ml("Normalizer", {X}, {})[0], tensor<float>({3, 2}, {1, -4 / 3.0F, 0, 0, 0.25F, 1}));
  }
  expect_close(ml("Normalizer", {tensor<float>({2}, {1, 3})}, {{"norm", std::string("L1")}})[0],
               tensor<float>({2}, {0.25F, 0.75F}));
  EXPECT_EQ(ml_error("Normalizer", {tensor<float>({1, 1}, {1})}, {{"norm", std::string("L3")}}),
            ErrorCode::invalid_model);
}

TEST(Imputer, ReplacesOneValue) {
  const Tensor X({2, 2}, std::vector<float>{kNaN, 1, 2, kNaN});
  const Attributes missing{{"replaced_value_float", kNaN}, {"imputed_value_floats", Floats{7, 8}}};
  expect_close(ml("Imputer", {X}, missing)[0], tensor<float>({2, 2}, {7, 1, 2, 8}));
  const Tensor wide({3}, std::vector<double>{0, 1, kNaN});
  expect_close(ml("Imputer", {wide}, {{"imputed_value_floats", Floats{5}}})[0],
               tensor<double>({3}, {5, 1, kNaN}));
  const Attributes minus_one{{"replaced_value_int64", -1}, {"imputed_value_int64s", Ints{10, 20}}};
  for (const DType dtype : {DType::int64, DType::int32})
    expect_close(ml("Imputer", {tensor_of(dtype, {2, 2}, {-1, -1, 3, -1})}, minus_one)[0],
                 tensor_of(dtype, {2, 2}, {10, 20, 3, 20}));
  EXPECT_EQ(ml_error("Imputer", {X}, minus_one), ErrorCode::invalid_model);
  EXPECT_EQ(ml_error("Imputer", {X}, {}), ErrorCode::invalid_model);
  EXPECT_EQ(ml_error("Imputer", {X}, {{"imputed_value_floats", Floats{1, 2, 3}}}), ErrorCode::invalid_model);
}

TEST(Binarizer, IsStrict) {
  for (const DType dtype : kFeatureTypes)
    expect_close(ml("Binarizer", {tensor_of(dtype, {4}, {1, 2, 3, -5})}, {{"threshold", 2.0F}})[0],
                 tensor_of(dtype, {4}, {0, 0, 1, 0}));
  expect_close(ml("Binarizer", {tensor<float>({2}, {kNaN, 0.5F})}, {})[0], tensor<float>({2}, {0, 1}));
}

TEST(ArrayFeatureExtractor, TakesColumns) {
  const Tensor X({2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
  const Tensor Y({1, 2}, std::vector<std::int64_t>{2, 0});
  expect_close(ml("ArrayFeatureExtractor", {X, Y}, {})[0], tensor<float>({2, 2}, {3, 1, 6, 4}));
  const Tensor names({3}, Strings{"a", "b", "c"});
  expect_close(ml("ArrayFeatureExtractor", {names, Y}, {})[0], tensor<std::string>({1, 2}, {"c", "a"}));
  const Tensor outside({1}, std::vector<std::int64_t>{3});
  EXPECT_EQ(ml_error("ArrayFeatureExtractor", {X, outside}, {}), ErrorCode::invalid_input);
  EXPECT_EQ(ml_error("ArrayFeatureExtractor", {X, X}, {}), ErrorCode::invalid_model);
}

TEST(FeatureVectorizer, PutsRowsSideBySide) {
  const Tensor A({2, 2}, std::vector<std::int64_t>{1, 2, 3, 4});
  const Tensor B({2, 1}, std::vector<std::int64_t>{5, 6});
  const Tensor expected({2, 3}, std::vector<float>{1, 2, 5, 3, 4, 6});
  expect_close(ml("FeatureVectorizer", {A, B}, {{"inputdimensions", Ints{2, 1}}})[0], expected);
  expect_close(ml("FeatureVectorizer", {A, B}, {})[0], expected);
  const Tensor row({2}, std::vector<double>{8, 9});
  expect_close(ml("FeatureVectorizer", {row, row}, {})[0], tensor<float>({1, 4}, {8, 9, 8, 9}));
  EXPECT_EQ(ml_error("FeatureVectorizer", {A, B}, {{"inputdimensions", Ints{1, 1}}}),
            ErrorCode::invalid_model);
  EXPECT_EQ(ml_error("FeatureVectorizer", {A, row}, {}), ErrorCode::invalid_model);
}

TEST(LabelEncoder, Version1MapsBothWays) {
  const Attributes classes{{"classes_strings", Strings{"cat", "dog"}}};
  const Tensor words({3}, Strings{"dog", "cow", "cat"});
  expect_close(ml("LabelEncoder", {words}, classes, 1, 1)[0], tensor<std::int64_t>({3}, {1, -1, 0}));
  const Tensor numbers({3}, std::vector<std::int64_t>{1, 2, 0});
  Attributes named = classes;
  named["default_string"] = std::string("none");
  expect_close(ml("LabelEncoder", {numbers}, named, 1, 1)[0],
               tensor<std::string>({3}, {"dog", "none", "cat"}));
}

TEST(LabelEncoder, Version2MapsBetweenAllTypes) {
  const Tensor words({2, 2}, Strings{"Amy", "Dori", "Sally", "Amy"});
  const Attributes keys{{"keys_strings", Strings{"Amy", "Sally"}}};
  const auto with = [](Attributes attributes, Attributes more) {
    attributes.merge(more);
    return attributes;
  };
  expect_close(ml("LabelEncoder", {words}, with(keys, {{"values_int64s", Ints{5, 6}}}), 1, 2)[0],
               tensor<std::int64_t>({2, 2}, {5, -1, 6, 5}));
  expect_close(ml("LabelEncoder", {words},
                  with(keys, {{"values_floats", Floats{0.5F, 2}}, {"default_float", 9.0F}}), 1, 2)[0],
               tensor<float>({2, 2}, {0.5F, 9, 2, 0.5F}));
  expect_close(ml("LabelEncoder", {words}, with(keys, {{"values_strings", Strings{"a", "s"}}}), 1, 2)[0],
               tensor<std::string>({2, 2}, {"a", "_Unused", "s", "a"}));
  // NaN is a key like any other; of two equal keys the first counts
  const Tensor reals({4}, Floats{kNaN, 1, 2, -3});
  expect_close(
      ml("LabelEncoder", {reals},
         {{"keys_floats", Floats{1, kNaN, -3, 1}}, {"values_int64s", Ints{10, 20, 30, 40}}}, 1, 2)[0],
      tensor<std::int64_t>({4}, {20, 10, -1, 30}));
  const Tensor numbers({3}, std::vector<std::int64_t>{7, -7, 0});
  expect_close(ml("LabelEncoder", {numbers},
                  {{"keys_int64s", Ints{-7, 7}}, {"values_strings", Strings{"m", "p"}}, {"default_int64", 3}},
                  1, 2)[0],
               tensor<std::string>({3}, {"p", "m", "_Unused"}));
  EXPECT_EQ(ml_error("LabelEncoder", {numbers}, with(keys, {{"values_int64s", Ints{5, 6}}}), 1, 2),
            ErrorCode::invalid_model);
  EXPECT_EQ(ml_error("LabelEncoder", {words}, with(keys, {{"values_int64s", Ints{5}}}), 1, 2),
            ErrorCode::invalid_model);
  EXPECT_EQ(ml_error("LabelEncoder", {words}, keys, 1, 2), ErrorCode::invalid_model);
}

TEST(LabelEncoder, Version4TakesTensors) {
  const Tensor X({3}, std::vector<double>{0.5, 4, 1.5});
  const Attributes attributes{{"keys_tensor", tensor<double>({2}, {1.5, 0.5})},
                              {"values_tensor", tensor<std::int16_t>({2}, {15, 5})},
                              {"default_tensor", tensor<std::int16_t>({1}, {-9})}};
  expect_close(ml("LabelEncoder", {X}, attributes, 1, 4)[0], tensor<std::int16_t>({3}, {5, -9, 15}));
  Attributes without_default = attributes;
  without_default.erase("default_tensor");
  expect_close(ml("LabelEncoder", {X}, without_default, 1, 4)[0], tensor<std::int16_t>({3}, {5, -1, 15}));
}

TEST(CategoryMapper, MapsBothWays) {
  const Attributes pairs{{"cats_int64s", Ints{30, 10}},
                         {"cats_strings", Strings{"c", "a"}},
                         {"default_int64", 0},
                         {"default_string", std::string("?")}};
  expect_close(ml("CategoryMapper", {tensor<std::string>({3}, {"a", "b", "c"})}, pairs)[0],
               tensor<std::int64_t>({3}, {10, 0, 30}));
  expect_close(ml("CategoryMapper", {tensor<std::int64_t>({3}, {10, 20, 30})}, pairs)[0],
               tensor<std::string>({3}, {"a", "?", "c"}));
}

TEST(OneHotEncoder, MarksTheCategory) {
  const Attributes numbers{{"cats_int64s", Ints{4, 2, 9}}};
  for (const DType dtype : kFeatureTypes)
    expect_close(ml("OneHotEncoder", {tensor_of(dtype, {2, 1}, {9, 5})}, numbers)[0],
                 tensor<float>({2, 1, 3}, {0, 0, 1, 0, 0, 0}));
  const Attributes strict{{"cats_strings", Strings{"x", "y"}}, {"zeros", 0}};
  expect_close(ml("OneHotEncoder", {tensor<std::string>({2}, {"y", "x"})}, strict)[0],
               tensor<float>({2, 2}, {0, 1, 1, 0}));
  EXPECT_EQ(ml_error("OneHotEncoder", {tensor<std::string>({1}, {"z"})}, strict), ErrorCode::invalid_input);
  EXPECT_EQ(ml_error("OneHotEncoder", {tensor<float>({1}, {1})}, strict), ErrorCode::invalid_model);
}

TEST(LinearRegressor, OneRowOfCoefficientsPerTarget) {
  const Attributes attributes{
      {"targets", 2}, {"coefficients", Floats{1, 2, 3, -1, 0, 1}}, {"intercepts", Floats{10, 20}}};
  for (const DType dtype : kFeatureTypes)
    expect_close(ml("LinearRegressor", {tensor_of(dtype, {2, 3}, {1, 1, 1, 0, 2, 4})}, attributes)[0],
                 tensor<float>({2, 2}, {16, 20, 26, 24}));
  expect_close(ml("LinearRegressor", {tensor<float>({2}, {3, 4})}, {{"coefficients", Floats{1, -1}}})[0],
               tensor<float>({1, 1}, {-1}));
  EXPECT_EQ(
      ml_error("LinearRegressor", {tensor<float>({1, 3}, {1, 2, 3})}, {{"coefficients", Floats{1, -1}}}),
      ErrorCode::invalid_model);
  EXPECT_EQ(ml_error("LinearRegressor", {tensor<float>({1, 2}, {1, 2})},
                     {{"coefficients", Floats{1, -1}}, {"post_transform", std::string("PROBIT")}}),
            ErrorCode::unsupported);
}

TEST(LinearClassifier, ScoresLabelsAndTransforms) {
  // scores of row 0: 0 3 -1; of row 1: 1 -1 0
  const Tensor X({2, 2}, std::vector<float>{0, 2, 1, 0});
  const Attributes base{{"coefficients", Floats{1, 0, -2, 1, 1, 0}},
                        {"intercepts", Floats{0, 1, -1}},
                        {"classlabels_ints", Ints{10, 20, 30}},
                        {"multi_class", 1}};
  const auto with_transform = [&](const char* name) {
    Attributes attributes = base;
    attributes["post_transform"] = std::string(name);
    return ml("LinearClassifier", {X}, attributes, 2);
  };
  const auto plain = with_transform("NONE");
  expect_close(plain[0], tensor<std::int64_t>({2}, {20, 10}));
  expect_close(plain[1], tensor<float>({2, 3}, {0, 3, -1, 1, -1, 0}));

  const auto e = [](double x) { return static_cast<float>(std::exp(x)); };
  const float sum0 = 1 + e(3) + e(-1);
  const float sum1 = e(1) + e(-1) + 1;
  expect_close(with_transform("SOFTMAX")[1], tensor<float>({2, 3}, {1 / sum0, e(3) / sum0, e(-1) / sum0,
                                                                    e(1) / sum1, e(-1) / sum1, 1 / sum1}));
  const float nonzero0 = e(3) + e(-1);
  const float nonzero1 = e(1) + e(-1);
  expect_close(
      with_transform("SOFTMAX_ZERO")[1],
      tensor<float>({2, 3}, {0, e(3) / nonzero0, e(-1) / nonzero0, e(1) / nonzero1, e(-1) / nonzero1, 0}));
  const auto s = [&](double x) { return 1 / (1 + e(-x)); };
  expect_close(with_transform("LOGISTIC")[1], tensor<float>({2, 3}, {0.5F, s(3), s(-1), s(1), s(-1), 0.5F}));

  Attributes named = base;
  named.erase("classlabels_ints");
  named["classlabels_strings"] = Strings{"a", "b", "c"};
  expect_close(ml("LinearClassifier", {X}, named, 2)[0], tensor<std::string>({2}, {"b", "a"}));
  named.erase("classlabels_strings");
  EXPECT_EQ(ml_error("LinearClassifier", {X}, named, 2), ErrorCode::invalid_model);
}

TEST(LinearClassifier, OneScoreForTwoClasses) {
  const Tensor X({3, 1}, std::vector<double>{2, 0, -1});
  Attributes attributes{{"coefficients", Floats{1}},
                        {"intercepts", Floats{0}},
                        {"classlabels_ints", Ints{7, 8}},
                        {"post_transform", std::string("LOGISTIC")}};
  const auto result = ml("LinearClassifier", {X}, attributes, 2);
  expect_close(result[0], tensor<std::int64_t>({3}, {8, 7, 7}));
  const auto s = [](double x) { return static_cast<float>(1 / (1 + std::exp(-x))); };
  expect_close(result[1], tensor<float>({3, 2}, {s(-2), s(2), 0.5F, 0.5F, s(1), s(-1)}));
  attributes["post_transform"] = std::string("NONE");
  EXPECT_EQ(ml_error("LinearClassifier", {X}, attributes, 2), ErrorCode::unsupported);
}

TEST(ZipMap, GivesTheProbabilitiesThemselves) {
  const Tensor X({2, 2}, std::vector<float>{0.25F, 0.75F, 1, 0});
  expect_close(ml("ZipMap", {X}, {{"classlabels_strings", Strings{"no", "yes"}}})[0], X);
  expect_close(ml("ZipMap", {X}, {{"classlabels_int64s", Ints{0, 1}}})[0], X);
  EXPECT_EQ(ml_error("ZipMap", {X}, {{"classlabels_int64s", Ints{0, 1, 2}}}), ErrorCode::invalid_model);
}

// The truth is computed in double, also where ai.onnx.ml gives float32 whatever it reads.
TEST(MachineLearning, WidenedGraphsStayInDouble) {
  const Attributes linear{{"coefficients", Floats{1, 2, 3, 4}}};
  const auto with = [](Attributes attributes, Attributes more) {
    attributes.merge(more);
    return attributes;
  };
  const std::pair<const char*, Attributes> rows[] = {
      {"Scaler", {{"offset", Floats{0.5F}}, {"scale", Floats{2}}}},
      {"Normalizer", {}},
      {"FeatureVectorizer", {}},
      {"LinearRegressor", with(linear, {{"targets", 2}})},
      {"LinearClassifier", with(linear, {{"classlabels_ints", Ints{0, 1}}})},
      {"OneHotEncoder", {{"cats_int64s", Ints{0, 1}}}},
      {"LabelEncoder", {{"keys_floats", Floats{0, 1}}, {"values_floats", Floats{1, 0}}}},
      {"Binarizer", {}},
      {"Imputer", {{"imputed_value_floats", Floats{1}}}},
      {"ZipMap", {{"classlabels_int64s", Ints{0, 1}}}}};
  for (const auto& [name, attributes] : rows) {
    bnrun::testing::GraphBuilder builder(15);
    const ValueId X = builder.input("X", DType::float32, {"N", 2});
    const bool classifies = std::string_view(name) == "LinearClassifier";
    const auto outputs = builder.node(
        name, {X}, attributes,
        classifies ? std::vector<std::string>{"label", "Y"} : std::vector<std::string>{"Y"}, "ai.onnx.ml");
    builder.output(outputs.back());
    Graph graph = builder.graph();
    graph.opsets["ai.onnx.ml"] = 2;
    infer_types(graph);
    const Tensor x({1, 2}, std::vector<double>{0.1, 0.7});  // neither is a float
    const TensorView views[] = {x.view()};
    const Tensor Y = interpret(widened(graph), views)[0];
    EXPECT_EQ(name_of(Y.dtype()), "float64") << name;
    if (std::string_view(name) == "Scaler") expect_close(Y, tensor<double>({1, 2}, {-0.8, 0.4}));
  }
}

}  // namespace
}  // namespace bnrun::testing
