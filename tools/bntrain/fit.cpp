// bntrain fit: a table in, a trained model out.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <memory>

#include "arrays.h"
#include "commands.h"
#include "common/interrupt.h"
#include "common/model_output.h"
#include "common/numbers.h"
#include "io/file.h"
#include "loop.h"
#include "recipe.h"
#include "report.h"
#include "settings.h"
#include "trials.h"

namespace bnrun {
namespace {

struct Options {
  TableSettings table;
  NetworkSettings network;
  TrainingSettings training;
  std::string output;
  std::string labels;
  std::string validation_file;
  int folds = 0;
  int threads = 1;
  RunSettings run;
  std::string holdout_out;
};

/// Says so where the model does worse than the batches it was trained on.
void warn_of_statistics(const cli::Console& console, const train::FitOptions& options,
                        const train::Network& network, const train::EpochReport& last, std::size_t rows) {
  if (!last.trained_metric) return;
  const bool classes =
      network.loss() == train::Loss::cross_entropy || network.loss() == train::Loss::binary_cross_entropy;
  const double own = *last.trained_metric;
  const bool parted = classes ? own < last.metric - 0.05 : own > last.metric * 1.25;
  if (!normalizes(network) || !parted) return;
  const std::size_t per_epoch =
      (rows + static_cast<std::size_t>(options.batch) - 1) / static_cast<std::size_t>(options.batch);
  console.note(
      fmt::format("warning: on the rows it was trained on the model's {} is {:.4f}, within the batches it "
                  "was {:.4f}: after "
                  "{} steps the running statistics of BatchNormalization still trail behind. "
                  "More --epochs, "
                  "a smaller --batch or a lower --bn-momentum helps",
                  classes ? "accuracy" : "mean absolute error", own, last.metric,
                  per_epoch * static_cast<std::size_t>(options.epochs)));
}

/// Everything that is measured on the way, once the data is known.
struct Fit {
  const cli::Console& console;
  const Options& options;
  const io::Table& table;  ///< of an array: its labels
  const LabelledTable& labelled;
  std::FILE* text;  ///< where results are printed

