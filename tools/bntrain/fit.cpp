// bntrain fit: a table in, a trained model out.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>

#include "bnrun/version.h"
#include "commands.h"
#include "common/interrupt.h"
#include "common/model_output.h"
#include "common/numbers.h"
#include "common/table_options.h"
#include "data.h"
#include "io/file.h"
#include "layers.h"

namespace bnrun {
namespace {

struct Options {
  std::string data;
  Choice choice;
  io::TableOptions table;
  bool refuse_unknown = false;
  std::string output;
  std::string layers;
  HiddenLayers hidden;
  std::string batch_norm = "on";
  std::string bn_position = "before";
  std::string loss = "auto";
  train::FitOptions fit{.validation = 0.2};
  std::string optimizer = "adam";
  std::optional<double> learning_rate;
  double momentum = 0.9;
  double bn_momentum = train::BatchNormalization{}.momentum;
  std::string holdout = "0";
  std::uint64_t holdout_seed = 1;
  std::string holdout_out;
  std::string scale = "standardize";
  std::string history;
};

/// How many of `rows` rows "--holdout" keeps apart: digits alone are a number of rows, others a fraction.
std::size_t held_out_rows(const std::string& text, std::size_t rows) {
  const bool digits = text.find_first_not_of("0123456789") == std::string::npos;
  double number = 0.0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec != std::errc{} || parsed.ptr != end || !(number >= 0.0 && std::isfinite(number)))
    throw cli::UsageError(
        fmt::format("--holdout {}: expected a fraction below 1, or a number of rows", text));
  if (number == 0.0) return 0;
  if (!digits && number > 1.0)
    throw cli::UsageError(fmt::format("--holdout {} is neither a fraction nor a number of rows", text));
  const double wanted = digits ? number : number * static_cast<double>(rows);
  const auto count = static_cast<std::size_t>(std::llround(std::min(wanted, static_cast<double>(rows))));
  if (count == 0 || count >= rows)
    throw cli::UsageError(fmt::format("--holdout {} keeps {} of {} rows apart, which leaves nothing to {}{}",
                                      text, count, rows, count == 0 ? "measure" : "train on",
                                      !digits && number == 1.0 ? "; one row is --holdout 1" : ""));
  return count;
}

train::Scaling scaling_for(const Options& options, const train::Dataset& data) {
  if (options.scale == "none") return {};
  if (options.scale == "standardize") return train::Scaling::standardize(data.features, data.columns);
  if (options.scale == "minmax") return train::Scaling::min_max(data.features, data.columns);
  constexpr std::string_view kFactor = "factor:";
  double factor = 0.0;
  const char* const end = options.scale.data() + options.scale.size();
  const auto parsed = options.scale.starts_with(kFactor)
                          ? std::from_chars(options.scale.data() + kFactor.size(), end, factor)
                          : std::from_chars_result{nullptr, std::errc::invalid_argument};
  if (parsed.ptr != end || parsed.ec != std::errc{} || factor == 0.0) {
    throw cli::UsageError(
        fmt::format("--scale '{}': expected standardize, minmax, none or factor:NUMBER", options.scale));
  }
  return train::Scaling::by(factor, data.columns);
}

/// Of the numbers alone: what is 0 or 1 stays so.
train::Scaling scaling_for(const Options& options, const train::Dataset& data, std::size_t numbers) {
  train::Scaling scaling = scaling_for(options, data);
  for (std::size_t c = numbers; c < scaling.factor.size(); ++c) {
    scaling.offset[c] = 0.0F;
    scaling.factor[c] = 1.0F;
  }
  return scaling;
}

train::Network make_network(const Options& options, const LabelledTable& table,
                            const train::Dataset& training) {
  const bool classification = table.classification();
  if (options.loss != "auto" && (options.loss == "cross-entropy") != classification) {
    throw cli::UsageError(fmt::format("--loss {} does not fit the target: it is {}", options.loss,
                                      classification ? "classes (--task regression makes it a number)"
                                                     : "a number (--task classification makes it classes)"));
  }
  const auto outputs = classification ? static_cast<std::int64_t>(table.description.classes.size()) : 1;
  HiddenLayers hidden = options.hidden;
  hidden.batch_norm = options.batch_norm == "on";
  hidden.before_activation = options.bn_position == "before";
  const std::string text = options.layers.empty() ? layers_text(hidden) : options.layers;
  auto layers = parse_layers(text, outputs, classification);
  for (auto& layer : layers) {
    if (auto* normalization = std::get_if<train::BatchNormalization>(&layer))
      normalization->momentum = options.bn_momentum;
  }
  train::Network network(training.columns, std::move(layers), options.fit.seed);
  network.set_input_scaling(scaling_for(options, training, table.columns.numbers.size()));
  if (!classification) network.set_target_scaling(train::Scaling::standardize(training.targets, 1));
  return network;
}

void print_summary(const cli::Console& console, const train::Network& network) {
  console.note(fmt::format("{:<45} {:>8} {:>9}", "layer", "output", "weights"));
  std::int64_t trainable = 0;
  std::int64_t fixed = 0;
  for (const auto& layer : network.layers()) {
    trainable += layer.trainable;
    fixed += layer.fixed;
    console.note(fmt::format("{:<45} {:>8} {:>9}", fmt::format("{} ({})", layer.name, layer.type),
                             fmt::format("[N, {}]", layer.outputs), layer.trainable + layer.fixed));
  }
  console.note(fmt::format("{} weights, {} of them learned, {} running statistics; loss: {}\n",
                           trainable + fixed, trainable, fixed, name_of(network.loss())));
}

std::string_view metric_name(bool classification) {
  return classification ? "accuracy" : "mae";
}

void print_epoch(const cli::Console& console, const Options& options, bool classification,
                 const train::EpochReport& epoch) {
  const auto width = fmt::formatted_size("{}", options.fit.epochs);
  const auto metric = metric_name(classification);
  std::string line = fmt::format("epoch {:>{}}/{}  loss {:.4f}  {} {:.4f}", epoch.epoch, width,
                                 options.fit.epochs, epoch.loss, metric, epoch.metric);
  if (epoch.validation_loss) {
    line += fmt::format("  val_loss {:.4f}  val_{} {:.4f}", *epoch.validation_loss, metric,
                        *epoch.validation_metric);
  }
  console.note(line + fmt::format("  {:.1f} ms", epoch.seconds * 1e3));
}

void write_history(const std::string& path, bool classification,
                   const std::vector<train::EpochReport>& history) {
  io::write_file(path, [&](std::ostream& out) {
    const auto metric = metric_name(classification);
    out << fmt::format("epoch,loss,{},val_loss,val_{},seconds\n", metric, metric);
    const auto cell = [](const std::optional<double>& value) {
      return value ? fmt::format("{}", *value) : "";
    };
    for (const auto& e : history) {
      out << fmt::format("{},{},{},{},{},{:.6f}\n", e.epoch, e.loss, e.metric, cell(e.validation_loss),
                         cell(e.validation_metric), e.seconds);
    }
  });
}

/// These rows of the table, as CSV with decimal points.
void write_rows(const std::string& path, const io::Table& table, const std::vector<std::size_t>& rows) {
  io::write_file(path, [&](std::ostream& out) {
    const auto line = [&](const std::vector<std::string>& cells) {
      std::string text;
      for (const std::string& cell : cells) {
        if (&cell != cells.data()) text += ',';
        text += io::quoted_cell(cell);
      }
      out << (text.empty() ? "\"\"" : text) << '\n';  // an empty line is no row
    };
    line(table.names());
    for (const std::size_t row : rows) {
      auto cells = table.cells(row);
      for (std::size_t c = 0; c < cells.size() && table.decimal() == ','; ++c) {
        if (table.numeric(c)) std::replace(cells[c].begin(), cells[c].end(), ',', '.');
      }
      line(cells);
    }
  });
}

void print_result(std::FILE* out, std::string_view what, bool classification,
                  const train::Evaluation& result) {
  fmt::print(out, "{:<10} {} {:.4f}  loss {:.4f}\n", what,
             classification ? "accuracy" : "mean absolute error", result.metric, result.loss);
}

/// Says so where the model does worse than the batches it was trained on.
void warn_of_statistics(const cli::Console& console, const Options& options, const train::Network& network,
                        const train::EpochReport& last, std::size_t rows) {
  const auto layers = network.layers();
  const bool normalized = std::ranges::any_of(
      layers, [](const train::LayerSummary& layer) { return layer.type == "BatchNormalization"; });
  const bool classes = network.loss() == train::Loss::cross_entropy;
  const double own = *last.trained_metric;
  const bool parted = classes ? own < last.metric - 0.05 : own > last.metric * 1.25;
  if (!normalized || !parted) return;
  const std::size_t per_epoch =
      (rows + static_cast<std::size_t>(options.fit.batch) - 1) / static_cast<std::size_t>(options.fit.batch);
  console.note(
      fmt::format("warning: on the rows it was trained on the model's {} is {:.4f}, within the batches it "
                  "was {:.4f}: after "
                  "{} steps the running statistics of BatchNormalization still trail behind (momentum {}). "
                  "More --epochs, "
                  "a smaller --batch or a lower --bn-momentum helps",
                  classes ? "accuracy" : "mean absolute error", own, last.metric,
                  per_epoch * static_cast<std::size_t>(options.fit.epochs), options.bn_momentum));
}

/// A column that numbers the rows, as some programs write before the first, teaches nothing but their order.
void warn_of_row_numbers(const cli::Console& console, const io::Table& table, const LabelledTable& labelled) {
  if (!table.has_header() || table.named(0) || !table.numeric(0)) return;
  const auto& features = labelled.description.features;
  if (std::ranges::find(features, table.name(0)) == features.end()) return;
  const auto numbers = table.numbers(0);
  for (std::size_t r = 1; r < numbers.size(); ++r) {
    if (numbers[r] != numbers[r - 1] + 1.0) return;
  }
  console.note(fmt::format(
      "warning: the first column has no name and numbers the rows: --drop {} leaves it out", table.name(0)));
}

void describe(const cli::Console& console, const io::Table& table, const LabelledTable& labelled) {
  const std::string task = labelled.classification() ? fmt::format("classification into {} classes",
                                                                   labelled.description.classes.size())
                                                     : "regression";
  console.note(fmt::format("{}: {}", task, labelled.reason));
  if (labelled.rows.size() < table.rows())
    console.note(fmt::format("{}: left out {} of {} rows, which have no target", table.source(),
                             table.rows() - labelled.rows.size(), table.rows()));
  const auto& columns = labelled.columns;
  console.note(fmt::format(
      "{}: {} rows, {} features{}, target '{}'", table.source(), labelled.rows.size(), columns.count(),
      columns.texts.empty() ? "" : fmt::format(" ({} of them text)", columns.texts.size()),
      labelled.description.target));
  warn_of_row_numbers(console, table, labelled);
  console.detail(table.source() + ": " + table.reading());
}

struct Prepared {
  train::Preparation preparation;
  train::Dataset training;
};

Prepared prepare(const Options& options, const LabelledTable& labelled,
                 const std::vector<std::size_t>& training_rows) {
  const auto rows = train::take_rows(labelled.data, training_rows);
  auto preparation =
      train::Preparation::learn(rows, labelled.columns, options.choice.missing, options.refuse_unknown);
  auto training = preparation.apply(rows);
  return {std::move(preparation), std::move(training)};
}

int fit(const cli::Console& console, Options options) {
  if (!options.holdout_out.empty() && held_out_rows(options.holdout, std::numeric_limits<int>::max()) == 0)
    throw cli::UsageError("--holdout-out needs --holdout");
  cli::check_model_output(options.output, options.data);
  for (const auto& path : {options.history, options.holdout_out})
    if (!path.empty()) io::check_writable(path);
  options.table.expected = {options.choice.target};
  const auto table = io::read_csv(options.data, options.table);
  auto labelled = label_table(table, options.choice);
  labelled.description.missing_spellings = options.table.missing;
  const bool classification = labelled.classification();
  const auto split = train::split_rows(labelled.data, held_out_rows(options.holdout, labelled.rows.size()),
                                       options.holdout_seed);
  describe(console, table, labelled);
  const auto [preparation, training] = prepare(options, labelled, split.rest);
  auto network = make_network(options, labelled, training);
  if (options.optimizer == "adam") {
    options.fit.optimizer = train::Adam{.learning_rate = options.learning_rate.value_or(1e-3)};
  } else {
    options.fit.optimizer =
        train::Sgd{.learning_rate = options.learning_rate.value_or(1e-2), .momentum = options.momentum};
  }
  options.fit.on_epoch = [&](const train::EpochReport& epoch) {
    print_epoch(console, options, classification, epoch);
  };
  print_summary(console, network);
  const auto history = train::fit(network, training, options.fit);

  cli::write_model(train::to_model(network, labelled.description, preparation), options.output);
  const cli::DeferInterrupts whole_files;
  if (!options.history.empty()) write_history(options.history, classification, history);
  if (!options.holdout_out.empty()) {
    std::vector<std::size_t> rows;
    for (const std::size_t row : split.drawn) rows.push_back(labelled.rows[row]);
    write_rows(options.holdout_out, table, rows);
  }
  const auto& last = history.back();
  std::FILE* const text = options.output == "-" ? stderr : stdout;
  print_result(text, "training", classification, {*last.trained_loss, *last.trained_metric});
  if (last.validation_loss) {
    print_result(text, "validation", classification, {*last.validation_loss, *last.validation_metric});
  }
  if (!split.drawn.empty()) {
    print_result(text, "held-out", classification,
                 train::evaluate(network, preparation.apply(train::take_rows(labelled.data, split.drawn))));
  }
  warn_of_statistics(console, options, network, last, split.rest.size());
  if (options.output != "-") console.note(fmt::format("wrote {}", options.output));
  return cli::kDone;
}

CLI::Validator one_of(std::vector<std::string> words) {
  return CLI::IsMember(std::move(words)).description("");
}

void add_column_options(CLI::App& command, Options& o) {
  const std::string group = "Columns";
  const auto add_names = [&](const std::string& name, std::vector<std::string>& names, const char* type,
                             const std::string& description) {
    command.add_option(name, names, description)->group(group)->type_name(type)->allow_extra_args(false);
  };
  add_names("--features", o.choice.features, "GLOB",
            "Learn from the columns whose names fit GLOB only (repeatable)");
  add_names("--drop", o.choice.drop, "COLUMN", "Do not learn from this column (repeatable)");
  add_names("--categories", o.choice.categories, "COLUMN",
            "Take each value of this column for a category, numbers and dates too (repeatable)");
  using train::MissingRule;
  cli::add_choice<MissingRule>(command, "--missing", o.choice.missing,
                               {{"error", MissingRule::error},
                                {"mean", MissingRule::mean},
                                {"median", MissingRule::median},
                                {"zero", MissingRule::zero},
                                {"indicator", MissingRule::indicator}},
                               "What becomes of a missing feature, in the model too; indicator: the mean, "
                               "and a column that says so (error)")
      ->group(group);
  cli::add_choice<MissingTarget>(command, "--missing-target", o.choice.missing_target,
                                 {{"error", MissingTarget::error}, {"drop", MissingTarget::drop}},
                                 "Rows without a target: an error, or left out (error)")
      ->group(group);
  cli::add_choice<bool>(command, "--unknown", o.refuse_unknown, {{"zero", false}, {"error", true}},
                        "A category that was not learnt: none of them, or an error of the model (zero)")
      ->group(group);
  cli::add_table_options(command, o.table);
}

}  // namespace

