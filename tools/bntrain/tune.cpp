// bntrain tune: goes on training a network that a model holds.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "bnrun/train_tune.h"
#include "commands.h"
#include "common/interrupt.h"
#include "common/metadata.h"
#include "common/model_output.h"
#include "common/model_source.h"
#include "common/numbers.h"
#include "common/table_options.h"
#include "data.h"
#include "loop.h"
#include "recipe.h"
#include "report.h"
#include "settings.h"

namespace bnrun {
namespace {

struct Options {
  std::string model;
  std::string data;
  std::vector<std::string> targets;
  Task task = Task::automatic;
  MissingTarget missing_target = MissingTarget::error;
  io::TableRules tables;
  std::string output;
  NetworkSettings network;
  TrainingSettings training;
  bool recalibrate = false;
  RunSettings run;
};

void check_options(const Options& options) {
  const std::vector<std::string> written{options.output, options.run.history, options.run.curves,
                                         options.run.checkpoint};
  cli::check_one_reads_standard_input(std::array{options.model, options.data});
  cli::check_model_output(options.output, options.model);
  cli::check_distinct(written, {options.model, options.data});
  check_run_settings(options.run);
}

/// The classes of the target in the order of the model's outputs; none where it predicts a number.
std::vector<std::string> classes_for(const Options& options, const Model& model,
                                     const train::LoadedNetwork& loaded, const io::Table& table,
                                     std::size_t target) {
  if (!loaded.labels()) return {};
  const auto outputs = static_cast<std::size_t>(loaded.network().outputs());
  const std::size_t count = outputs == 1 ? 2 : outputs;  // a sigmoid alone tells two apart
  auto names = model.class_names();
  if (names.size() == count) return names;
  return classes_of(table, target, options.missing_target, count);
}

/// The rows of the table that have a target, as the network takes them; with sigmoids 1 for the row's class.
train::Dataset read_rows(const train::LoadedNetwork& loaded, const std::vector<NamedTensor>& inputs,
                         const Truth& truth) {
  train::Dataset all{.columns = loaded.network().inputs(), .features = loaded.features(inputs)};
  train::Dataset rows = train::take_rows(all, truth.rows);
  rows.targets = truth.targets;
  rows.labels = truth.labels;
  if (truth.task != Task::classification || loaded.network().loss() != train::Loss::binary_cross_entropy)
    return rows;
  const std::int64_t outputs = loaded.network().outputs();
  for (const std::int64_t label : truth.labels) {
    for (std::int64_t c = 0; c < outputs; ++c)
      rows.targets.push_back((outputs == 1 ? label == 1 : label == c) ? 1.0F : 0.0F);
  }
  return rows;
}

/// Throws naming line and column of the first row from which the network gets what is no finite number.
void check_finite(const io::Table& table, const std::vector<std::size_t>& lines,
                  const std::vector<std::size_t>& targets, const train::Dataset& rows) {
  const auto finite = [](auto value) { return std::isfinite(value); };
  const auto bad = std::ranges::find_if_not(rows.features, finite);
  if (bad == rows.features.end()) return;
  const std::size_t row = lines[static_cast<std::size_t>((bad - rows.features.begin()) / rows.columns)];
  std::string column;
  for (std::size_t c = 0; c < table.columns() && column.empty(); ++c) {
    if (std::ranges::find(targets, c) == targets.end() && table.numeric(c) &&
        !std::isfinite(static_cast<float>(table.numbers(c)[row])))
      column = fmt::format(", column '{}'", table.name(c));
  }
  throw Error(
      ErrorCode::invalid_input,
      fmt::format("{}: line {}{}: gives the network a number that is not finite: mend it, or leave the "
                  "line out",
                  table.source(), table.line(row), column));
}

/// Trains; the epochs that it took.
std::vector<train::EpochReport> train_on_rows(const cli::Console& console, const Options& options,
                                              const train::Dataset& rows, train::LoadedNetwork& loaded) {
  auto fit = fit_options(options.training);
  check_watched(options.data, rows.rows(), fit.validation, "--validation 0, which watches none");
  auto recipe = recipe_for(options.training, rows_to_learn_from(rows.rows(), fit.validation),
                           !options.run.checkpoint.empty());
  if (recipe) {
    constexpr double kOfTheFirstRate = 0.1;  // what was learned is to be kept
    recipe->learning_rate *= kOfTheFirstRate;
    complete(options.training, *recipe, 0, fit);
    console.note(told(fit, *recipe, false));
  }
  fit.stop = cli::interrupted;
  train::Training training(loaded.network(), rows, fit);
  train_on(
      {.console = console, .settings = options.run, .epochs = fit.epochs, .classification = loaded.labels()},
      training);
  return training.history();
}

void report(const Options& options, const train::LoadedNetwork& loaded, const Truth& truth,
            const train::Dataset& training, const train::Dataset& held_out) {
  std::FILE* const text = beside(options.output);
  const bool classes = loaded.labels();
  print_result(text, "training", classes, train::evaluate(loaded.network(), training));
  if (held_out.rows() == 0) return;
  print_result(text, "held-out", classes, train::evaluate(loaded.network(), held_out));
  auto y = loaded.network().predict(held_out.features);
  if (truth.classes.size() == 2 && loaded.network().outputs() == 1) y = of_both_classes(y);
  print_report(text, truth.task, y, held_out, truth.classes.empty() ? truth.names : truth.classes);
}

std::string list_of(const std::vector<std::string>& names) {
  return nlohmann::json(names).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// Names classes and targets in a model that did not.
void describe_outputs(const Truth& truth, Model& model) {
  auto& properties = model.metadata().properties;
  if (truth.names.size() > 1)
    properties.try_emplace("bnrun.targets", list_of(truth.names));
  else if (!properties.contains("bnrun.targets"))
    properties.try_emplace("bnrun.target", truth.names[0]);
  if (!truth.classes.empty() && model.class_names().empty())
    properties["bnrun.classes"] = list_of(truth.classes);
}

/// The network of the model for so many targets.
train::LoadedNetwork load(const Options& options, const Model& model, std::size_t targets) {
  std::optional<bool> labels;
  if (options.task != Task::automatic) labels = options.task != Task::regression;
  return cli::in_file(options.model, [&] {
    train::LoadedNetwork loaded(model, labels);
    const bool sigmoids = loaded.network().loss() == train::Loss::binary_cross_entropy;
    if (options.task == Task::multilabel && !sigmoids)
      throw Error(ErrorCode::unsupported, "it ends in no Sigmoid, which labels that may hold at once need");
    // Several outputs that end in nothing are scores of classes, unless each has a target of its own.
    if (targets > 1 && !sigmoids && !labels) return train::LoadedNetwork(model, false);
    return loaded;
  });
}

/// What the columns hold for that network.
Truth truth_for(const Options& options, const Model& model, const train::LoadedNetwork& loaded,
                const io::Table& table, const std::vector<std::size_t>& targets) {
  const bool several = targets.size() > 1 || !cli::list_property(model, "bnrun.targets").empty();
  if (!several && options.task != Task::multilabel)
    return read_truth(table, targets[0], options.missing_target,
                      classes_for(options, model, loaded, table, targets[0]));
  if (std::cmp_not_equal(targets.size(), loaded.network().outputs()))
    throw Error(ErrorCode::invalid_input,
                fmt::format("{}: has {} outputs, and --target names {} columns", options.model,
                            loaded.network().outputs(), targets.size()));
  const bool sigmoids = loaded.network().loss() == train::Loss::binary_cross_entropy;
  return read_truth(table, targets, options.missing_target, sigmoids ? Task::multilabel : Task::regression);
}

int tune(const cli::Console& console, Options options) {
  check_options(options);
  check_effect(options.network, options.training);
  const Model model = cli::load_model(options.model);
  const auto [table, rules, named] =
      read_model_table(console, model, options.data, options.tables, options.targets);
  const auto targets = ordered_targets(model, table, named);
  auto loaded = load(options, model, targets.size());
  auto& network = loaded.network();
  const Truth truth = truth_for(options, model, loaded, table, targets);
  const auto rows = read_rows(loaded, io::table_inputs(table, model.inputs(), rules, targets), truth);
  check_finite(table, truth.rows, targets, rows);
  const auto split =
      train::split_rows(rows, held_out_rows(options.run.holdout, static_cast<std::size_t>(rows.rows())),
                        options.run.holdout_seed);
  const auto training = train::take_rows(rows, split.rest);
  const auto held_out = train::take_rows(rows, split.drawn);
  console.note(fmt::format("{}: {} rows, target{} '{}'", table.source(), rows.rows(),
                           truth.names.size() > 1 ? "s" : "", fmt::join(truth.names, "', '")));
  set_loss(options.network, training, truth.task, network);
  print_summary(console, network);
  print_result(beside(options.output), "before", loaded.labels(), train::evaluate(network, training));

  if (options.recalibrate) train::recalibrate(network, training);
  if (options.network.fold_training) network.set_folding(train::Folding::folded);
  if (!options.network.quantised.empty()) {
    network.set_folding(train::Folding::int8);
    train::calibrate_ranges(network, training);
  }
  const cli::DeferInterrupts whole_files;
  std::vector<train::EpochReport> history;
  if (options.training.fit.epochs > 0) {
    history = train_on_rows(console, options, training, loaded);
    if (history.empty()) {
      console.note("interrupted in the first epoch: nothing is written");
      return cli::kDone;
    }
  }
  Model tuned = loaded.model();
  describe_outputs(truth, tuned);
  cli::write_model(tuned, options.output);
  write_records(options.run, truth.names, options.output, loaded.labels(), history);
  report(options, loaded, truth, training, held_out);
  end_with(console, options.output);
  return cli::kDone;
}

}  // namespace

void add_tune(cli::Program& program) {
  const auto options = std::make_shared<Options>();
  Options& o = *options;
  auto& command = program.add(
      "tune", "Go on training the network of a model, recalibrate it, fold it, or quantise it",
      "  bntrain tune iris.onnx models/data/iris.csv --target species -o tuned.onnx --epochs 10\n"
      "  bntrain tune iris.onnx models/data/iris.csv --target species -o int8.onnx --epochs 0 --qat int8",
      [&program, options] { return tune(program.console(), *options); });
  command
      .add_option("MODEL", o.model,
                  "A model of dense layers, BatchNormalization and activations, from anywhere")
      ->required()
      ->type_name("");
  command.add_option("DATA", o.data, "A .csv or .csv.gz file; - is standard input")
      ->required()
      ->type_name("");
  command.add_option("--target", o.targets, "The column that the model predicts; of several outputs A,B,C")
      ->required()
      ->type_name("COLUMN")
      ->allow_extra_args(false);
  add_task_option(
      command, o.task,
      "auto: classes where the model has several outputs or ends in softmax or sigmoid, and one target "
      "(auto)");
  command.add_option("-o,--output", o.output, "The model to write; - is standard output")
      ->required()
      ->type_name("FILE");
  command.add_flag(
      "--recalibrate", o.recalibrate,
      "First estimate the statistics of BatchNormalization anew on these rows, without gradients");
  cli::add_choice<MissingTarget>(command, "--missing-target", o.missing_target,
                                 {{"error", MissingTarget::error}, {"drop", MissingTarget::drop}},
                                 "Rows without a target: an error, or left out (error)");
  cli::add_table_options(command, o.tables);
  add_objective_settings(command, o.network);
  add_training_settings(command, o.training, true);
  add_run_settings(command, o.run);
}

}  // namespace bnrun