  bool counts_right() const { return labelled.counts_right(); }
};

/// A table with the columns of the first, as the first was read.
train::Dataset read_more(const Fit& fit, const std::string& path, const train::Preparation& preparation) {
  io::TableOptions reading = fit.options.table.table;
  reading.expected = fit.labelled.description.features;
  for (const auto& target : fit.labelled.targets) reading.expected.push_back(target);
  Choice choice = fit.options.table.choice;
  choice.features = fit.labelled.description.features;
  choice.task = fit.labelled.task;
  choice.drop.clear();
  for (const auto& text : preparation.columns.texts) choice.categories.push_back(text.name);
  LabelledTable more = label_table(io::read_csv(path, reading), choice);
  const auto& known = fit.labelled.description.classes;
  for (std::int64_t& label : more.data.labels) {
    const std::string& name = more.description.classes[static_cast<std::size_t>(label)];
    const auto found = std::ranges::find(known, name);
    if (found == known.end())
      throw Error(ErrorCode::invalid_input, fmt::format("{}: '{}' is none of the {} classes of {}", path,
                                                        name, known.size(), fit.table.source()));
    label = found - known.begin();
  }
  if (more.columns.numbers != preparation.columns.numbers)
    throw Error(ErrorCode::invalid_input,
                fmt::format("{}: a column is text there that is numbers in {}", path, fit.table.source()));
  train::Preparation way = preparation;
  way.columns = more.columns;
  return way.apply(more.data);
}

/// Rows that were not learnt from, as the network takes them. Throws naming the line of a value that is refused.
train::Dataset apply_to(const Fit& fit, const Prepared& prepared, const std::vector<std::size_t>& rows) {
  const auto& way = prepared.preparation;
  const auto& data = fit.labelled.data;
  for (std::size_t t = 0; way.refuse_unknown && t < way.columns.texts.size(); ++t) {
    const auto& known = way.vocabularies[t];
    for (const std::size_t row : rows) {
      const std::size_t cell = row * static_cast<std::size_t>(data.columns) + way.columns.numbers.size() + t;
      const float place = data.features[cell];
      const std::string value =
          std::isnan(place) ? "" : way.columns.texts[t].values[static_cast<std::size_t>(place)];
      if (std::ranges::find(known, value) == known.end())
        throw Error(
            ErrorCode::invalid_input,
            fmt::format("{}: line {}, column '{}': '{}' is none of the {} values in the rows learnt from "
                        "(--unknown zero takes it for none of them)",
                        fit.table.source(), fit.table.line(fit.labelled.rows[row]), way.columns.texts[t].name,
                        value, known.size()));
    }
  }
  return prepared.apply(train::take_rows(data, rows));
}

/// How well one fold is predicted, and a line that says so.
struct FoldScore {
  double measure = 0.0;  ///< accuracy, RMSE, or of several targets the mean R2, NaN where none has one
  std::string text;
};
FoldScore score_fold(const LabelledTable& labelled, const train::Network& network,
                     const train::Dataset& held_out) {
  const auto y = network.predict(held_out.features);
  if (labelled.classification()) {
    const auto score = train::score_classes(y, held_out.labels, network.outputs());
    return {score.accuracy(),
            fmt::format("accuracy {:.4f}: {} of {} rows", score.accuracy(), score.correct, score.rows)};
  }
  if (labelled.task == Task::multilabel) {
    const auto score = train::report_labels(y, held_out.targets, network.outputs());
    return {score.accuracy, fmt::format("accuracy {:.4f}  right in all labels {:.4f}  {} rows",
                                        score.accuracy, score.exact, held_out.rows())};
  }
  const auto scores = train::score_targets(y, held_out.targets, network.outputs());
  if (scores.size() == 1)
    return {scores[0].root_mean_squared_error,
            fmt::format("RMSE {:.4f}  MAE {:.4f}  R2 {}  {} rows", scores[0].root_mean_squared_error,
                        scores[0].mean_absolute_error, text_of_measure(scores[0].r2), held_out.rows())};
  std::vector<std::string> errors;
  for (std::size_t t = 0; t < scores.size(); ++t)
    errors.push_back(fmt::format("{} {:.4g}", labelled.targets[t], scores[t].root_mean_squared_error));
  return {mean_r2(scores), fmt::format("mean R2 {}  RMSE {}  {} rows", text_of_measure(mean_r2(scores)),
                                       fmt::join(errors, ", "), held_out.rows())};
}

/// The options of this network: with folds each trains and is measured on the rows it did not see. False when
/// that was interrupted.
bool measure_folds(const Fit& fit, const std::optional<train::Recipe>& recipe, train::FitOptions options) {
  options.stop = cli::interrupted;
  const cli::DeferInterrupts until_told;
  const auto splits =
      train::fold_rows(fit.labelled.data, static_cast<std::size_t>(fit.options.folds), options.seed);
  std::vector<FoldScore> scores(splits.size());
  std::atomic<std::size_t> measured{0};
  run_trials(splits.size(), fit.options.threads, [&](std::size_t f) {
    if (cli::interrupted()) return;
    const Prepared prepared = prepare(fit.options.table, fit.labelled, splits[f].rest);
    auto network = make_network(fit.options.network, fit.labelled, prepared, options.seed);
    auto mine = options;
    if (recipe) complete(fit.options.training, *recipe, learned_weights(network), mine);
    train::fit(network, prepared.training, mine);
    if (cli::interrupted()) return;
    ++measured;
    const auto held_out = apply_to(fit, prepared, splits[f].drawn);
    scores[f] = score_fold(fit.labelled, network, held_out);
  });
  if (cli::interrupted()) {
    fit.console.note(
        fmt::format("interrupted when {} of {} folds were measured: nothing is written; without --folds the "
                    "model is trained at once",
                    measured.load(), splits.size()));
    return false;
  }
  std::vector<double> means;
  for (std::size_t f = 0; f < splits.size(); ++f) {
    fmt::print(fit.text, "fold {:<2}    {}\n", f + 1, scores[f].text);
    // A mean R2 may have nothing to be of; any other number that is none is not passed over.
    const bool undefined = std::isnan(scores[f].measure) && fit.labelled.targets.size() > 1;
    if (!undefined) means.push_back(scores[f].measure);
  }
  const auto [mean, deviation] = mean_and_deviation(means);
  const std::string summary = means.empty() ? "-" : fmt::format("{:.4f} +- {:.4f}", mean, deviation);
  const char* const what = fit.counts_right()                ? "accuracy"
                           : fit.labelled.targets.size() > 1 ? "mean R2"
                                                             : "RMSE";
  fmt::print(fit.text, "{} folds   {} {}\n", splits.size(), what, summary);
  std::fflush(fit.text);
  return true;
}

/// What a checkpoint is bound to besides the numbers of the training: the model that is written tells it.
train::Facts facts_of(const Options& options, const LabelledTable& labelled, const Prepared& prepared) {
  const auto& description = labelled.description;
  const auto& columns = prepared.preparation.columns;
  std::vector<std::string> texts;
  for (std::size_t t = 0; t < columns.texts.size(); ++t)
    texts.push_back(
        fmt::format("{}: {}", columns.texts[t].name, fmt::join(prepared.preparation.vocabularies[t], ",")));
  return {
      {"--scale", options.network.scale},
      {"--class-weights", options.network.balanced ? "balanced" : "none"},
      {"target", fmt::format("{}", fmt::join(labelled.targets, ","))},
      {"list of classes", fmt::format("{}", fmt::join(description.classes, ","))},
      {"list of columns", fmt::format("{}", fmt::join(description.features, ","))},
      {"list of categories", fmt::format("{}", fmt::join(texts, "; "))},
      {"rule for missing values", std::string(name_of(prepared.preparation.missing))},
      {"rule for unknown categories", options.table.refuse_unknown ? "error" : "zero"},
      {"spelling of missing values",
       description.missing_spellings ? fmt::format("'{}'", fmt::join(*description.missing_spellings, "', '"))
                                     : "the usual"},
      {"choice of rows held out",
       fmt::format("{} by seed {}", options.run.holdout, options.run.holdout_seed)}};
}

void write_files(const Fit& fit, const std::vector<train::EpochReport>& history,
                 const std::vector<std::size_t>& held_out) {
  const auto& options = fit.options;
  write_records(options.run, fit.labelled.targets, options.output, fit.counts_right(), history);
  if (options.holdout_out.empty()) return;
  std::vector<std::size_t> rows;
  for (const std::size_t row : held_out) rows.push_back(fit.labelled.rows[row]);
  write_rows(options.holdout_out, fit.table, rows);
}

void report(const Fit& fit, const train::Network& network, const train::Training& training,
            const Prepared& prepared, const std::vector<std::size_t>& held_out) {
  const bool classes = fit.counts_right();
  const auto& history = training.history();
  if (history.size() > 1) fit.console.detail(terminal_curves(history));
  const auto& last = history.back();
  if (last.trained_loss)
    print_result(fit.text, "training", classes, {*last.trained_loss, *last.trained_metric});
  const auto& kept = history[static_cast<std::size_t>(training.kept_epoch() - 1)];
  if (kept.validation_loss)
    print_result(fit.text, "validation", classes, {*kept.validation_loss, *kept.validation_metric});
  if (training.kept_epoch() != static_cast<int>(history.size()))
    fit.console.note(fmt::format("kept epoch {} of {}", training.kept_epoch(), history.size()));
  if (held_out.empty()) return;
  const auto rows = apply_to(fit, prepared, held_out);
  print_result(fit.text, "held-out", classes, train::evaluate(network, rows));
  const auto y = network.predict(rows.features);
  print_report(fit.text, fit.labelled.task, y, rows,
               fit.labelled.classification() ? fit.labelled.description.classes : fit.labelled.targets);
}

void check_source(const Options& options) {
  const bool table = options.labels.empty();
  if (table && options.table.choice.targets.empty())
    throw cli::UsageError("--target is required, or --labels for an IDX or npy file");
  if (!table && (!options.holdout_out.empty() || !options.validation_file.empty()))
    throw cli::UsageError("--holdout-out and --validation-file are for tables, not for arrays with --labels");
  const auto& choice = options.table.choice;
  if (!table && !(choice.features.empty() && choice.drop.empty() && choice.categories.empty()))
    throw cli::UsageError(
        "--features, --drop and --categories name columns of tables; an array with --labels has none");
}

void check_paths(const Options& options) {
  if (!options.holdout_out.empty() &&
      held_out_rows(options.run.holdout, std::numeric_limits<int>::max()) == 0)
    throw cli::UsageError("--holdout-out needs --holdout");
  cli::check_model_output(options.output, options.table.data);
  cli::check_distinct(
      {options.output, options.run.history, options.run.curves, options.holdout_out, options.run.checkpoint},
      {options.table.data, options.labels, options.validation_file, options.network.keras.value_or("")});
  check_run_settings(options.run);
  if (!options.holdout_out.empty()) io::check_writable(options.holdout_out);
}

int fit(const cli::Console& console, Options options) {
  check_source(options);
  check_paths(options);
  check_effect(options.network, options.training);
  take_embedded_for_categories(options.table);
  options.table.table.expected = target_names(options.table.choice.targets);
  auto fit_settings = fit_options(options.training);
  const bool array = !options.labels.empty();
  const auto table =
      array ? read_labels(options.labels) : io::read_csv(options.table.data, options.table.table);
  if (!array) check_columns(options.table, table);
  auto labelled = array ? label_array(options.table.data, table, options.table.choice)
                        : label_table(table, options.table.choice);
  labelled.description.missing_spellings = options.table.table.missing;
  labelled.description.row = Shape(labelled.row);
  const Fit fit{console, options, table, labelled, beside(options.output)};
  const auto split = train::split_rows(
      labelled.data, held_out_rows(options.run.holdout, labelled.rows.size()), options.run.holdout_seed);
  if (array)
    describe_array(console, options.table.data, table, labelled);
  else
    describe(console, table, labelled);
  const double watched = options.validation_file.empty() ? fit_settings.validation : 0.0;
  check_watched(table.source(), std::ssize(split.rest), watched, "--validation 0, which watches none");
  const auto recipe = recipe_for(options.training, rows_to_learn_from(std::ssize(split.rest), watched),
                                 !options.run.checkpoint.empty());
  if (recipe) options.network.usual_momentum = recipe->bn_momentum;
  const Prepared prepared = prepare(options.table, labelled, split.rest);
  auto network = make_network(options.network, labelled, prepared, fit_settings.seed);
  check_effect_on(network, options.network, options.training);
  if (options.folds > 0 && !measure_folds(fit, recipe, fit_settings)) return cli::kDone;
  if (!options.validation_file.empty()) {
    fit_settings.validation = 0.0;
    fit_settings.validation_data = read_more(fit, options.validation_file, prepared.preparation);
  }
  fit_settings.threads = options.threads;
  fit_settings.stop = cli::interrupted;
  fit_settings.bound_to = facts_of(options, labelled, prepared);
  print_summary(console, network);
  if (recipe) {
    complete(options.training, *recipe, learned_weights(network), fit_settings);
    if (!normalizes(network)) fit_settings.freeze_statistics.reset();
    console.note(told(fit_settings, *recipe, normalizes(network)));
  }

  const cli::DeferInterrupts whole_files;  // the model so far is written before an interrupt ends the program
  train::Training training(network, prepared.training, fit_settings);
  train_on({.console = console,
            .settings = options.run,
            .epochs = fit_settings.epochs,
            .classification = fit.counts_right()},
           training);
  if (training.history().empty()) {
    console.note("interrupted in the first epoch: nothing is written");
    return cli::kDone;
  }
  cli::write_model(train::to_model(network, labelled.description, prepared.preparation), options.output);
  write_files(fit, training.history(), split.drawn);
  report(fit, network, training, prepared, split.drawn);
  warn_of_statistics(console, fit_settings, network, training.history().back(), split.rest.size());
  end_with(console, options.output);
  return cli::kDone;
}

}  // namespace

void add_fit(cli::Program& program) {
  const auto options = std::make_shared<Options>();
  Options& o = *options;
  auto& command = program.add(
      "fit", "Train a network on a table and write it as .onnx",
      "  bntrain fit models/data/iris.csv --target species -o iris.onnx --hidden 16,16 --epochs 100 --folds "
      "5\n"
      "  bntrain fit models/data/digits.csv.gz --target digit -o digits.onnx --scale factor:0.0625 \\\n"
      "      --layers dense:32,bn,relu,dense:32,bn,relu,dense --holdout 360 --holdout-out held_out.csv",
      [&program, options] { return fit(program.console(), *options); });
  add_table_settings(command, o.table);
  auto* target = command.get_option("--target")->required(false);
  command
      .add_option("--labels", o.labels,
                  "DATA is an IDX or npy file of images or rows of numbers, and this one holds their labels")
      ->type_name("FILE")
      ->check(cli::not_empty())
      ->excludes(target);
  command.add_option("-o,--output", o.output, "The model to write; - is standard output")
      ->required()
      ->type_name("FILE");
  add_network_settings(command, o.network);
  add_training_settings(command, o.training);
  const auto add = [&](const std::string& name, auto& value, const std::string& description) {
    return command.add_option(name, value, description)->group("Training")->type_name("");
  };
  const auto add_file = [&](const std::string& name, std::string& path, const std::string& description) {
    return add(name, path, description)->check(cli::not_empty());
  };
  add_file("--validation-file", o.validation_file, "Watch the rows of this table instead")->type_name("FILE");
  add("--folds", o.folds, "First measure by K folds: each is held out once, classes spread evenly")
      ->type_name("K")
      ->check(CLI::Range(2, 1000).description(""));
  add("-t,--threads", o.threads,
      "Of a training of images or large matrices, or folds at a time; the results do not depend on it (1)")
      ->check(cli::count());
  add_file("--holdout-out", o.holdout_out, "Write those rows to this .csv file");
  add_run_settings(command, o.run);
}

}  // namespace bnrun
