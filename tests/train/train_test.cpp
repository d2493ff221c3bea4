// The trainer: statistics by hand, whole fits by what they must reach, export.
#include "bnrun/train.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "api/model_access.h"
#include "bnrun/error.h"
#include "bnrun/session.h"
#include "op/evaluate.h"
#include "samples.h"
#include "verify/interpret.h"

namespace bnrun::train {
namespace {

using Layers = std::vector<LayerSpec>;

std::span<const float> weight(const std::vector<Weight>& weights, const std::string& name) {
  const auto found = std::ranges::find(weights, name, &Weight::name);
  if (found == weights.end()) throw std::out_of_range(name);
  return found->tensor.span<float>();
}

// -------- layers

// x W + b through ReLU, all numbers chosen so that each product is exact.
TEST(Network, PredictsAsWorkedByHand) {
  Network network(2, {Dense{2}, Activation::relu});
  const auto weights = network.weights();
  const auto W = weight(weights, "dense_1.W");
  const auto y = network.predict(std::vector<float>{2.0F, 4.0F});
  for (std::size_t n = 0; n < 2; ++n) {
    const double expected = 2.0 * static_cast<double>(W[n]) + 4.0 * static_cast<double>(W[2 + n]);
    EXPECT_NEAR(static_cast<double>(y[n]), std::max(0.0, expected), 1e-6);
  }
}

// Batch {1, 3}, {5, 7}: mean {3, 5}, population variance {4, 4}. From 0 and 1 with momentum 0.75 one step
// gives mean 0.25 * {3, 5} and variance 0.75 + 0.25 * 4 = 1.75.
TEST(BatchNormalization, RunningStatisticsByHand) {
  Network network(2, {BatchNormalization{.momentum = 0.75}, Dense{1}});
  const Dataset data{.columns = 2, .features = {1, 3, 5, 7}, .targets = {0, 0}};
  fit(network, data, {.epochs = 1, .batch = 2});
  const auto weights = network.weights();
  const auto mean = weight(weights, "batch_normalization_1.mean");
  const auto var = weight(weights, "batch_normalization_1.var");
  EXPECT_EQ(mean[0], 0.75F);
  EXPECT_EQ(mean[1], 1.25F);
  EXPECT_EQ(var[0], 1.75F);
  EXPECT_EQ(var[1], 1.75F);
}

// 5 rows in batches of 2 would leave one row: the steps are 2 and 3, so the running mean takes two steps.
TEST(BatchNormalization, RowLeftOverJoinsTheStepBefore) {
  Network network(1, {BatchNormalization{.momentum = 0.5}, Dense{1}});
  const Dataset data{.columns = 1, .features = {8, 8, 8, 8, 8}, .targets = {0, 0, 0, 0, 0}};
  fit(network, data, {.epochs = 1, .batch = 2});
  EXPECT_EQ(weight(network.weights(), "batch_normalization_1.mean")[0], 6.0F);
  EXPECT_EQ(weight(network.weights(), "batch_normalization_1.var")[0], 0.25F);
}

TEST(BatchNormalization, NeedsTwoRows) {
  Network network(1, {BatchNormalization{}, Dense{1}});
  const Dataset two{.columns = 1, .features = {1, 2}, .targets = {1, 2}};
  expect_refused([&] { fit(network, two, {.batch = 1}); }, "two rows");
  const Dataset one{.columns = 1, .features = {1}, .targets = {1}};
  expect_refused([&] { fit(network, one); }, "two rows");
}

// -------- scaling

TEST(Scaling, StandardizesColumnsAndLeavesConstantOnesAtZero) {
  std::vector<float> rows{1, 5, 3, 5};
  Scaling::standardize(rows, 2).apply(rows);
  EXPECT_EQ(rows, (std::vector<float>{-1, 0, 1, 0}));
}

TEST(Scaling, MinMaxCoversZeroToOne) {
  std::vector<float> rows{2, 7, 4, 7, 6, 7};
  const auto scaling = Scaling::min_max(rows, 2);
  scaling.apply(rows);
  EXPECT_EQ(rows, (std::vector<float>{0, 0, 0.5F, 0, 1, 0}));
  scaling.inverted().apply(rows);
  EXPECT_EQ(rows, (std::vector<float>{2, 7, 4, 7, 6, 7}));
}

// -------- fitting

Dataset xor_table() {
  return {.columns = 2, .features = {0, 0, 0, 1, 1, 0, 1, 1}, .labels = {0, 1, 1, 0}};
}

TEST(Fit, LearnsExclusiveOr) {
  Network network(2, {Dense{8}, Activation::tanh, Dense{2}, Activation::softmax});
  fit(network, xor_table(), {.epochs = 200, .batch = 4, .optimizer = Adam{.learning_rate = 0.05}});
  EXPECT_EQ(evaluate(network, xor_table()).metric, 1.0);
}

TEST(Fit, SgdFindsALine) {
  Dataset line{.columns = 1, .features = draw(64, 3)};
  for (const float x : line.features) line.targets.push_back(3.0F * x - 1.0F);
  Network network(1, {Dense{1}});
  fit(network, line, {.epochs = 60, .batch = 8, .optimizer = Sgd{.learning_rate = 0.05, .momentum = 0.9}});
  EXPECT_NEAR(weight(network.weights(), "dense_1.W")[0], 3.0F, 1e-3F);
  EXPECT_NEAR(weight(network.weights(), "dense_1.b")[0], -1.0F, 1e-3F);
}

Network fitted(std::uint64_t seed) {
  Network network(4, {Dense{8}, BatchNormalization{}, Activation::relu, Dense{3}, Activation::softmax}, seed);
  fit(network, labelled(50, 4, 3), {.epochs = 3, .batch = 8, .validation = 0.2, .seed = seed});
  return network;
}

TEST(Fit, SeedsRepeatBitForBitAndDiffer) {
  const auto a = fitted(1).weights();
  const auto b = fitted(1).weights();
  const auto c = fitted(2).weights();
  ASSERT_EQ(a.size(), 8U);
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(identical(a[i].tensor, b[i].tensor)) << a[i].name;
  EXPECT_FALSE(identical(a[0].tensor, c[0].tensor));
}

TEST(Fit, ReportsEachEpoch) {
  Network network(4, {Dense{3}, Activation::softmax});
  int calls = 0;
  const auto history =
      fit(network, labelled(50, 4, 3),
          {.epochs = 4, .validation = 0.2, .on_epoch = [&](const auto& e) { EXPECT_EQ(e.epoch, ++calls); }});
  ASSERT_EQ(history.size(), 4U);
  EXPECT_EQ(calls, 4);
  EXPECT_LT(history.back().loss, history.front().loss);
  EXPECT_TRUE(history.back().validation_metric.has_value());
  EXPECT_FALSE(history.front().trained_metric.has_value());
}

TEST(Fit, TellsHowTheFinishedModelDoesOnWhatItWasTrainedOn) {
  const Dataset data = labelled(64, 4, 3);
  Network network(4, {Dense{8}, BatchNormalization{.momentum = 0.999}, Dense{3}, Activation::softmax});
  const auto history = fit(network, data, {.epochs = 5});
  EXPECT_EQ(history.back().trained_metric, evaluate(network, data).metric);
  EXPECT_NEAR(history.back().trained_loss.value(), evaluate(network, data).loss,
              1e-6);  // rows in another order
}

TEST(Fit, DivergenceIsAnError) {
  Dataset data = measured(64, 4, 1);
  Network network(4, {Dense{16}, Activation::relu, Dense{1}});
  expect_refused([&] { fit(network, data, {.epochs = 50, .optimizer = Sgd{.learning_rate = 1e6}}); },
                 "diverged");
}

TEST(Fit, NamesTheRowThatDoesNotFit) {
  const auto network = [] { return Network(2, {Dense{2}, Activation::softmax}); };
  Dataset data = xor_table();
  data.labels[2] = 2;
  expect_refused(
      [&] {
        auto n = network();
        fit(n, data);
      },
      "row 3: label 2");
  data = xor_table();
  data.features[3] = std::numeric_limits<float>::quiet_NaN();
  expect_refused(
      [&] {
        auto n = network();
        fit(n, data);
      },
      "row 2, column 2");
  data = xor_table();
  data.labels.pop_back();
  expect_refused(
      [&] {
        auto n = network();
        fit(n, data);
      },
      "3 labels for 4 rows");
}

TEST(Fit, RefusesOptionsThatMakeNoSense) {
  const auto with = [](FitOptions options) {
    Network network(2, {Dense{2}, Activation::softmax});
    fit(network, xor_table(), options);
  };
  expect_refused([&] { with({.epochs = 0}); }, "0 epochs");
  expect_refused([&] { with({.batch = 0}); }, "0 rows");
  expect_refused([&] { with({.optimizer = Adam{.learning_rate = -1.0}}); }, "learning rate");
  expect_refused([&] { with({.optimizer = Sgd{.momentum = 1.0}}); }, "momentum");
  expect_refused([&] { with({.validation = 1.0}); }, "validation");
  expect_refused([&] { with({.validation = 0.01}); }, "leaves 4 to train and 0 to validate");
}

TEST(Network, RefusesLayersThatMakeNoSense) {
  expect_refused([] { Network(2, {Activation::relu}); }, "at least one dense");
  expect_refused([] { Network(2, {Dense{0}}); }, "0 units");
  expect_refused([] { Network(2, {Dense{2}, BatchNormalization{.momentum = 1.0}}); }, "momentum");
  expect_refused([] { Network(2, {Dense{2}, BatchNormalization{.epsilon = 0.0}}); }, "epsilon");
}

// -------- scores

TEST(Score, ClassesByHand) {
  const std::vector<float> probabilities{0.7F, 0.3F, 0.4F, 0.6F, 0.5F, 0.5F};
  const auto score = score_classes(probabilities, std::vector<std::int64_t>{0, 0, 1}, 2);
  EXPECT_EQ(score.confusion, (std::vector<std::int64_t>{1, 1, 1, 0}));
  EXPECT_EQ(score.correct, 1);
}

// Class 0 is right twice of three, predicted twice; its probabilities 0.7, 0.4, 0.2 stand against 0.3 and 0.2
// of the others: 4.5 of 6 pairs in order.
TEST(Score, EachClassByHand) {
  const std::vector<float> probabilities{0.7F, 0.2F, 0.1F, 0.4F, 0.3F, 0.3F, 0.2F, 0.5F,
                                         0.3F, 0.3F, 0.6F, 0.1F, 0.2F, 0.7F, 0.1F};
  const std::vector<std::int64_t> labels{0, 0, 0, 1, 1};
  const auto report = report_classes(probabilities, labels, 3);
  EXPECT_EQ(report.classes[0].rows, 3);
  EXPECT_DOUBLE_EQ(report.classes[0].precision, 1.0);
  EXPECT_DOUBLE_EQ(report.classes[0].recall, 2.0 / 3.0);
  EXPECT_DOUBLE_EQ(report.classes[0].f1, 0.8);
  EXPECT_DOUBLE_EQ(report.classes[0].auc, 4.5 / 6.0);
  EXPECT_DOUBLE_EQ(report.classes[1].precision, 2.0 / 3.0);
  EXPECT_DOUBLE_EQ(report.classes[1].recall, 1.0);
  EXPECT_DOUBLE_EQ(report.classes[1].auc, 1.0);
  EXPECT_EQ(report.classes[2].rows, 0);
  EXPECT_EQ(report.classes[2].f1, 0.0);
  EXPECT_TRUE(std::isnan(report.classes[2].auc));
  EXPECT_DOUBLE_EQ(report.mean.auc, (4.5 / 6.0 + 1.0) / 2.0);
  EXPECT_DOUBLE_EQ(report.mean.recall, 5.0 / 6.0);
  EXPECT_EQ(report.mean.rows, 5);
  EXPECT_EQ(report.top_3, 1.0);
  EXPECT_NEAR(report.log_loss,
              -(std::log(0.7) + std::log(0.4) + std::log(0.2) + std::log(0.6) + std::log(0.7)) / 5, 1e-6);
  // In their ranges: 0.4 right, 0.5 wrong, 0.6 right, 0.7 right twice.
  EXPECT_NEAR(report.calibration_error, (0.6 + 0.5 + 0.4 + 0.6) / 5, 1e-6);
}

TEST(Score, ALabelBehindThreeOthersIsNotAmongThem) {
  const std::vector<float> probabilities{0.4F, 0.3F, 0.2F, 0.1F, 0.1F, 0.2F, 0.3F, 0.4F};
  const std::vector<std::int64_t> labels{3, 3};
  EXPECT_EQ(report_classes(probabilities, labels, 4).top_3, 0.5);
  EXPECT_EQ(top_accuracy(probabilities, labels, 4, 1), 0.5);
  EXPECT_EQ(top_accuracy(probabilities, labels, 4, 4), 1.0);
  EXPECT_EQ(top_accuracy(probabilities, std::vector<std::int64_t>{1, 0}, 4, 2), 0.5);
  expect_refused([&] { top_accuracy(probabilities, labels, 4, 0); }, "the 0 most probable classes");
}

TEST(Score, PredictionsByHand) {
  const auto score = score_predictions(std::vector<float>{1, 2, 5}, std::vector<float>{1, 3, 5});
  EXPECT_DOUBLE_EQ(score.mean_squared_error, 1.0 / 3.0);
  EXPECT_DOUBLE_EQ(score.mean_absolute_error, 1.0 / 3.0);
  EXPECT_DOUBLE_EQ(score.root_mean_squared_error, std::sqrt(1.0 / 3.0));
  EXPECT_DOUBLE_EQ(score.r2, 1.0 - 1.0 / 8.0);
}

// 0 would be a verdict: no better than chance, no better than the mean.
TEST(Score, WhatIsUndefinedIsNaN) {
  const std::vector<float> probabilities{0.7F, 0.3F, 0.4F, 0.6F};
  const auto report = report_classes(probabilities, std::vector<std::int64_t>{0, 0}, 2);
  EXPECT_TRUE(std::isnan(report.classes[0].auc));
  EXPECT_TRUE(std::isnan(report.classes[1].auc));
  EXPECT_TRUE(std::isnan(report.mean.auc));
  EXPECT_EQ(report.mean.recall, 0.5);
  const auto labels = report_labels(probabilities, std::vector<float>{1, 1, 1, 0}, 2);
  EXPECT_TRUE(std::isnan(labels.labels[0].auc));
  EXPECT_EQ(labels.labels[1].auc, 0.0);
  EXPECT_EQ(labels.mean.auc, 0.0);
  const std::vector<float> equal(3, 0.1F);  // their mean rounds
  EXPECT_TRUE(std::isnan(score_predictions(std::vector<float>{1, 2, 5}, equal).r2));
  EXPECT_TRUE(std::isnan(score_predictions({}, {}).r2));
  EXPECT_TRUE(std::isnan(score_predictions(std::vector<float>{NAN, 2}, std::vector<float>{1, 2}).r2));
}

// -------- splits

TEST(Split, DrawsFromEachClassItsShare) {
  struct Case {
    std::vector<std::size_t> sizes;  // of the classes
    std::size_t count;
    std::vector<std::size_t> drawn;
  };
  const Case cases[] = {{{50, 50, 50}, 30, {10, 10, 10}}, {{90, 10}, 20, {18, 2}},    {{97, 3}, 10, {10, 0}},
                        {{1, 99}, 50, {0, 50}},           {{7, 7, 7}, 10, {4, 3, 3}}, {{2, 2}, 2, {1, 1}},
                        {{1, 1, 1}, 2, {1, 1, 0}},        {{5, 5}, 0, {0, 0}},        {{5, 5}, 10, {5, 5}},
                        {{1, 1, 98}, 98, {0, 0, 98}}};
  for (const auto& [sizes, count, expected] : cases) {
    Dataset data{.columns = 1};
    for (std::size_t c = 0; c < sizes.size(); ++c)
      data.labels.insert(data.labels.end(), sizes[c], static_cast<std::int64_t>(c));
    data.features.resize(data.labels.size());
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      const RowSplit split = split_rows(data, count, seed);
      std::vector<std::size_t> drawn(sizes.size());
      for (const std::size_t row : split.drawn) ++drawn[static_cast<std::size_t>(data.labels[row])];
      if (expected.back() == 98)
        EXPECT_EQ(split.drawn.size(), 98U);
      else
        EXPECT_EQ(drawn, expected);
      std::set<std::size_t> all(split.drawn.begin(), split.drawn.end());
      all.insert(split.rest.begin(), split.rest.end());
      EXPECT_EQ(all.size(), data.labels.size());
      EXPECT_EQ(split.drawn.size() + split.rest.size(), data.labels.size());
    }
  }
}

TEST(Split, DependsOnTheSeedAlone) {
  const Dataset data = labelled(60, 2, 3);
  EXPECT_EQ(split_rows(data, 20, 7).drawn, split_rows(data, 20, 7).drawn);
  EXPECT_NE(split_rows(data, 20, 7).drawn, split_rows(data, 20, 8).drawn);
  expect_refused([&] { split_rows(data, 61, 1); }, "61 of 60 rows");
}

// -------- columns as tables have them

constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();

TableColumns mixed_columns() {
  return {.numbers = {"a", "b"}, .texts = {{"colour", {"blue", "green", "red"}}}};
}

/// Two numbers and a text; the third value of the text is in no row.
Dataset mixed_rows() {
  return {.columns = 3,
          .features = {1, 10, 0, 2, kMissing, 1, 6, 40, kMissing, 3, 40, 1},
          .labels = {0, 1, 0, 1}};
}

TEST(Prepare, FillsWhatIsMissingByItsRule) {
  const std::pair<MissingRule, std::vector<float>> cases[] = {{MissingRule::mean, {3, 30}},
                                                              {MissingRule::median, {2.5F, 40}},
                                                              {MissingRule::zero, {0, 0}},
                                                              {MissingRule::indicator, {3, 30}}};
  for (const auto& [rule, fill] : cases) {
    const auto preparation = Preparation::learn(mixed_rows(), mixed_columns(), rule);
    EXPECT_EQ(preparation.fill, fill) << name_of(rule);
    const bool indicates = rule == MissingRule::indicator;
    EXPECT_EQ(preparation.indicators, indicates ? std::vector<std::int64_t>{1} : std::vector<std::int64_t>());
    EXPECT_EQ(preparation.vocabularies[0], indicates ? (std::vector<std::string>{"", "blue", "green"})
                                                     : (std::vector<std::string>{"blue", "green"}));
    const auto prepared = preparation.apply(mixed_rows());
    EXPECT_EQ(prepared.columns, preparation.outputs());
    EXPECT_EQ(prepared.labels, mixed_rows().labels);
    const std::vector<float> second(prepared.features.begin() + prepared.columns,
                                    prepared.features.begin() + 2 * prepared.columns);
    EXPECT_EQ(second, indicates ? (std::vector<float>{2, fill[1], 1, 0, 0, 1})
                                : (std::vector<float>{2, fill[1], 0, 1}));
  }
}

TEST(Prepare, WhatWasNotLearntIsNoneOfTheValuesOrAnError) {
  const Dataset rows = mixed_rows();
  const std::vector<std::size_t> first{0};
  const auto tolerant = Preparation::learn(take_rows(rows, first), mixed_columns(), MissingRule::mean);
  EXPECT_EQ(tolerant.apply(rows).features[5], 0.0F) << "green was not learnt";
  const auto strict = Preparation::learn(take_rows(rows, first), mixed_columns(), MissingRule::mean, true);
  expect_refused([&] { strict.apply(rows); }, "row 2: 'green' in column 'colour'");
  Dataset empty = mixed_rows();
  empty.features[1] = empty.features[7] = empty.features[10] = kMissing;
  expect_refused([&] { Preparation::learn(empty, mixed_columns(), MissingRule::mean); },
                 "column 'b' has no value");
}

/// The exported model on raw columns equals the network on prepared ones.
TEST(Prepare, TheExportedModelPreparesAlike) {
  for (const auto rule :
       {MissingRule::mean, MissingRule::median, MissingRule::zero, MissingRule::indicator}) {
    const auto preparation = Preparation::learn(mixed_rows(), mixed_columns(), rule);
    const auto prepared = preparation.apply(mixed_rows());
    Network network(preparation.outputs(), {Dense{4}, BatchNormalization{}, Dense{2}, Activation::softmax});
    network.set_input_scaling(Scaling::standardize(prepared.features, prepared.columns));
    fit(network, prepared, {.epochs = 3});
    const Model model = to_model(network, {.features = {"a", "colour", "b"}}, preparation);
    EXPECT_EQ(model.metadata().properties.at("bnrun.columns"), R"({"input":["a","b"],"colour":["colour"]})");
    EXPECT_EQ(model.metadata().properties.at("bnrun.missing"), name_of(rule));
    const Tensor numbers({5, 2}, std::vector<float>{1, 10, 2, kMissing, 6, 40, 3, 40, 3, 40});
    const Tensor colours({5, 1}, std::vector<std::string>{"blue", "green", "", "green", "violet"});
    const auto outputs =
        Session(model).run(std::vector<NamedTensor>{{"input", numbers}, {"colour", colours}});
    const auto expected = network.predict(prepared.features);
    for (std::size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(outputs[0].tensor.span<float>()[i], expected[i], 1e-5F) << name_of(rule) << " " << i;
  }
}

TEST(Prepare, ColumnsKeepTheirNamesAsInputsUnlessTheyAreTaken) {
  TableColumns columns{.texts = {{"input", {"x"}}, {"dense_1.W", {"x"}}, {"colour", {"x"}}}};
  const Dataset rows{.columns = 3, .features = {0, 0, 0, 0, 0, 0}, .labels = {0, 1}};
  const auto preparation = Preparation::learn(rows, columns, MissingRule::error);
  const Network network(3, {Dense{2}, Activation::softmax});
  std::vector<std::string> names;
  for (const PortInfo& port : to_model(network, {}, preparation).inputs()) names.push_back(port.name);
  EXPECT_EQ(names, (std::vector<std::string>{"text_input", "text_dense_1.W", "colour"}));
}

// -------- export

void expect_export_equal(const Network& network, const Dataset& data) {
  const Model model = to_model(network);
  const Tensor x({data.rows(), data.columns}, data.features);
  const TensorView inputs[] = {x};
  const auto outputs = interpret(graph_of(model), inputs);
  const auto expected = network.predict(data.features);
  ASSERT_EQ(outputs[0].shape(), (Shape{data.rows(), network.outputs()}));
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const float tolerance = 1e-6F * std::max(1.0F, std::abs(expected[i]));
    ASSERT_NEAR(outputs[0].span<float>()[i], expected[i], tolerance) << i;
  }
}

TEST(Export, RegressionEqualsTheTrainersOwnInference) {
  const Dataset data = measured(40, 3, 2);
  Network network(3, {Dense{8}, Activation::sigmoid, BatchNormalization{}, Dense{6, false},
                      BatchNormalization{.center = false}, Activation::tanh, Activation::linear, Dense{2}});
  network.set_input_scaling(Scaling::standardize(data.features, 3));
  network.set_target_scaling(Scaling::standardize(data.targets, 2));
  fit(network, data, {.epochs = 5});
  expect_export_equal(network, data);
}

TEST(Export, ClassificationEqualsTheTrainersOwnInference) {
  const Dataset data = labelled(40, 3, 4);
  Network network(3, {Dense{8}, BatchNormalization{}, Activation::relu, Dense{4}, Activation::softmax});
  network.set_input_scaling(Scaling::by(0.25, 3));
  fit(network, data, {.epochs = 5});
  expect_export_equal(network, data);
}

TEST(Export, EveryLayerEqualsTheTrainersOwnInference) {
  const Dataset data = measured(40, 4, 3);
  const Layers cases[] = {{Dense{6}, Activation::gelu, Dense{3}},
                          {Dense{6}, Activation::selu, Dropout{0.2}, Dense{3}},
                          {Dense{6}, LeakyRelu{0.1}, Dense{3}, Elu{0.5}},
                          {Dense{6}, LayerNormalization{}, Dense{3}},
                          {LayerNormalization{.center = false}, Dense{3}, Activation::gelu},
                          {Dense{4}, Activation::softmax, Shortcut{2}, Dense{3}, Dropout{0.5}},
                          {Dense{6}, Dense{6}, Activation::relu, Dense{6}, Shortcut{3}, Dense{3}}};
  for (std::size_t i = 0; i < std::size(cases); ++i) {
    Network network(4, cases[i]);
    network.set_loss(i % 2 == 0 ? Loss::mean_absolute_error : Loss::huber);
    fit(network, data, {.epochs = 2});
    expect_export_equal(network, data);
  }
}

TEST(Export, ProbabilitiesOfSeveralLabels) {
  Dataset data = measured(40, 4, 3);
  for (float& target : data.targets) target = target > 0.0F ? 1.0F : 0.0F;
  Network network(4, {Dense{6}, BatchNormalization{}, Activation::relu, Dense{3}, Activation::sigmoid});
  network.set_loss(Loss::binary_cross_entropy);
  const auto history = fit(network, data, {.epochs = 200, .optimizer = Adam{.learning_rate = 0.02}});
  EXPECT_GT(history.back().metric, 0.65);
  expect_export_equal(network, data);
  EXPECT_EQ(to_model(network).outputs()[0].name, "probabilities");
}

TEST(Export, WritesStandardOperatorsAndWhatTheyMean) {
  Network network(3, {Dense{4}, BatchNormalization{}, Dense{2}, Activation::softmax});
  network.set_input_scaling(Scaling::by(0.5, 3));
  const Model model =
      to_model(network, {.features = {"a", "b", "c"}, .classes = {"no", "yes"}, .target = "t"});
  const Graph& graph = graph_of(model);
  std::vector<std::string> nodes;
  for (const NodeId id : graph.topological_order())
    nodes.push_back(graph.node(id).op_type + " " + graph.node(id).name);
  EXPECT_EQ(nodes, (std::vector<std::string>{"Mul input_factor", "Gemm dense_1",
                                             "BatchNormalization batch_normalization_1", "Gemm dense_2",
                                             "Softmax softmax_1"}));
  EXPECT_EQ(graph.opset(""), 17);
  EXPECT_EQ(model.metadata().ir_version, 8);
  EXPECT_EQ(model.metadata().properties.at("bnrun.classes"), R"(["no","yes"])");
  EXPECT_EQ(model.metadata().properties.at("bnrun.features"), R"(["a","b","c"])");
  EXPECT_EQ(model.metadata().properties.at("bnrun.target"), "t");
  EXPECT_EQ(model.inputs()[0].name, "input");
  EXPECT_EQ((*model.inputs()[0].dims)[0].symbol, "N");
  EXPECT_EQ(model.outputs()[0].name, "probabilities");
}

TEST(Scores, LabelsAreMeasuredEachAndTogether) {
  const std::vector<float> p{0.9F, 0.2F, 0.6F, 0.7F, 0.1F, 0.4F, 0.5F, 0.8F};
  const std::vector<float> t{1, 0, 0, 1, 0, 0, 1, 0};
  const LabelReport report = report_labels(p, t, 2);
  EXPECT_EQ(report.labels[0].rows, 2);
  EXPECT_DOUBLE_EQ(report.labels[0].precision, 0.5);  // rows 1 and 3 are predicted, 1 and 4 are so
  EXPECT_DOUBLE_EQ(report.labels[0].recall, 0.5);
  EXPECT_DOUBLE_EQ(report.labels[0].auc, 0.75);
  EXPECT_EQ(report.labels[1].rows, 1);
  EXPECT_DOUBLE_EQ(report.labels[1].precision, 0.5);
  EXPECT_DOUBLE_EQ(report.labels[1].recall, 1.0);
  EXPECT_EQ(report.mean.rows, 4);
  EXPECT_DOUBLE_EQ(report.mean.recall, 0.75);
  EXPECT_DOUBLE_EQ(report.accuracy, 5.0 / 8.0);
  EXPECT_DOUBLE_EQ(report.exact, 0.5);
  double loss = 0.0;
  for (std::size_t i = 0; i < p.size(); ++i)
    loss -= std::log(static_cast<double>(t[i] > 0.5F ? p[i] : 1.0F - p[i])) / 8.0;
  EXPECT_NEAR(report.log_loss, loss, 1e-6);
  const std::vector<float> lost{NAN, 0.2F};
  EXPECT_DOUBLE_EQ(report_labels(lost, std::vector<float>{0, 0}, 2).accuracy, 0.5);
  expect_refused([&] { report_labels(p, t, 3); }, "rows of 3 labels");
  expect_refused([&] { report_labels(p, t, 0); }, "rows of 0 labels");
}

TEST(Scores, TargetsAreMeasuredApart) {
  const std::vector<float> y{1, 10, 2, 20};
  const std::vector<float> t{1, 14, 4, 20};
  const auto scores = score_targets(y, t, 2);
  ASSERT_EQ(scores.size(), 2U);
  EXPECT_DOUBLE_EQ(scores[0].mean_absolute_error, 1.0);
  EXPECT_DOUBLE_EQ(scores[1].mean_absolute_error, 2.0);
  EXPECT_EQ(scores[1].elements, 2);
  expect_refused([&] { score_targets(y, t, 3); }, "rows of 3");
}

}  // namespace
}  // namespace bnrun::train
