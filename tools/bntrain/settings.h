// What fit and compare take of the command line: the network, and how it is trained.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "data.h"
#include "io/csv.h"
#include "layers.h"

namespace bnrun {

struct TableSettings {
  std::string data;
  Choice choice;
  io::TableOptions table;
  bool refuse_unknown = false;
  std::vector<std::string> embedded;  ///< COLUMN or COLUMN=WIDTH
};
void add_table_settings(CLI::App& command, TableSettings& settings);

struct NetworkSettings {
  std::optional<std::string> layers;
  std::optional<std::string> keras;
  std::optional<std::string> image;
  HiddenLayers hidden;
  std::optional<double> bn_momentum;
  double usual_momentum = train::BatchNormalization{}.momentum;  ///< where none is written
  std::string initializer;
  double initial_scale = 1.0;
  std::string scale = "standardize";
  std::string loss = "auto";
  train::LossOptions loss_options;  ///< its delta is `huber_delta`
  std::optional<double> huber_delta;
  bool balanced = false;
  bool fold_training = false;
  std::string quantised;
};
void add_network_settings(CLI::App& command, NetworkSettings& settings);
/// The last of these: what it minimises, and in which form it is trained.
void add_objective_settings(CLI::App& command, NetworkSettings& settings);

/// Where what was not asked for comes from; steps: chosen even if the end is open.
enum class RecipeChoice { automatic, steps, keras };

struct TrainingSettings {
  train::FitOptions fit{.validation = 0.2};
  RecipeChoice recipe = RecipeChoice::automatic;
  std::optional<std::int64_t> batch;
  std::string optimizer;  ///< empty: none was asked for
  std::optional<double> learning_rate;
  std::optional<double> momentum;  ///< of sgd: 0.9
  bool nesterov = false;
  std::optional<double> weight_decay;
  std::string schedule;  ///< empty: none was asked for
  std::optional<int> plateau;
  std::optional<int> patience;
  std::optional<int> freeze_from;  ///< 0: never
  std::optional<int> quantise_from;
};
void add_training_settings(CLI::App& command, TrainingSettings& settings, bool may_be_none = false);

/// Throws cli::UsageError naming an option that would change nothing beside the others, and what helps.
void check_effect(const NetworkSettings& network, const TrainingSettings& training);

bool normalizes(const train::Network& network);
/// The same of options that are about BatchNormalization, for a network without.
void check_effect_on(const train::Network& network, const NetworkSettings& settings,
                     const TrainingSettings& training);

/// What was given, and Keras's defaults. Throws cli::UsageError where it does not fit together.
train::FitOptions fit_options(const TrainingSettings& settings);
train::Optimizer optimizer_of(const TrainingSettings& settings);

/// Adds --task, saying what auto decides by.
void add_task_option(CLI::App& command, Task& task, const std::string& automatic);

/// Columns to embed are categories, whatever they hold. Throws cli::UsageError where --embed is not understood.
void take_embedded_for_categories(TableSettings& settings);

/// Throws cli::UsageError where --features, --drop, --categories or --embed names a target, which is no feature.
void check_columns(const TableSettings& settings, const io::Table& table);

/// What the network is to minimise on these rows. Throws cli::UsageError where it does not fit the target.
void set_loss(const NetworkSettings& settings, const train::Dataset& training, Task task,
              train::Network& network);

/// Rows as the network takes them, and the way there.
struct Prepared {
  train::Preparation preparation;  ///< of an array: none
  train::Dataset training;
  std::vector<train::Embedding::Column> embedded;  ///< columns of `training` that an embedding reads

  train::Dataset apply(const train::Dataset& rows) const {
    return preparation.columns.count() == 0 ? rows : preparation.apply(rows);
  }
};
Prepared prepare(const TableSettings& settings, const LabelledTable& labelled,
                 const std::vector<std::size_t>& training_rows);

/// A network for the table, its features scaled as the training rows ask, all pixels of images alike. `seed`
/// is of its first weights.
train::Network make_network(const NetworkSettings& settings, const LabelledTable& table,
                            const Prepared& prepared, std::uint64_t seed);

/// Numbers behind colons: "step:10:0.5" is {10, 0.5}. Throws cli::UsageError.
std::vector<double> numbers_behind(const std::string& option, const std::string& text);

}  // namespace bnrun