void add_fit(cli::Program& program) {
  const auto options = std::make_shared<Options>();
  Options& o = *options;
  auto& command = program.add(
      "fit", "Train a network on a table and write it as .onnx",
      "  bntrain fit models/data/iris.csv --target species -o iris.onnx --hidden 16,16 --epochs 100\n"
      "  bntrain fit models/data/digits.csv.gz --target digit -o digits.onnx --scale factor:0.0625 \\\n"
      "      --layers dense:32,bn,relu,dense:32,bn,relu,dense --holdout 360 --holdout-out held_out.csv",
      [&program, options] { return fit(program.console(), *options); });
  command.add_option("DATA", o.data, "A .csv or .csv.gz file; - is standard input")
      ->required()
      ->type_name("");
  command.add_option("--target", o.choice.target, "The column to learn; all others are features")
      ->required()
      ->type_name("COLUMN");
  command.add_option("-o,--output", o.output, "The model to write; - is standard output")
      ->required()
      ->type_name("FILE");
  cli::add_choice<Task>(
      command, "--task", o.choice.task,
      {{"auto", Task::automatic}, {"classification", Task::classification}, {"regression", Task::regression}},
      "auto: words and few different integers are classes (auto)")
      ->type_name("");
  add_column_options(command, o);

  const std::string network = "Network";
  auto* layers =
      command.add_option("--layers", o.layers, "Layer by layer: dense:32,bn,relu,dense:32,bn,relu,dense");
  const auto add_block_option = [&](const std::string& name, auto& value, const std::string& description) {
    return command.add_option(name, value, description)->group(network)->excludes(layers)->type_name("");
  };
  layers->group(network)->type_name("");
  add_block_option("--hidden", o.hidden.units, "Units of the hidden layers (32,32)")
      ->delimiter(',')
      ->check(cli::count());
  add_block_option("--activation", o.hidden.activation, "relu, tanh, sigmoid or linear (relu)")
      ->check(one_of({"relu", "tanh", "sigmoid", "linear"}));
  add_block_option("--batch-norm", o.batch_norm, "on or off (on)")->check(one_of({"on", "off"}));
  add_block_option("--bn-position", o.bn_position, "before or after the activation (before)")
      ->check(one_of({"before", "after"}));
  command
      .add_option("--bn-momentum", o.bn_momentum,
                  "What each step keeps of the running statistics of BatchNormalization (0.9)")
      ->check(cli::fraction())
      ->group(network)
      ->type_name("");
  command
      .add_option("--scale", o.scale,
                  "Of the features: standardize, minmax, none or factor:NUMBER (standardize)")
      ->group(network)
      ->type_name("");

  const std::string training = "Training";
  const auto add = [&](const std::string& name, auto& value, const std::string& description) {
    return command.add_option(name, value, description)->group(training)->type_name("");
  };
  add("--loss", o.loss, "auto, cross-entropy or mse (auto)")->check(one_of({"auto", "cross-entropy", "mse"}));
  add("--epochs", o.fit.epochs, "Passes over the rows (20)")->check(cli::count());
  add("--batch", o.fit.batch, "Rows per step (32)")->check(cli::count());
  add("--optimizer", o.optimizer, "adam or sgd (adam)")->check(one_of({"adam", "sgd"}));
  add("--learning-rate", o.learning_rate, "0.001 for adam, 0.01 for sgd")->check(cli::positive_number());
  add("--momentum", o.momentum, "Of sgd (0.9)")->check(cli::fraction());
  add("--seed", o.fit.seed, "Of weights, validation rows and order: the same seed gives the same model (1)")
      ->check(cli::count_or_zero());
  add("--validation", o.fit.validation, "Fraction of the training rows to watch, not learn (0.2)")
      ->check(cli::fraction());
  add("--holdout", o.holdout, "Rows never seen in training: a fraction such as 0.2, or a number of rows");
  add("--holdout-seed", o.holdout_seed, "Which rows those are; apart from --seed, so that runs compare (1)");
  add("--holdout-out", o.holdout_out, "Write those rows to this .csv file");
  add("--history", o.history, "Write loss and metric of every epoch to this .csv file");
}

}  // namespace bnrun
