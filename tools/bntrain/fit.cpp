// bntrain fit: a table in, a trained model out.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <map>
#include <memory>
#include <optional>

#include "bnrun/version.h"
#include "commands.h"
#include "common/interrupt.h"
#include "common/model_output.h"
#include "data.h"
#include "io/file.h"
#include "layers.h"

namespace bnrun {
namespace {

const std::map<std::string, Task> kTasks{
    {"auto", Task::automatic}, {"classify", Task::classify}, {"regress", Task::regress}};

struct Options {
  std::string data;
  std::string target;
  std::string output;
  std::string task = "auto";
  std::string layers;
  HiddenLayers hidden;
  std::string batch_norm = "on";
  std::string bn_position = "before";
  std::string loss = "auto";
  train::FitOptions fit{.validation = 0.2};
  std::string optimizer = "adam";
  std::optional<double> learning_rate;
  double momentum = 0.9;
  double holdout = 0.0;
  std::uint64_t holdout_seed = 1;
  std::string holdout_out;
  std::string scale = "standardize";
  std::string history;
};

/// The rows kept apart (`--holdout`) come first in the shuffled order.
struct Split {
  std::vector<std::size_t> held_out;
  std::vector<std::size_t> training;
};

Split split_rows(const Options& options, std::size_t rows) {
  const double wanted = options.holdout < 1.0 ? options.holdout * static_cast<double>(rows) : options.holdout;
  const auto count = static_cast<std::size_t>(std::llround(wanted));
  if (options.holdout > 0.0 && (count == 0 || count >= rows)) {
    throw cli::UsageError(fmt::format(
        "--holdout {} of {} rows leaves nothing to measure or nothing to train on", options.holdout, rows));
  }
  const auto order = train::shuffled_rows(rows, options.holdout_seed);
  const auto cut = order.begin() + static_cast<std::ptrdiff_t>(count);
  return {{order.begin(), cut}, {cut, order.end()}};
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

train::Network make_network(const Options& options, const LabelledTable& table,
                            const train::Dataset& training) {
  const bool classification = table.classification();
  if (options.loss != "auto" && (options.loss == "cross-entropy") != classification) {
    throw cli::UsageError(fmt::format("--loss {} does not fit the target: it is {}", options.loss,
                                      classification ? "classes (--task regress makes it a number)"
                                                     : "a number (--task classify makes it classes)"));
  }
  const auto outputs = classification ? static_cast<std::int64_t>(table.description.classes.size()) : 1;
  HiddenLayers hidden = options.hidden;
  hidden.batch_norm = options.batch_norm == "on";
  hidden.before_activation = options.bn_position == "before";
  const std::string text = options.layers.empty() ? layers_text(hidden) : options.layers;
  train::Network network(training.columns, parse_layers(text, outputs, classification), options.fit.seed);
  network.set_input_scaling(scaling_for(options, training));
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

std::string quoted(const std::string& cell) {
  if (cell.find_first_of(",\"\r\n") == std::string::npos) return cell;
  std::string text = "\"";
  for (const char c : cell) text += c == '"' ? std::string("\"\"") : std::string(1, c);
  return text + "\"";
}

void write_rows(const std::string& path, const io::Table& table, const std::vector<std::size_t>& rows) {
  std::vector<std::vector<std::string>> columns;
  for (std::size_t c = 0; c < table.columns(); ++c) columns.push_back(table.text(c));
  io::write_file(path, [&](std::ostream& out) {
    const auto line = [&](auto cell_of) {
      for (std::size_t c = 0; c < columns.size(); ++c) out << (c == 0 ? "" : ",") << quoted(cell_of(c));
      out << '\n';
    };
    line([&](std::size_t c) { return table.name(c); });
    for (const std::size_t row : rows) line([&](std::size_t c) { return columns[c][row]; });
  });
}

void print_result(std::FILE* out, std::string_view what, bool classification,
                  const train::Evaluation& result) {
  fmt::print(out, "{:<10} {} {:.4f}  loss {:.4f}\n", what,
             classification ? "accuracy" : "mean absolute error", result.metric, result.loss);
}

int fit(const cli::Console& console, Options options) {
  if (!options.holdout_out.empty() && options.holdout <= 0.0) {
    throw cli::UsageError("--holdout-out needs --holdout");
  }
  cli::check_model_output(options.output, options.data);
  for (const auto& path : {options.history, options.holdout_out})
    if (!path.empty()) io::check_writable(path);
  const auto table = io::read_csv(options.data);
  const auto labelled = label_table(table, options.target, kTasks.at(options.task));
  const bool classification = labelled.classification();
  const Split split = split_rows(options, table.rows());
  const auto training = train::take_rows(labelled.data, split.training);
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

  console.note(fmt::format("{}: {} rows, {} features, target '{}': {}", table.source(), table.rows(),
                           labelled.data.columns, options.target,
                           classification ? fmt::format("{} classes", labelled.description.classes.size())
                                          : std::string("a number")));
  print_summary(console, network);
  const auto history = train::fit(network, training, options.fit);

  cli::write_model(train::to_model(network, labelled.description), options.output);
  const cli::DeferInterrupts whole_files;
  if (!options.history.empty()) write_history(options.history, classification, history);
  if (!options.holdout_out.empty()) write_rows(options.holdout_out, table, split.held_out);
  const auto& last = history.back();
  std::FILE* const text = options.output == "-" ? stderr : stdout;
  print_result(text, "training", classification, {last.loss, last.metric});
  if (last.validation_loss) {
    print_result(text, "validation", classification, {*last.validation_loss, *last.validation_metric});
  }
  if (!split.held_out.empty()) {
    print_result(text, "held-out", classification,
                 train::evaluate(network, train::take_rows(labelled.data, split.held_out)));
  }
  if (options.output != "-") console.note(fmt::format("wrote {}", options.output));
  return cli::kDone;
}

CLI::Validator one_of(std::vector<std::string> words) {
  return CLI::IsMember(std::move(words)).description("");
}

/// `expected` completes "0 is not ...".
CLI::Validator number_where(bool (*fits)(double), const std::string& expected) {
  const auto check = [=](const std::string& text) {
    double number = 0.0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool good = error == std::errc{} && end == text.data() + text.size() && fits(number);
    return good ? std::string() : fmt::format("{} is not {}", text, expected);
  };
  return CLI::Validator(check, "");
}

CLI::Validator positive() {
  return number_where([](double x) { return x > 0.0 && std::isfinite(x); }, "a positive number");
}

CLI::Validator below_one() {
  return number_where([](double x) { return x >= 0.0 && x < 1.0; }, "a number from 0 to below 1");
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
  command.add_option("--target", o.target, "The column to learn; all others are features")
      ->required()
      ->type_name("COLUMN");
  command.add_option("-o,--output", o.output, "The model to write; - is standard output")
      ->required()
      ->type_name("FILE");
  command
      .add_option("--task", o.task, "auto, classify or regress; auto: text and up to 20 integers are classes")
      ->check(one_of({"auto", "classify", "regress"}))
      ->type_name("");

  const std::string network = "Network";
  auto* layers =
      command.add_option("--layers", o.layers, "Layer by layer: dense:32,bn,relu,dense:32,bn,relu,dense");
  const auto add_block_option = [&](const std::string& name, auto& value, const std::string& description) {
    return command.add_option(name, value, description)->group(network)->excludes(layers)->type_name("");
  };
  layers->group(network)->type_name("");
  add_block_option("--hidden", o.hidden.units, "Units of the hidden layers (32,32)")
      ->delimiter(',')
      ->check(positive());
  add_block_option("--activation", o.hidden.activation, "relu, tanh, sigmoid or linear (relu)")
      ->check(one_of({"relu", "tanh", "sigmoid", "linear"}));
  add_block_option("--batch-norm", o.batch_norm, "on or off (on)")->check(one_of({"on", "off"}));
  add_block_option("--bn-position", o.bn_position, "before or after the activation (before)")
      ->check(one_of({"before", "after"}));
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
  add("--epochs", o.fit.epochs, "Passes over the rows (20)")->check(positive());
  add("--batch", o.fit.batch, "Rows per step (32)")->check(positive());
  add("--optimizer", o.optimizer, "adam or sgd (adam)")->check(one_of({"adam", "sgd"}));
  add("--learning-rate", o.learning_rate, "0.001 for adam, 0.01 for sgd")->check(positive());
  add("--momentum", o.momentum, "Of sgd (0.9)")->check(below_one());
  add("--seed", o.fit.seed, "Of weights, validation rows and order: the same seed gives the same model (1)");
  add("--validation", o.fit.validation, "Fraction of the training rows to watch, not learn (0.2)")
      ->check(below_one());
  add("--holdout", o.holdout, "Rows never seen in training: a fraction below 1, or a number")
      ->check(number_where([](double x) { return x >= 0.0 && std::isfinite(x); },
                           "a number of rows or a fraction"));
  add("--holdout-seed", o.holdout_seed, "Which rows those are; apart from --seed, so that runs compare (1)");
  add("--holdout-out", o.holdout_out, "Write those rows to this .csv file");
  add("--history", o.history, "Write loss and metric of every epoch to this .csv file");
}

}  // namespace bnrun
