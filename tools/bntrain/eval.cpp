// bntrain eval: what a model makes of a table whose target is known.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <utility>

#include "arrays.h"
#include "bnrun/session.h"
#include "commands.h"
#include "common/model_source.h"
#include "common/numbers.h"
#include "common/printable.h"
#include "common/table_options.h"
#include "data.h"
#include "io/data.h"
#include "report.h"

namespace bnrun {
namespace {

struct Options {
  std::string model;
  std::string data;
  std::vector<std::string> targets;
  std::string labels;
  bool json = false;
  std::optional<std::int64_t> top;
  MissingTarget missing_target = MissingTarget::error;
  io::TableRules tables;
};

/// The values of these rows.
std::vector<float> take_rows(const Tensor& output, const std::vector<std::size_t>& rows, std::size_t total) {
  const auto values = output.span<float>();
  const std::size_t width = values.size() / total;
  std::vector<float> taken;
  for (const std::size_t row : rows) {
    const auto part = values.subspan(row * width, width);
    taken.insert(taken.end(), part.begin(), part.end());
  }
  return taken;
}

void print_confusion(const train::ClassificationScore& score, std::vector<std::string> classes) {
  std::size_t width = 5;
  for (auto& name : classes) name = cli::printable(name);
  for (const auto& name : classes) width = std::max(width, name.size() + 1);
  fmt::print("\n{:>{}} | predicted\n{:>{}} |", "true", width, "", width);
  for (const auto& name : classes) fmt::print("{:>{}}", name, width);
  fmt::print("\n{:-<{}}\n", "", (width * (classes.size() + 1)) + 2);
  for (std::size_t t = 0; t < classes.size(); ++t) {
    fmt::print("{:>{}} |", classes[t], width);
    for (std::size_t p = 0; p < classes.size(); ++p) {
      const auto count = score.confusion[t * classes.size() + p];
      fmt::print("{:>{}}", count == 0 ? "." : fmt::format("{}", count), width);
    }
    fmt::print("\n");
  }
}

/// Adds what is measured of each class or label, a list a measure.
void add_scores(const std::vector<train::ClassScore>& scores, nlohmann::ordered_json& json) {
  for (const auto& [name, measure] :
       {std::pair("precision", &train::ClassScore::precision),
        std::pair("recall", &train::ClassScore::recall), std::pair("f1", &train::ClassScore::f1),
        std::pair("auc", &train::ClassScore::auc)}) {
    for (const auto& of : scores) json[name].push_back(of.*measure);
  }
}

void report_classes(const Options& options, const Truth& truth, std::span<const float> output) {
  const auto& classes = truth.classes;
  const auto score = train::score_classes(output, truth.labels, static_cast<std::int64_t>(classes.size()));
  const auto report = train::report_classes(output, truth.labels, static_cast<std::int64_t>(classes.size()));
  const std::int64_t first = options.top.value_or(3);
  const double top =
      train::top_accuracy(output, truth.labels, static_cast<std::int64_t>(classes.size()), first);
  if (options.json) {
    nlohmann::ordered_json json{{"rows", score.rows},
                                {"correct", score.correct},
                                {"accuracy", score.accuracy()},
                                {"classes", classes},
                                {"confusion", score.confusion}};
    json["log_loss"] = report.log_loss;
    json[fmt::format("top_{}", first)] = top;
    json["calibration_error"] = report.calibration_error;
    add_scores(report.classes, json);
    fmt::print("{}\n", json.dump(2));
    return;
  }
  fmt::print("accuracy {:.4f}: {} of {} rows\n", score.accuracy(), score.correct, score.rows);
  print_confusion(score, classes);
  fmt::print("\n{}", class_report(report, classes));
  if (first != 3) fmt::print("label among the first {} classes: {:.4f}\n", first, top);
}

nlohmann::ordered_json json_of(const train::RegressionScore& score) {
  return {{"rows", score.elements},
          {"mean_squared_error", score.mean_squared_error},
          {"root_mean_squared_error", score.root_mean_squared_error},
          {"mean_absolute_error", score.mean_absolute_error},
          {"r2", score.r2}};
}

void report_numbers(const Options& options, const Truth& truth, std::span<const float> output) {
  const auto scores = train::score_targets(output, truth.targets, std::ssize(truth.names));
  const bool several = scores.size() > 1;
  if (options.json) {
    nlohmann::ordered_json json;
    for (std::size_t t = 0; t < scores.size(); ++t) json["targets"][truth.names[t]] = json_of(scores[t]);
    json["mean_r2"] = mean_r2(scores);
    fmt::print("{}\n", (several ? json : json_of(scores[0])).dump(2));
    return;
  }
  if (several) {
    fmt::print("rows {}\n{}", scores[0].elements, target_report(scores, truth.names));
    return;
  }
  fmt::print(
      "rows                {}\nmean squared error  {:.6g}\nits root (RMSE)     {:.6g}\n"
      "mean absolute error {:.6g}\nR2                  {}\n",
      scores[0].elements, scores[0].mean_squared_error, scores[0].root_mean_squared_error,
      scores[0].mean_absolute_error, text_of_measure(scores[0].r2));
}

void report_labels(const Options& options, const Truth& truth, std::span<const float> output) {
  const auto report = train::report_labels(output, truth.targets, std::ssize(truth.names));
  if (!options.json) {
    fmt::print("accuracy {:.4f} of {} labels in {} rows\n\n{}", report.accuracy, truth.names.size(),
               report.mean.rows, label_report(report, truth.names));
    return;
  }
  nlohmann::ordered_json json{{"rows", report.mean.rows},
                              {"accuracy", report.accuracy},
                              {"exact", report.exact},
                              {"log_loss", report.log_loss},
                              {"labels", truth.names}};
  for (const auto& of : report.labels) json["label_rows"].push_back(of.rows);
  add_scores(report.labels, json);
  fmt::print("{}\n", json.dump(2));
}

/// What the model makes of the rows of an array, and the labels of those.
struct Scored {
  Truth truth;
  Tensor output;
  std::size_t rows = 0;
};

Scored score_array(const Options& options, const Model& model) {
  const auto table = read_labels(options.labels);
  const auto ports = model.inputs();
  if (ports.size() != 1)
    throw Error(ErrorCode::invalid_input,
                fmt::format("{}: has {} inputs, expected one", options.model, ports.size()));
  Scored scored{.truth = read_truth(model, table, {0}, options.missing_target)};
  const Tensor rows = io::to_tensor(read_array(options.data), true, options.data, ports[0]);
  scored.rows = static_cast<std::size_t>(rows.shape()[0]);
  if (scored.rows != table.rows())
    throw Error(ErrorCode::invalid_input, fmt::format("{}: {} labels for the {} rows of {}", options.labels,
                                                      table.rows(), scored.rows, options.data));
  scored.output = Session(model).run({{ports[0].name, rows}}).at(0).tensor;
  return scored;
}

Scored score_table(const cli::Console& console, const Options& options, const Model& model) {
  const auto [table, rules, targets] =
      read_model_table(console, model, options.data, options.tables, options.targets);
  Truth truth = read_truth(model, table, targets, options.missing_target);
  const auto inputs = io::table_inputs(table, model.inputs(), rules, targets);
  return {std::move(truth), Session(model).run(inputs).at(0).tensor, table.rows()};
}

/// Rows with NaN have no class: they count as wrong.
void note_nan(const cli::Console& console, std::span<const float> scores, std::size_t width) {
  std::size_t rows = 0;
  for (std::size_t first = 0; first + width <= scores.size(); first += width) {
    const auto row = scores.subspan(first, width);
    rows += std::ranges::any_of(row, [](float p) { return std::isnan(p); }) ? 1 : 0;
  }
  if (rows > 0) console.note(fmt::format("the model gives NaN for {} rows, which count as wrong", rows));
}

/// Whether all scores lie in [0, 1], NaN left out.
bool are_probabilities(std::span<const float> scores) {
  return std::ranges::none_of(scores, [](float p) { return p < 0.0F || p > 1.0F; });
}

void apply_softmax(std::span<float> scores, std::size_t width) {
  for (std::size_t first = 0; first + width <= scores.size(); first += width) {
    const auto row = scores.subspan(first, width);
    const float largest = *std::ranges::max_element(row);
    double sum = 0.0;
    for (const float score : row) sum += std::exp(static_cast<double>(score - largest));
    for (float& score : row) score = static_cast<float>(std::exp(static_cast<double>(score - largest)) / sum);
  }
}

void apply_sigmoid(std::span<float> scores) {
  for (float& score : scores) score = 1.0F / (1.0F + std::exp(-score));
}

int evaluate(const cli::Console& console, const Options& options) {
  if (options.targets.empty() && options.labels.empty())
    throw cli::UsageError("--target is required, or --labels for an IDX or npy file");
  const std::string read[] = {options.model, options.data, options.labels};
  cli::check_one_reads_standard_input(read);
  const Model model = cli::load_model(options.model);
  const auto [truth, output, rows] =
      options.labels.empty() ? score_table(console, options, model) : score_array(options, model);
  if (options.top && truth.classes.empty())
    throw cli::UsageError(fmt::format(
        "--top {}: it counts among classes, and the model predicts {}: leave --top out", *options.top,
        truth.task == Task::multilabel ? "labels that may hold at once" : "numbers"));
  if (truth.rows.size() < rows)
    console.note(fmt::format("{}: left out {} of {} rows, which have no target",
                             options.labels.empty() ? options.data : options.labels, rows - truth.rows.size(),
                             rows));
  if (output.dtype() != DType::float32) {
    throw Error(ErrorCode::unsupported, fmt::format("{}: its output is {}, expected float32", options.model,
                                                    name_of(output.dtype())));
  }
  auto scored = take_rows(output, truth.rows, rows);
  const std::size_t width = scored.size() / truth.rows.size();
  if (truth.classes.empty() && width != truth.names.size())
    throw Error(ErrorCode::invalid_input,
                fmt::format("{}: puts out {} numbers for a row, and --target names {} columns", options.model,
                            width, truth.names.size()));
  if (truth.task == Task::multilabel) {
    if (!are_probabilities(scored)) {
      console.note("the model's scores are no probabilities: they are taken for logits (sigmoid)");
      apply_sigmoid(scored);
    }
    report_labels(options, truth, scored);
  } else if (!truth.classes.empty()) {
    const bool single = truth.classes.size() == 2 && scored.size() == truth.rows.size();
    note_nan(console, scored, single ? 1 : truth.classes.size());
    if (!are_probabilities(scored)) {
      console.note(fmt::format("the model's scores are no probabilities: they are taken for logits ({})",
                               single ? "sigmoid" : "softmax"));
      single ? apply_sigmoid(scored) : apply_softmax(scored, truth.classes.size());
    }
    if (single) scored = of_both_classes(scored);
    report_classes(options, truth, scored);
  } else {
    report_numbers(options, truth, scored);
  }
  return cli::kDone;
}

}  // namespace

void add_eval(cli::Program& program) {
  const auto options = std::make_shared<Options>();
  auto& command = program.add("eval", "Accuracy and confusion matrix, or the error of predicted numbers",
                              "  bntrain eval iris.onnx models/data/iris.csv --target species",
                              [&program, options] { return evaluate(program.console(), *options); });
  command.add_option("MODEL", options->model, "A model with one output; - is standard input")->required();
  command.add_option("DATA", options->data, "A .csv or .csv.gz file; - is standard input")->required();
  auto* target = command
                     .add_option("--target", options->targets,
                                 "The column that the model predicts; of several outputs A,B,C")
                     ->type_name("COLUMN")
                     ->allow_extra_args(false);
  command
      .add_option("--labels", options->labels, "DATA is an IDX or npy file, and this one holds its labels")
      ->excludes(target);
  command.add_flag("--json", options->json, "Print JSON");
  command
      .add_option("--top", options->top,
                  "Count a row as right when its class is among the K most probable (3)")
      ->type_name("K")
      ->check(cli::count());
  cli::add_choice<MissingTarget>(command, "--missing-target", options->missing_target,
                                 {{"error", MissingTarget::error}, {"drop", MissingTarget::drop}},
                                 "Rows without a target: an error, or left out (error)");
  cli::add_table_options(command, options->tables);
}

}  // namespace bnrun
