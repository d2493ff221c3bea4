#include "settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "common/numbers.h"
#include "common/program.h"
#include "common/table_options.h"
#include "io/file.h"

namespace bnrun {
namespace {

using cli::one_of;

train::Scaling scaling_for(const std::string& scale, const train::Dataset& data) {
  if (scale == "none") return {};
  if (scale == "standardize") return train::Scaling::standardize(data.features, data.columns);
  if (scale == "minmax") return train::Scaling::min_max(data.features, data.columns);
  constexpr std::string_view kFactor = "factor:";
  double factor = 0.0;
  const char* const end = scale.data() + scale.size();
  const auto parsed = scale.starts_with(kFactor)
                          ? std::from_chars(scale.data() + kFactor.size(), end, factor)
                          : std::from_chars_result{nullptr, std::errc::invalid_argument};
  if (parsed.ptr != end || parsed.ec != std::errc{} || factor == 0.0) {
    throw cli::UsageError(
        fmt::format("--scale '{}': expected standardize, minmax, none or factor:NUMBER", scale));
  }
  return train::Scaling::by(factor, data.columns);
}

/// Of the numbers alone: what is 0 or 1 stays so.
train::Scaling scaling_for(const std::string& scale, const train::Dataset& data, std::size_t numbers) {
  train::Scaling scaling = scaling_for(scale, data);
  for (std::size_t c = numbers; c < scaling.factor.size(); ++c) {
    scaling.offset[c] = 0.0F;
    scaling.factor[c] = 1.0F;
  }
  return scaling;
}

/// Of all pixels alike: some of them never change, and neighbours belong together.
train::Scaling scaling_of_images(const std::string& scale, const train::Dataset& data) {
  const train::Dataset pixels{.columns = 1, .features = data.features};
  train::Scaling scaling = scaling_for(scale, pixels);
  if (scaling.identity()) return scaling;
  const auto width = static_cast<std::size_t>(data.columns);
  return {std::vector<float>(width, scaling.offset[0]), std::vector<float>(width, scaling.factor[0])};
}

bool reads_images(const train::LayerSpec& layer) {
  return std::holds_alternative<train::Conv2D>(layer) || std::holds_alternative<train::Pooling2D>(layer) ||
         std::holds_alternative<train::GlobalAveragePooling2D>(layer);
}

/// Whether they are the same but for axes of 1: one channel may be first, last or left out.
bool same_sides(std::vector<std::int64_t> a, std::vector<std::int64_t> b) {
  std::erase(a, 1);
  std::erase(b, 1);
  return a == b;
}

/// What a row is to the network: an image [height, width, channels], or [columns].
Shape row_of(const NetworkSettings& settings, const std::vector<std::int64_t>& given, std::int64_t columns) {
  std::vector<std::int64_t> row = given;
  if (settings.image) {
    row.clear();
    const std::string& text = *settings.image;
    const auto last = text.rfind('x');
    const auto size = read_size(text);
    const auto with_channels = size ? std::nullopt : read_size(text.substr(0, last));
    const auto channels = with_channels ? read_size(text.substr(last + 1)) : std::nullopt;
    if ((!size || text.find('x') == text.npos) && !channels)
      throw cli::UsageError(
          fmt::format("--image '{}': expected HEIGHTxWIDTH or HEIGHTxWIDTHxCHANNELS, as in 28x28", text));
    const auto& sides = size ? *size : *with_channels;
    row = {sides.height, sides.width, size ? 1 : channels->height};
    if (Shape(row).elements() != columns)
      throw cli::UsageError(fmt::format("--image {} are {} numbers, a row of the data has {}", text,
                                        Shape(row).elements(), columns));
    if (given.size() > 1 && !same_sides(row, given))
      throw cli::UsageError(
          fmt::format("--image {}: the rows of the data are images of {} already: leave --image out", text,
                      fmt::join(given, "x")));
  }
  if (row.size() == 2) row.push_back(1);
  return row.size() == 3 ? Shape(row) : Shape{columns};
}

template <class Layer>
void set_first_weights(const NetworkSettings& settings, Layer& layer) {
  layer.initial_scale *= settings.initial_scale;
  if (!settings.initializer.empty() && !find_initializer(settings.initializer, layer.initializer))
    throw cli::UsageError(fmt::format("--initializer '{}' is none of Keras's that are known here: {}",
                                      settings.initializer, "glorot_uniform, he_normal, orthogonal, ..."));
}

/// The layers, and the row where the file says that it is an image.
std::vector<train::LayerSpec> read_keras(const NetworkSettings& settings, std::int64_t outputs, Task task,
                                         Shape& row) {
  const std::string& file = *settings.keras;
  auto [layers, input] = parse_keras(io::read_file(file), file, outputs, task);
  const Shape wanted(input);
  if (!input.empty() && wanted.elements() != row.elements())
    throw Error(ErrorCode::invalid_input, fmt::format("{}: its input has {} values, a row of the data {}",
                                                      file, wanted.elements(), row.elements()));
  if (input.size() > 1 && row.rank() > 1 && !same_sides(input, {row.begin(), row.end()})) {
    const std::string sides = fmt::format("{}", fmt::join(input, "x"));
    if (settings.image)
      throw cli::UsageError(
          fmt::format("--image {}: the input of {} is {}: leave --image out", *settings.image, file, sides));
    throw Error(ErrorCode::invalid_input, fmt::format("{}: its input is {}, a row of the data {}", file,
                                                      sides, fmt::join(row.begin(), row.end(), "x")));
  }
  if (wanted.rank() == 3) row = wanted;
  return layers;
}

/// `row` becomes what they take it for.
std::vector<train::LayerSpec> layers_of(const NetworkSettings& settings, std::int64_t outputs, Task task,
                                        Shape& row) {
  auto layers = settings.keras ? read_keras(settings, outputs, task, row)
                               : parse_layers(settings.layers.value_or(layers_text(settings.hidden)), outputs,
                                              task, {.momentum = settings.usual_momentum});
  if (!settings.keras && !settings.layers && row.rank() == 3) layers.insert(layers.begin(), train::Flatten{});
  const bool images = std::ranges::any_of(layers, reads_images);
  if (settings.image && !images)
    throw cli::UsageError(fmt::format(
        "--image {}: no layer reads images (conv, maxpool, avgpool, gap); without --image a row is "
        "its numbers",
        *settings.image));
  if (row.rank() != 3 && images)
    throw cli::UsageError(
        fmt::format("there are layers of images, but a row of the data is {} numbers: --image HEIGHTxWIDTH "
                    "says how they lie",
                    row.elements()));
  for (auto& layer : layers) {
    if (auto* normalization = std::get_if<train::BatchNormalization>(&layer))
      normalization->momentum = settings.bn_momentum.value_or(normalization->momentum);
    if (auto* dense = std::get_if<train::Dense>(&layer)) set_first_weights(settings, *dense);
    if (auto* conv = std::get_if<train::Conv2D>(&layer)) set_first_weights(settings, *conv);
  }
  return layers;
}

}  // namespace

void set_loss(const NetworkSettings& settings, const train::Dataset& training, Task task,
              train::Network& network) {
  const bool numbers = task == Task::regression;
  if (settings.loss != "auto" && (settings.loss == "cross-entropy") == numbers) {
    const char* const what = numbers                    ? "a number (--task classification makes it classes)"
                             : task == Task::multilabel ? "labels (--task regression makes them numbers)"
                                                        : "classes (--task regression makes it a number)";
    throw cli::UsageError(fmt::format("--loss {} does not fit the target: it is {}", settings.loss, what));
  }
  train::LossOptions options = settings.loss_options;
  options.huber_delta = settings.huber_delta.value_or(options.huber_delta);
  if (numbers && (settings.balanced || options.label_smoothing > 0.0))
    throw cli::UsageError("--class-weights and --label-smoothing are for classes, the target is a number");
  if (task == Task::multilabel && settings.balanced)
    throw cli::UsageError(
        "--class-weights are for one target of classes, not for labels that may hold at once");
  if (settings.balanced)
    options.class_weights = train::balanced_class_weights(training.labels, network.outputs());
  train::Loss loss = task == Task::multilabel ? train::Loss::binary_cross_entropy : network.loss();
  if (settings.loss == "mae") loss = train::Loss::mean_absolute_error;
  if (settings.loss == "huber") loss = train::Loss::huber;
  network.set_loss(loss, options);
}

void check_effect(const NetworkSettings& network, const TrainingSettings& training) {
  if (network.huber_delta && network.loss != "huber")
    throw cli::UsageError("--huber-delta is of --loss huber, which is not asked for");
  const int epochs = training.fit.epochs;
  if (training.quantise_from && network.quantised.empty())
    throw cli::UsageError("--qat-from says when --qat begins to round: --qat int8 is missing");
  if (training.quantise_from.value_or(0) > epochs)
    throw cli::UsageError(fmt::format(
        "--qat-from {} is beyond the {} epochs: no step would round (bntrain tune --epochs 0 --qat "
        "int8 quantises after training)",
        *training.quantise_from, epochs));
  if (training.fit.schedule.warm_up > epochs)
    throw cli::UsageError(
        fmt::format("--warm-up {} is beyond the {} epochs: the learning rate would never be reached",
                    training.fit.schedule.warm_up, epochs));
  if (training.freeze_from.value_or(0) > epochs)
    throw cli::UsageError(fmt::format("--freeze-bn {} is beyond the {} epochs; 0 never freezes",
                                      *training.freeze_from, epochs));
}

bool normalizes(const train::Network& network) {
  const auto layers = network.layers();
  return std::ranges::any_of(
      layers, [](const train::LayerSummary& layer) { return layer.type == "BatchNormalization"; });
}

void check_effect_on(const train::Network& network, const NetworkSettings& settings,
                     const TrainingSettings& training) {
  if (normalizes(network)) return;
  for (const auto& [given, option] : {std::pair(settings.bn_momentum.has_value(), "--bn-momentum"),
                                      std::pair(training.freeze_from.value_or(0) > 0, "--freeze-bn"),
                                      std::pair(settings.fold_training, "--fold-training")}) {
    if (given)
      throw cli::UsageError(
          fmt::format("{}: the network has no BatchNormalization; --bn before gives it some", option));
  }
}

std::vector<double> numbers_behind(const std::string& option, const std::string& text) {
  std::vector<double> numbers;
  for (std::size_t colon = text.find(':'); colon != std::string::npos;) {
    const std::size_t next = std::min(text.find(':', colon + 1), text.size());
    double number = 0.0;
    const auto parsed = std::from_chars(text.data() + colon + 1, text.data() + next, number);
    if (parsed.ec != std::errc{} || parsed.ptr != text.data() + next)
      throw cli::UsageError(
          fmt::format("{} {}: '{}' is no number", option, text, text.substr(colon + 1, next - colon - 1)));
    numbers.push_back(number);
    colon = next == text.size() ? std::string::npos : next;
  }
  return numbers;
}

train::Optimizer optimizer_of(const TrainingSettings& settings) {
  const auto& rate = settings.learning_rate;
  const std::string name = settings.optimizer.empty() ? "adam" : settings.optimizer;
  const bool decays = name == "adamw" || name == "lion" || settings.optimizer.empty();
  if (settings.weight_decay && !decays)
    throw cli::UsageError(fmt::format("--weight-decay is of adamw and lion; with {} --l2 does it", name));
  if (settings.nesterov && name != "sgd")
    throw cli::UsageError(fmt::format("--nesterov is of sgd, not of {}", name));
  if (settings.momentum && name != "sgd")
    throw cli::UsageError(fmt::format("--momentum is of sgd, not of {}: --optimizer sgd takes it", name));
  if (name == "adam" && !settings.weight_decay)
    return train::Adam{.learning_rate = rate.value_or(train::Adam{}.learning_rate)};
  if (name == "adam" || name == "adamw")
    return train::AdamW{.learning_rate = rate.value_or(train::AdamW{}.learning_rate),
                        .weight_decay = settings.weight_decay.value_or(train::AdamW{}.weight_decay)};
  if (name == "rmsprop")
    return train::RmsProp{.learning_rate = rate.value_or(train::RmsProp{}.learning_rate)};
  if (name == "lion")
    return train::Lion{.learning_rate = rate.value_or(train::Lion{}.learning_rate),
                       .weight_decay = settings.weight_decay.value_or(0.0)};
  return train::Sgd{.learning_rate = rate.value_or(train::Sgd{}.learning_rate),
                    .momentum = settings.momentum.value_or(0.9),
                    .nesterov = settings.nesterov};
}

train::FitOptions fit_options(const TrainingSettings& settings) {
  train::FitOptions options = settings.fit;
  options.optimizer = optimizer_of(settings);
  options.batch = settings.batch.value_or(options.batch);
  options.quantise_from = settings.quantise_from.value_or(options.quantise_from);
  if (settings.freeze_from.value_or(0) > 0) options.freeze_statistics = settings.freeze_from;
  const std::string kind =
      settings.schedule.empty() ? "constant" : settings.schedule.substr(0, settings.schedule.find(':'));
  const auto numbers = numbers_behind("--schedule", settings.schedule);
  const std::size_t most = kind == "step" ? 2 : kind == "cosine" ? 1 : 0;
  if ((kind != "constant" && kind != "step" && kind != "cosine") || numbers.size() > most)
    throw cli::UsageError(fmt::format("--schedule {}: expected constant, step:EPOCHS:FACTOR or cosine:FACTOR",
                                      settings.schedule));
  if (kind == "step") {
    options.schedule.kind = train::Schedule::Kind::step;
    if (!numbers.empty()) options.schedule.every = static_cast<int>(std::clamp(numbers[0], 0.0, 1e9));
    if (numbers.size() == 2) options.schedule.factor = numbers[1];
  } else if (kind == "cosine") {
    options.schedule.kind = train::Schedule::Kind::cosine;
    options.schedule.factor = numbers.empty() ? 0.0 : numbers[0];
  }
  if (settings.plateau) options.plateau = train::Plateau{.patience = *settings.plateau};
  if (settings.patience) {
    options.early_stopping = train::EarlyStopping{.patience = *settings.patience};
    options.restore_best = true;
  }
  return options;
}

train::Network make_network(const NetworkSettings& settings, const LabelledTable& table,
                            const Prepared& prepared, std::uint64_t seed) {
  const train::Dataset& training = prepared.training;
  const std::int64_t outputs = table.outputs();
  Shape row = row_of(settings, table.row, training.columns);
  auto layers = layers_of(settings, outputs, table.task, row);
  if (!prepared.embedded.empty()) {
    if (settings.keras || row.rank() == 3)
      throw cli::UsageError("--embed is for rows of numbers and networks by --layers or --hidden");
    layers.insert(layers.begin(), train::Embedding{prepared.embedded});
  }
  train::Network network(row, std::move(layers), seed);
  if (network.outputs() != outputs)
    throw cli::UsageError(
        fmt::format("the network puts out {} numbers, the target needs {}", network.outputs(), outputs));
  set_loss(settings, training, table.task, network);
  const auto columns = static_cast<std::size_t>(training.columns);
  network.set_input_scaling(row.rank() == 3
                                ? scaling_of_images(settings.scale, training)
                                : scaling_for(settings.scale, training,
                                              table.row.empty() ? table.columns.numbers.size() : columns));
  if (table.task == Task::regression)
    network.set_target_scaling(train::Scaling::standardize(training.targets, outputs));
  if (settings.fold_training) network.set_folding(train::Folding::folded);
  if (!settings.quantised.empty()) network.set_folding(train::Folding::int8);
  return network;
}

namespace {

/// The columns to embed, and in how many numbers where that is said.
std::map<std::string, std::optional<std::int64_t>> embeddings_of(const TableSettings& settings) {
  std::map<std::string, std::optional<std::int64_t>> wanted;
  for (const std::string& given : settings.embedded) {
    const auto equals = given.rfind('=');
    std::int64_t width = 0;
    const char* const end = given.data() + given.size();
    const auto parsed = std::from_chars(given.data() + std::min(equals, given.size() - 1) + 1, end, width);
    const bool sized = equals != std::string::npos;
    if (sized && (parsed.ec != std::errc{} || parsed.ptr != end || width < 1 || width > 1024))
      throw cli::UsageError(fmt::format("--embed {}: expected COLUMN or COLUMN=NUMBERS, 1 to 1024", given));
    const std::string column = given.substr(0, equals);
    if (!wanted.emplace(column, sized ? std::optional(width) : std::nullopt).second)
      throw cli::UsageError(fmt::format("--embed {}: the column is given twice, once is enough", column));
  }
  return wanted;
}

/// Half as many numbers as there are values, at most 50.
std::int64_t usual_width(std::int64_t values) {
  return std::clamp<std::int64_t>((values + 1) / 2, 1, 50);
}

}  // namespace

void check_columns(const TableSettings& settings, const io::Table& table) {
  const auto& choice = settings.choice;
  std::vector<std::string> embedded;
  using Columns = std::pair<const char*, const std::vector<std::string>&>;
  for (const auto& [column, width] : embeddings_of(settings)) embedded.push_back(column);
  for (const std::size_t target : find_targets(table, choice.targets)) {
    for (const auto& [option, columns] :
         {Columns("--embed", embedded), Columns("--drop", choice.drop),
          Columns("--categories", choice.categories), Columns("--features", choice.features)}) {
      if (std::ranges::find(columns, table.name(target)) == columns.end()) continue;
      throw cli::UsageError(
          fmt::format("{} {}: the column is what --target has the network learn, and never a feature: leave "
                      "{} out, or name another --target",
                      option, table.name(target), option));
    }
  }
}

void take_embedded_for_categories(TableSettings& settings) {
  for (const auto& [column, width] : embeddings_of(settings)) settings.choice.categories.push_back(column);
}

Prepared prepare(const TableSettings& settings, const LabelledTable& labelled,
                 const std::vector<std::size_t>& training_rows) {
  auto rows = train::take_rows(labelled.data, training_rows);
  if (!labelled.row.empty()) {
    if (!settings.embedded.empty()) throw cli::UsageError("--embed is for columns of tables, not for arrays");
    return {{}, std::move(rows), {}};
  }
  const auto wanted = embeddings_of(settings);
  std::vector<bool> placed;
  for (const auto& text : labelled.columns.texts) placed.push_back(wanted.contains(text.name));
  if (std::ranges::count(placed, true) != std::ssize(wanted)) {
    const auto is_text = [&](const auto& entry) {
      return std::ranges::find(labelled.columns.texts, entry.first, &train::TableColumns::Text::name) !=
             labelled.columns.texts.end();
    };
    throw cli::UsageError(
        fmt::format("--embed {}: is none of the features", std::ranges::find_if_not(wanted, is_text)->first));
  }
  auto preparation = train::Preparation::learn(rows, labelled.columns, settings.choice.missing,
                                               settings.refuse_unknown, placed);
  auto training = preparation.apply(rows);
  std::vector<train::Embedding::Column> embedded;
  auto column = static_cast<std::int64_t>(labelled.columns.numbers.size() + preparation.indicators.size());
  for (std::size_t t = 0; t < placed.size(); ++t) {
    const auto values = static_cast<std::int64_t>(preparation.vocabularies[t].size());
    if (placed[t])
      embedded.push_back(
          {column, values, wanted.at(labelled.columns.texts[t].name).value_or(usual_width(values))});
    column += placed[t] ? 1 : values;
  }
  return {std::move(preparation), std::move(training), std::move(embedded)};
}

void add_table_settings(CLI::App& command, TableSettings& o) {
  command.add_option("DATA", o.data, "A .csv or .csv.gz file; - is standard input")
      ->required()
      ->type_name("");
  command
      .add_option("--target", o.choice.targets,
                  "The column to learn, all others being features; several numbers or labels: A,B,C")
      ->required()
      ->type_name("COLUMN")
      ->allow_extra_args(false);
  add_task_option(
      command, o.choice.task,
      "auto: words and few different integers are classes, several columns of 0 and 1 labels that may "
      "hold at once (auto)");
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
  add_names(
      "--embed", o.embedded, "COLUMN[=N]",
      "Learn N numbers for each category of this column, instead of a column for each (repeatable; half "
      "as many as there are categories, at most 50)");
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

void add_task_option(CLI::App& command, Task& task, const std::string& automatic) {
  cli::add_choice<Task>(command, "--task", task,
                        {{"auto", Task::automatic},
                         {"classification", Task::classification},
                         {"regression", Task::regression},
                         {"multilabel", Task::multilabel}},
                        automatic)
      ->type_name("");
}

void add_network_settings(CLI::App& command, NetworkSettings& o) {
  const std::string group = "Network";
  const auto add = [&](const std::string& name, auto& value, const std::string& description) {
    return command.add_option(name, value, description)->group(group)->type_name("");
  };
  auto* layers =
      add("--layers", o.layers,
          "Layer by layer: \"dense(32) bn relu residual(dense(32) bn relu) dropout(0.2) dense\"; also "
          "ln, gelu, elu, selu, leaky_relu, tanh, sigmoid, within dense he_normal, nobias, ..., and of "
          "images "
          "\"conv(6, 5, same) bn relu maxpool(2) flatten\", avgpool(2), gap")
          ->check(cli::not_empty());
  add("--image", o.image, "A row of the data is an image of HEIGHTxWIDTH or HEIGHTxWIDTHxCHANNELS")
      ->check(cli::not_empty());
  auto* keras = command.add_option("--model", o.keras, "The layers that Keras's model.to_json() wrote")
                    ->group(group)
                    ->type_name("JSON")
                    ->check(cli::not_empty())
                    ->excludes(layers);
  const auto add_block = [&](const std::string& name, auto& value, const std::string& description) {
    return add(name, value, description)->excludes(layers)->excludes(keras);
  };
  add_block("--hidden", o.hidden.units, "Units of the hidden layers (32,32)")
      ->delimiter(',')
      ->check(cli::count());
  add_block("--activation", o.hidden.activation,
            "relu, leaky_relu, elu, selu, gelu, tanh, sigmoid or linear (relu)")
      ->check(one_of({"relu", "leaky_relu", "elu", "selu", "gelu", "tanh", "sigmoid", "linear"}));
  using Normalization = HiddenLayers::Normalization;
  cli::add_choice<Normalization>(command, "--bn", o.hidden.normalization,
                                 {{"before", Normalization::before},
                                  {"after", Normalization::after},
                                  {"none", Normalization::none},
                                  {"layer", Normalization::layer}},
                                 "BatchNormalization before or after the activation, none, or layer "
                                 "normalisation (before)")
      ->group(group)
      ->type_name("")
      ->excludes(layers)
      ->excludes(keras);
  add_block("--dropout", o.hidden.dropout, "Share of the hidden values that drop out in training (0)")
      ->check(cli::fraction());
  add("--bn-momentum", o.bn_momentum,
      "What each step keeps of the running statistics of BatchNormalization (by the recipe 0.9 to 0.99; 0.9, "
      "or "
      "what --layers or --model says)")
      ->check(cli::fraction());
  add("--initializer", o.initializer, "First weights of the dense layers, as in Keras (glorot_uniform)")
      ->check(cli::not_empty());
  add("--initial-scale", o.initial_scale, "The first weights times this (1)")->check(cli::positive_number());
  add("--scale", o.scale, "Of the features: standardize, minmax, none or factor:NUMBER (standardize)");
  add_objective_settings(command, o);
}

void add_objective_settings(CLI::App& command, NetworkSettings& o) {
  const std::string group = "Network";
  const auto add = [&](const std::string& name, auto& value, const std::string& description) {
    return command.add_option(name, value, description)->group(group)->type_name("");
  };
  add("--loss", o.loss, "auto, cross-entropy, mse, mae or huber (auto)")
      ->check(one_of({"auto", "cross-entropy", "mse", "mae", "huber"}));
  add("--huber-delta", o.huber_delta, "Errors beyond it count linearly (1)")->check(cli::positive_number());
  add("--label-smoothing", o.loss_options.label_smoothing, "Probability that is spread over all classes (0)")
      ->check(cli::fraction());
  cli::add_choice<bool>(command, "--class-weights", o.balanced, {{"none", false}, {"balanced", true}},
                        "balanced: rare classes count as much as frequent ones (none)")
      ->group(group)
      ->type_name("");
  command
      .add_flag("--fold-training", o.fold_training,
                "Train dense layers and convolutions with their BatchNormalization folded: the same "
                "function, and the model "
                "has none")
      ->group(group);
  add("--qat", o.quantised, "int8: train folded with weights and inputs as int8 holds them, and export that")
      ->check(one_of({"int8"}));
}

void add_training_settings(CLI::App& command, TrainingSettings& o, bool may_be_none) {
  const std::string group = "Training";
  const auto add = [&](const std::string& name, auto& value, const std::string& description) {
    return command.add_option(name, value, description)->group(group)->type_name("");
  };
  add("--epochs", o.fit.epochs,
      may_be_none ? "Passes over the rows; 0: change no weight (20)" : "Passes over the rows (20)")
      ->check(may_be_none ? cli::count_or_zero() : cli::count());
  cli::add_choice<RecipeChoice>(
      command, "--recipe", o.recipe,
      {{"auto", RecipeChoice::automatic}, {"steps", RecipeChoice::steps}, {"keras", RecipeChoice::keras}},
      "Where what is not given comes from. steps: chosen from rows and epochs; keras: Keras's defaults; "
      "auto: "
      "keras if the end is open (--checkpoint, --early-stopping, --plateau), else steps (auto)")
      ->group(group)
      ->type_name("");
  add("--batch", o.batch, "Rows per step (by the recipe 32 to 256; 32)")->check(cli::count());
  add("--optimizer", o.optimizer, "adam, adamw, sgd, rmsprop or lion (by the recipe adamw; adam)")
      ->check(one_of({"adam", "adamw", "sgd", "rmsprop", "lion"}));
  add("--learning-rate", o.learning_rate, "By the recipe 0.001 to 0.01; 0.001; 0.01 for sgd, 0.0001 for lion")
      ->check(cli::positive_number());
  add("--momentum", o.momentum, "Of sgd (0.9)")->check(cli::fraction());
  command.add_flag("--nesterov", o.nesterov, "Nesterov's momentum, of sgd")->group(group);
  add("--weight-decay", o.weight_decay, "Of adamw (by the recipe 0 to 0.75; 0.004) and lion (0)")
      ->check(cli::number_of_zero_or_more());
  add("--l2", o.fit.l2, "Penalty on the squares of the weights of dense layers and convolutions (0)")
      ->check(cli::number_of_zero_or_more());
  add("--clip-norm", o.fit.clip_norm, "Largest norm of the gradients of a step (none)")
      ->check(cli::positive_number());
  add("--clip-value", o.fit.clip_value, "Largest size of a gradient (none)")->check(cli::positive_number());
  add("--schedule", o.schedule,
      "Of the learning rate: constant, step:EPOCHS:FACTOR or cosine:FACTOR, down to that part (by the recipe "
      "cosine; constant)");
  add("--warm-up", o.fit.schedule.warm_up, "Epochs over which the learning rate first grows (0)")
      ->check(cli::number_of_zero_or_more());
  add("--plateau", o.plateau, "A tenth of the learning rate when the loss has not fallen for N epochs")
      ->type_name("N")
      ->check(cli::count());
  add("--early-stopping", o.patience,
      "End when the validation loss has not fallen for N epochs, with the weights of the best")
      ->type_name("N")
      ->check(cli::count());
  add("--freeze-bn", o.freeze_from,
      "From this epoch on normalise with the running statistics and leave them as they are; 0: never (by the "
      "recipe the second half; 0)")
      ->type_name("EPOCH")
      ->check(cli::count_or_zero());
  add("--qat-from", o.quantise_from,
      "With --qat train in float before this epoch, and round from it on (by the recipe the last fifth; 1)")
      ->type_name("EPOCH")
      ->check(cli::count());
  add("--seed", o.fit.seed, "Of weights, validation rows and order: the same seed gives the same model (1)")
      ->check(cli::count_or_zero());
  add("--validation", o.fit.validation, "Fraction of the training rows to watch, not learn (0.2)")
      ->check(cli::fraction());
}

}  // namespace bnrun
