// bntrain: layers as written on the command line, tables as data.
#include <gtest/gtest.h>

#include "bnrun/error.h"
#include "bntrain/data.h"
#include "bntrain/layers.h"
#include "common/program.h"

namespace bnrun {
namespace {

using Names = std::vector<std::string>;
using train::Activation;
using train::LayerSpec;

/// "dense:32 batch_normalization relu ...": what was understood.
std::string understood(const std::vector<LayerSpec>& layers) {
  constexpr const char* kActivations[] = {"linear", "relu", "tanh", "sigmoid", "softmax"};
  std::string text;
  for (const LayerSpec& layer : layers) {
    if (!text.empty()) text += ' ';
    if (const auto* dense = std::get_if<train::Dense>(&layer)) {
      text += "dense:" + std::to_string(dense->units);
      if (!dense->use_bias) text += ":nobias";
      if (dense->initializer == train::Initializer::he_uniform) text += ":he";
    } else if (std::holds_alternative<train::BatchNormalization>(layer)) {
      text += "bn";
    } else {
      text += kActivations[static_cast<std::size_t>(std::get<Activation>(layer))];
    }
  }
  return text;
}

TEST(Layers, LastDenseTakesTheOutputsAndClassesEndInSoftmax) {
  EXPECT_EQ(understood(parse_layers("dense:8:nobias,bn,relu,dense:4:he,tanh,dense", 3, true)),
            "dense:8:nobias bn relu dense:4:he tanh dense:3 softmax");
  EXPECT_EQ(understood(parse_layers("dense:8,sigmoid,dense:1", 1, false)), "dense:8 sigmoid dense:1");
  EXPECT_EQ(understood(parse_layers("dense,softmax", 3, true)), "dense:3 softmax");
}

TEST(Layers, BlocksInTheSameNotation) {
  EXPECT_EQ(layers_text({}), "dense:32,bn,relu,dense:32,bn,relu,dense");
  EXPECT_EQ(layers_text({.units = {4}, .activation = "tanh", .before_activation = false}),
            "dense:4,tanh,bn,dense");
  EXPECT_EQ(layers_text({.units = {4}, .activation = "linear", .batch_norm = false}), "dense:4,dense");
}

TEST(Layers, WhatIsNotUnderstoodIsAUsageError) {
  for (const char* text : {"", "dense:", "dense:0,dense", "dense:x,dense", "dense:4:fast,dense",
                           "dense,dense", "dense:4,conv,dense", "dense:4,", "dense:5"}) {
    EXPECT_THROW(parse_layers(text, 3, true), cli::UsageError) << text;
  }
  EXPECT_THROW(parse_layers("dense,softmax", 1, false), cli::UsageError);
}

struct TaskCase {
  const char* table;
  Task task;
  Names classes;  // none: a number to predict
};

TEST(Data, TextAndFewIntegersAreClasses) {
  const TaskCase cases[] = {
      {"x,t\n1,b\n2,a\n3,b\n", Task::automatic, {"a", "b"}},
      {"x,t\n1,10\n2,9\n3,10.0\n", Task::automatic, {"9", "10"}},
      {"x,t\n1,0.5\n2,1\n", Task::automatic, {}},
      {"x,t\n1,1\n2,2\n", Task::regress, {}},
      {"x,t\n1,0.5\n2,1\n", Task::classify, {"0.5", "1"}},
  };
  for (const TaskCase& c : cases) {
    const auto result = label_table(io::parse_csv(c.table, "t.csv"), "t", c.task);
    EXPECT_EQ(result.description.classes, c.classes) << c.table;
    EXPECT_EQ(result.data.labels.empty(), c.classes.empty()) << c.table;
    EXPECT_NE(result.data.targets.empty(), c.classes.empty()) << c.table;
  }
}

TEST(Data, TargetMayStandAnywhere) {
  const auto result = label_table(io::parse_csv("a,t,b\n1,yes,2\n3,no,4\n", "t.csv"), "t", Task::automatic);
  EXPECT_EQ(result.data.features, (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(result.data.labels, (std::vector<std::int64_t>{1, 0}));
  EXPECT_EQ(result.description.features, (Names{"a", "b"}));
}

/// The message of the invalid_input that `action` throws.
template <class F>
std::string refusal(F&& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_input);
    return error.what();
  }
  return "nothing thrown";
}

TEST(Data, BadCellsAreNamed) {
  const auto label = [](const char* text) {
    return refusal([&] { label_table(io::parse_csv(text, "t.csv"), "t", Task::automatic); });
  };
  EXPECT_EQ(label("a,t\n1,2.5\nnan,3\n"), "t.csv: row 2, column 'a': nan is not a finite number in float32");
  EXPECT_EQ(label("a,t\n1e39,2.5\n1,3\n"),
            "t.csv: row 1, column 'a': 1e+39 is not a finite number in float32");
  EXPECT_EQ(label("a,t\n1,inf\n1,3\n"), "t.csv: row 1, column 't': inf is not a finite number in float32");
  EXPECT_EQ(label("a,t\n1,7\n2,7\n"), "t.csv: column 't' holds one class only");
  EXPECT_EQ(label("t\n1\n2\n"), "t.csv: no column besides the target");
}

Model model_of(const Names& features, const Names& classes) {
  const auto inputs = static_cast<std::int64_t>(features.size());
  const auto outputs = static_cast<std::int64_t>(classes.size());
  const train::Network network(inputs, {train::Dense{outputs}, Activation::softmax});
  return train::to_model(network, {.features = features, .classes = classes, .target = "t"});
}

TEST(Data, ModelPicksItsFeaturesByName) {
  const auto table = io::parse_csv("b,id,t,a\n1,7,no,2\n3,8,yes,4\n", "t.csv");
  const auto result = label_table_for(model_of({"a", "b"}, {"yes", "no"}), table, "t");
  EXPECT_EQ(result.data.features, (std::vector<float>{2, 1, 4, 3}));
  EXPECT_EQ(result.data.labels, (std::vector<std::int64_t>{1, 0}));
}

TEST(Data, ClassTheModelDoesNotKnowIsNamed) {
  const auto table = io::parse_csv("a,t\n1,yes\n2,perhaps\n", "t.csv");
  EXPECT_EQ(refusal([&] {
              label_table_for(model_of({"a"}, {"yes", "no"}), table, "t");
            }),
            "t.csv: row 2: 'perhaps' in column 't' is none of the model's 2 classes");
}

}  // namespace
}  // namespace bnrun
