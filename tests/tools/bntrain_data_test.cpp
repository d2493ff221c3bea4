// bntrain: tables as data.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "bnrun/error.h"
#include "bntrain/data.h"
#include "support/expect_error.h"

namespace bnrun {
namespace {

using Names = std::vector<std::string>;

/// The message of the invalid_input that `action` throws.
template <class F>
std::string refusal(F&& action) {
  return testing::expect_error(ErrorCode::invalid_input, action);
}

LabelledTable label(const std::string& text, Choice choice = {}) {
  choice.targets = {"t"};
  return label_table(io::parse_csv(text, "t.csv", {.expected = {"t"}}), choice);
}

std::string refused(const std::string& text, const Choice& choice = {}) {
  return refusal([&] { label(text, choice); });
}

/// A table of a feature and a target of `rows` rows.
std::string table_of(std::size_t rows, const std::function<std::string(std::size_t)>& target) {
  std::string text = "x,t\n";
  for (std::size_t r = 0; r < rows; ++r) text += fmt::format("{},{}\n", r, target(r));
  return text;
}

struct TaskCase {
  std::string table;
  Task task;
  Names classes;  // none: a number to predict
};

TEST(Data, TextAndFewIntegersAreClasses) {
  const TaskCase cases[] = {
      {"x,t\n1,b\n2,a\n3,b\n", Task::automatic, {"a", "b"}},
      {"x,t\n1,yes\n2,No\n", Task::automatic, {"No", "yes"}},
      {"x,t\n1,10\n2,9\n3,10.0\n", Task::automatic, {"9", "10"}},
      {"x,t\n1,0\n2,1\n", Task::automatic, {"0", "1"}},
      {"x,t\n1,0.5\n2,1\n", Task::automatic, {}},
      {"x,t\n1,1\n2,2\n", Task::regression, {}},
      {"x,t\n1,0.5\n2,1\n", Task::classification, {"0.5", "1"}},
      {"x,t\n1,7\n2,8\n3,9\n", Task::automatic, {}},  // each once
  };
  for (const TaskCase& c : cases) {
    const auto result = label(c.table, {.task = c.task});
    EXPECT_EQ(result.description.classes, c.classes) << c.table;
    EXPECT_EQ(result.data.labels.empty(), c.classes.empty()) << c.table;
    EXPECT_NE(result.data.targets.empty(), c.classes.empty()) << c.table;
  }
}

TEST(Data, TheReasonForTheTaskIsTold) {
  const auto letters = label(table_of(520, [](std::size_t r) { return std::to_string(r % 26); }));
  EXPECT_EQ(letters.description.classes.size(), 26U);
  EXPECT_EQ(letters.reason,
            "'t' holds 26 different integers in 520 rows; --task regression predicts them as numbers");
  const auto counts = label(table_of(100, [](std::size_t r) { return std::to_string(r % 60); }));
  EXPECT_FALSE(counts.classification());
  EXPECT_EQ(counts.reason,
            "'t' holds 60 different integers in 100 rows; --task classification takes them for classes");
  EXPECT_EQ(label("x,t\n1,a\n2,b\n").reason, "'t' holds words");
  EXPECT_EQ(label("x,t\n1,1.5\n2,2\n").reason, "'t' holds numbers with fractions");
}

TEST(Data, TargetMayStandAnywhere) {
  const auto result = label("a,t,b\n1,yes,2\n3,no,4\n");
  EXPECT_EQ(result.data.features, (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(result.data.labels, (std::vector<std::int64_t>{1, 0}));
  EXPECT_EQ(result.description.features, (Names{"a", "b"}));
}

TEST(Data, ARowWithoutTargetIsNamedOrLeftOut) {
  const std::function<std::string(std::size_t)> targets[] = {
      [](std::size_t r) { return std::to_string(r) + ".5"; },   // numbers
      [](std::size_t r) { return std::to_string(r % 2); },      // integers
      [](std::size_t r) { return r % 2 == 0 ? "a" : "b"; },     // words
      [](std::size_t r) { return r % 2 == 0 ? "yes" : "no"; },  // yes and no
  };
  for (const std::string spelling :
       {"", " ", "NA", "N/A", "n/a", "nan", "NaN", "NULL", "null", "None", "?", "-"}) {
    for (const std::size_t position : {0U, 1U, 4U, 7U}) {
      for (const auto& target : targets) {
        SCOPED_TRACE(fmt::format("'{}' in row {}", spelling, position + 1));
        const auto text = table_of(8, [&](std::size_t r) { return r == position ? spelling : target(r); });
        EXPECT_EQ(
            refused(text),
            fmt::format("t.csv: line {}, column 't': there is no target: '{}' (--missing-target drop leaves "
                        "such rows out; --na says what is missing)",
                        position + 2, io::trimmed(spelling)));
        const auto kept = label(text, {.missing_target = MissingTarget::drop});
        EXPECT_EQ(kept.rows.size(), 7U);
        EXPECT_EQ(kept.data.rows(), 7);
        EXPECT_EQ(std::count(kept.rows.begin(), kept.rows.end(), position), 0);
        EXPECT_EQ(kept.classification(), target(0) != "0.5");
        EXPECT_TRUE(!kept.classification() || kept.description.classes.size() == 2);
      }
    }
  }
}

TEST(Data, AFewWordsAmongNumbersAreAnError) {
  EXPECT_EQ(refused("x,t\n1,1.5\n2,2.5\n3,abc\n"),
            "t.csv: line 4, column 't': 'abc' is no number, but 2 of 3 cells are numbers: mend it, or --task "
            "classification takes each value for a class");
  EXPECT_EQ(label("x,t\n1,1.5\n2,2.5\n3,abc\n", {.task = Task::classification}).description.classes.size(),
            3U);
  EXPECT_EQ(refused("x,t\n1,a\n2,b\n1e400,a\n"),
            "t.csv: line 4, column 'x': '1e400' is too large for a number, which ends at 1.8e308, but 2 of 3 "
            "cells are "
            "numbers: mend it, or --drop 'x' leaves it out, --categories 'x' takes it as it is");
}

TEST(Data, AMissingFeatureIsNamedUnlessARuleIsGiven) {
  for (const std::string spelling : {"", "NA", "nan", "?"}) {
    const std::string numbers = fmt::format("a,t\n1,x\n{},y\n3,x\n", spelling);
    EXPECT_EQ(
        refused(numbers),
        fmt::format("t.csv: line 3, column 'a': '{}' is a missing value: --missing mean, median, zero or "
                    "indicator says what becomes of it, --drop leaves the column out",
                    spelling));
    const auto kept = label(numbers, {.missing = train::MissingRule::mean});
    EXPECT_TRUE(std::isnan(kept.data.features[1]));
    const std::string words = fmt::format("a,t\np,x\n{},y\nq,x\n", spelling);
    EXPECT_NE(refused(words).find("is a missing value"), std::string::npos);
    const auto text = label(words, {.missing = train::MissingRule::indicator});
    EXPECT_EQ(text.columns.texts[0].values, (Names{"p", "q"}));
    EXPECT_TRUE(std::isnan(text.data.features[1]));
  }
}

TEST(Data, TextIsCategoriesAndBooleansAreNumbers) {
  const auto result = label("c,n,t,b,y\nred,1,u,true,No\nblue,2,v,FALSE,yes\nred,3,u,true,no\n");
  EXPECT_EQ(result.columns.numbers, (Names{"n", "b", "y"}));
  ASSERT_EQ(result.columns.texts.size(), 1U);
  EXPECT_EQ(result.columns.texts[0].name, "c");
  EXPECT_EQ(result.columns.texts[0].values, (Names{"blue", "red"}));
  EXPECT_EQ(result.data.features, (std::vector<float>{1, 1, 0, 1, 2, 0, 1, 0, 3, 1, 0, 1}));
  EXPECT_EQ(result.description.features, (Names{"c", "n", "b", "y"}));
  const auto zip = label("zip,t\n10115,u\n20095,v\n10115,u\n", {.categories = {"zip"}});
  EXPECT_EQ(zip.columns.texts[0].values, (Names{"10115", "20095"}));
}

TEST(Data, TextThatIsNoCategoryIsRefusedWithTheRemedy) {
  const auto column = [](const std::function<std::string(int)>& cell) {
    std::string text = "c,t\n";
    for (int r = 0; r < 30; ++r) text += fmt::format("\"{}\",{}\n", cell(r), r % 2 == 0 ? "u" : "v");
    return text;
  };
  const std::pair<std::function<std::string(int)>, const char*> cases[] = {
      {[](int r) { return fmt::format("2024-01-{:02}", r + 1); }, "is a date"},
      {[](int r) { return fmt::format("{}.1.2024", r + 1); }, "is a date"},
      {[](int r) { return fmt::format("1/{}/24", r + 1); }, "is a date"},
      {[](int r) { return fmt::format("2024-01-{:02}T10:30:00Z", r + 1); }, "is a date"},
      {[](int r) { return fmt::format("2024/1/{} 9:05 PM", r + 1); }, "is a date"},
      {[](int r) { return fmt::format("{} Jan 2024", r + 1); }, "is a date"},
      {[](int r) { return fmt::format("${}.50", r); }, "something around it"},
      {[](int r) { return fmt::format("{} %", r); }, "something around it"},
      {[](int r) { return fmt::format("1,{:03},000", r); }, "something around it"},
      {[](int r) { return fmt::format("person {}", r); }, "30 different texts in 30 rows"}};
  for (const auto& [cell, message] : cases) {
    const std::string text = column(cell);
    const std::string error = refused(text);
    EXPECT_NE(error.find(message), std::string::npos) << error;
    EXPECT_NE(error.find("--drop 'c' leaves it out, --categories 'c' takes it as it is"), std::string::npos)
        << error;
    EXPECT_EQ(label(text, {.categories = {"c"}}).columns.texts[0].values.size(), 30U);
  }
}

TEST(Data, FeaturesAreChosenByPatternAndLeftOutByName) {
  const std::string text = "p1,q,p2,id,t\n1,2,3,4,x\n5,6,7,8,y\n";
  EXPECT_EQ(label(text, {.drop = {"id"}}).columns.numbers, (Names{"p1", "q", "p2"}));
  EXPECT_EQ(label(text, {.features = {"p*"}}).columns.numbers, (Names{"p1", "p2"}));
  EXPECT_EQ(label(text, {.features = {"p?", "q"}, .drop = {"p1"}}).columns.numbers, (Names{"q", "p2"}));
  EXPECT_EQ(refused(text, {.features = {"Q"}}), "t.csv: --features Q: there is no column 'Q' (nearest: 'q')");
  EXPECT_EQ(refused(text, {.drop = {"Id"}}), "t.csv: there is no column 'Id' (nearest: 'id')");
  EXPECT_EQ(refused("a,a,t\n1,2,x\n3,4,y\n"),
            "t.csv: two columns are named 'a': a model could not tell them apart");
}

TEST(Data, BadCellsAreNamed) {
  EXPECT_EQ(refused("a,t\n1e39,2.5\n1,3\n"),
            "t.csv: line 2, column 'a': 1e+39 is not a finite number in float32");
  EXPECT_EQ(refused("a,t\n1,inf\n1,3\n"), "t.csv: line 2, column 't': inf is not a finite number in float32");
  EXPECT_EQ(refused("a,t\n1,7\n2,7\n"), "t.csv: column 't' holds one class only");
  EXPECT_EQ(refused("t\n1\n2\n"), "t.csv: no column besides the target");
}

Model model_of(const Names& features, const Names& classes) {
  const auto inputs = static_cast<std::int64_t>(features.size());
  const auto outputs = static_cast<std::int64_t>(classes.size());
  const train::Network network(inputs, {train::Dense{outputs}, train::Activation::softmax});
  return train::to_model(network, {.features = features, .classes = classes, .target = "t"});
}

TEST(LabelTable, SeveralTargetsAreNumbersOrLabels) {
  const auto table = io::parse_csv("a,p,q,r,w\n1,0,true,2.5,x\n2,1,false,3,y\n3,,true,4,x\n", "t.csv");
  const auto read = [&](const Names& targets, Task task = Task::automatic) {
    return label_table(
        table, {.targets = targets, .task = task, .missing_target = MissingTarget::drop, .drop = {"w"}});
  };
  const auto labels = read({"q,p"});
  EXPECT_EQ(labels.task, Task::multilabel);
  EXPECT_EQ(labels.targets, (Names{"q", "p"}));
  EXPECT_EQ(labels.description.targets, labels.targets);
  EXPECT_EQ(labels.rows, (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(labels.data.targets, (std::vector<float>{1, 0, 0, 1}));
  EXPECT_EQ(labels.columns.numbers, (Names{"a", "r"}));
  const auto numbers = read({"p", " q , r"});
  EXPECT_EQ(numbers.task, Task::regression);
  EXPECT_EQ(numbers.data.targets, (std::vector<float>{0, 1, 2.5F, 1, 0, 3}));
  EXPECT_EQ(read({"p,q"}, Task::regression).task, Task::regression);
  EXPECT_EQ(read({"p"}, Task::multilabel).description.targets, (Names{"p"}));
  EXPECT_EQ(read({"p"}).description.target, "p");
  for (const auto& [targets, part] : std::initializer_list<std::pair<const char*, const char*>>{
           {"p,w", "'w' holds words"}, {"p,p", "'p' twice"}, {"p,z", "there is no column"}})
    EXPECT_NE(refusal([&] { read({targets}); }).find(part), std::string::npos);
  EXPECT_NE(refusal([&] { read({"p,r"}, Task::multilabel); }).find("line 2, column 'r': '2.5' is no label"),
            std::string::npos);
}

TEST(Truth, ClassesAreThoseOfTheModel) {
  const auto table = io::parse_csv("a,t\n1,no\n2,\n3,yes\n", "t.csv");
  const Truth truth = read_truth(model_of({"a"}, {"yes", "no"}), table, {1}, MissingTarget::drop);
  EXPECT_EQ(truth.rows, (std::vector<std::size_t>{0, 2}));
  EXPECT_EQ(truth.labels, (std::vector<std::int64_t>{1, 0}));
  EXPECT_NE(refusal([&] {
              read_truth(model_of({"a"}, {"yes", "no"}), table, {1}, MissingTarget::error);
            }).find("line 3, column 't': there is no target"),
            std::string::npos);
}

TEST(Truth, ClassTheModelDoesNotKnowIsNamed) {
  const auto table = io::parse_csv("a,t\n1,yes\n2,No\n", "t.csv");
  EXPECT_EQ(refusal([&] {
              read_truth(model_of({"a"}, {"yes", "no"}), table, {1}, MissingTarget::error);
            }),
            "t.csv: line 3, column 't': 'No' is none of the model's 2 classes (nearest: 'no')");
}

}  // namespace
}  // namespace bnrun
