// bntrain compare: the same training with and without normalisation, over first weights and learning rates.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "commands.h"
#include "common/html.h"
#include "common/model_output.h"
#include "common/numbers.h"
#include "common/text_table.h"
#include "curves.h"
#include "io/file.h"
#include "recipe.h"
#include "report.h"
#include "settings.h"
#include "trials.h"

namespace bnrun {
namespace {

using Normalization = HiddenLayers::Normalization;

struct Options {
  TableSettings table;
  NetworkSettings network;
  TrainingSettings training;
  int seeds = 5;
  std::vector<double> rates{0.001, 0.01, 0.1};
  std::vector<double> scales{0.1, 1.0, 10.0};
  double reach = 0.0;
  int threads = 1;
  std::string html;
  std::string svg;
  std::string csv;
};

struct Variant {
  const char* name;
  Normalization normalization;
};
constexpr Variant kVariants[] = {{"none", Normalization::none},
                                 {"BatchNormalization", Normalization::before},
                                 {"LayerNormalization", Normalization::layer}};

/// One training.
struct Trial {
  std::size_t variant = 0;
  double rate = 0.0;
  double scale = 1.0;
  std::uint64_t seed = 1;
  bool diverged = false;
  std::vector<train::EpochReport> history;
  std::vector<double> shift;  ///< after each epoch: mean of what the last hidden activation receives
  std::vector<double> width;  ///< its standard deviation

  double best(bool classification) const {
    double best = classification ? 0.0 : std::numeric_limits<double>::infinity();
    for (const auto& epoch : history)
      best = classification ? std::max(best, *epoch.validation_metric)
                            : std::min(best, *epoch.validation_metric);
    return best;
  }
};

std::vector<Trial> plan(const Options& options) {
  std::vector<Trial> trials;
  for (std::size_t v = 0; v < std::size(kVariants); ++v) {
    for (const double rate : options.rates) {
      for (const double scale : options.scales) {
        for (int s = 0; s < options.seeds; ++s)
          trials.push_back({.variant = v,
                            .rate = rate,
                            .scale = scale,
                            .seed = options.training.fit.seed + static_cast<std::uint64_t>(s)});
      }
    }
  }
  return trials;
}

/// The layer whose output the last hidden activation receives: it stands two before the last dense layer.
std::size_t watched_layer(const train::Network& network) {
  const auto layers = network.layers();
  std::size_t last = layers.size() - 1;
  while (last > 0 && layers[last].type != "Dense") --last;
  return last >= 2 ? last - 2 : last;
}

void run(const Options& options, const LabelledTable& labelled, const Prepared& prepared, Trial& trial) {
  NetworkSettings settings = options.network;
  settings.hidden.normalization = kVariants[trial.variant].normalization;
  settings.initial_scale *= trial.scale;
  TrainingSettings training = options.training;
  training.learning_rate = trial.rate;
  train::FitOptions fit = fit_options(training);
  // The rows to watch are the same for all seeds: only first weights and the order of rows differ.
  const auto held_out =
      static_cast<std::size_t>(std::llround(fit.validation * static_cast<double>(prepared.training.rows())));
  const auto split = train::split_rows(prepared.training, held_out, options.training.fit.seed);
  fit.validation = 0.0;
  fit.validation_data = train::take_rows(prepared.training, split.drawn);
  fit.seed = trial.seed;
  const auto recipe = recipe_for(training, std::ssize(split.rest), false);
  if (recipe) settings.usual_momentum = recipe->bn_momentum;
  auto network = make_network(settings, labelled, prepared, trial.seed);
  if (recipe) complete(training, *recipe, learned_weights(network), fit);
  train::Training training_run(network, train::take_rows(prepared.training, split.rest), fit);
  const std::size_t watched = watched_layer(network);
  try {
    while (!training_run.done()) {
      training_run.run_epoch();
      const auto spread = network.spreads(fit.validation_data->features).at(watched);
      trial.shift.push_back(spread.mean);
      trial.width.push_back(spread.deviation);
    }
  } catch (const Error& error) {
    if (std::string(error.what()).find("diverged") == std::string::npos) throw;
    trial.diverged = true;
  }
  trial.history = training_run.history();
}

/// What the seeds of one cell have in common.
struct Cell {
  std::size_t variant = 0;
  double rate = 0.0;
  double scale = 1.0;
  std::vector<const Trial*> trials;
};

std::vector<Cell> cells_of(const std::vector<Trial>& trials) {
  std::vector<Cell> cells;
  for (const Trial& trial : trials) {
    if (cells.empty() || cells.back().variant != trial.variant || cells.back().rate != trial.rate ||
        cells.back().scale != trial.scale)
      cells.push_back({trial.variant, trial.rate, trial.scale, {}});
    cells.back().trials.push_back(&trial);
  }
  return cells;
}

/// The first epoch whose validation metric reaches the mark; infinite when none does.
double epochs_to(const Trial& trial, double mark, bool classification) {
  for (const auto& epoch : trial.history) {
    const double metric = *epoch.validation_metric;
    if (classification ? metric >= mark : metric <= mark) return epoch.epoch;
  }
  return std::numeric_limits<double>::infinity();
}

/// A hundredth below the best of all (of an error: five above), unless one was asked for.
double mark_of(const Options& options, const std::vector<Trial>& trials, bool classification) {
  if (options.reach > 0.0) return options.reach;
  double best = classification ? 0.0 : std::numeric_limits<double>::infinity();
  for (const Trial& trial : trials)
    best = classification ? std::max(best, trial.best(true)) : std::min(best, trial.best(false));
  return classification ? best - 0.01 : best * 1.05;
}

using Row = std::vector<std::string>;

Row head(double mark, bool classification) {
  const std::string metric(metric_name(classification));
  return {"hidden layers",
          "rate",
          "first weights",
          "best " + metric,
          "lowest",
          "highest",
          fmt::format("epochs to {:.4g}", mark),
          "gap",
          "diverged",
          "ms/epoch"};
}

Row row_of(const Cell& cell, double mark, bool classification) {
  std::vector<double> best;
  std::vector<double> epochs;
  std::vector<double> gaps;
  std::vector<double> seconds;
  std::size_t diverged = 0;
  for (const Trial* trial : cell.trials) {
    best.push_back(trial->best(classification));
    epochs.push_back(epochs_to(*trial, mark, classification));
    diverged += trial->diverged ? 1 : 0;
    if (trial->history.empty()) continue;
    const auto& last = trial->history.back();
    gaps.push_back(std::abs(last.metric - *last.validation_metric));
    for (const auto& epoch : trial->history) seconds.push_back(epoch.seconds);
  }
  const auto number = [](double value) {
    return std::isfinite(value) ? fmt::format("{:.4f}", value) : std::string("-");
  };
  const double reached = median(epochs);
  return {kVariants[cell.variant].name,
          fmt::format("{}", cell.rate),
          fmt::format("x {}", cell.scale),
          number(median(best)),
          number(*std::ranges::min_element(best)),
          number(*std::ranges::max_element(best)),
          std::isfinite(reached) ? fmt::format("{}", reached) : "never",
          number(median(gaps)),
          fmt::format("{} of {}", diverged, cell.trials.size()),
          fmt::format("{:.2f}", median(seconds) * 1e3)};
}

/// Which variant stands up best to the choice of rate and first weights: the medians of its cells.
std::string verdict(const std::vector<Cell>& cells, bool classification) {
  std::string text;
  for (std::size_t v = 0; v < std::size(kVariants); ++v) {
    std::vector<double> medians;
    for (const Cell& cell : cells) {
      if (cell.variant != v) continue;
      std::vector<double> best;
      for (const Trial* trial : cell.trials) best.push_back(trial->best(classification));
      medians.push_back(median(best));
    }
    const auto [low, high] = std::ranges::minmax_element(medians);
    text += fmt::format(
        "{:<20} best {} from {:.4f} to {:.4f} over learning rates and first weights, median {:.4f}\n",
        kVariants[v].name, metric_name(classification), *low, *high, median(medians));
  }
  return text;
}

/// One chart for each rate and scale, one curve for each training.
std::vector<Chart> charts_of(const std::vector<Trial>& trials, const std::vector<Cell>& cells,
                             bool classification) {
  std::vector<Chart> charts;
  for (const Cell& cell : cells) {
    if (cell.variant != 0) continue;
    const std::string where = fmt::format("learning rate {}, first weights x {}", cell.rate, cell.scale);
    Chart metric{.title = fmt::format("Validation {}: {}", metric_name(classification), where)};
    Chart width{.title = "Standard deviation of what the last hidden activation receives: " + where};
    for (const Trial& trial : trials) {
      if (trial.rate != cell.rate || trial.scale != cell.scale) continue;
      std::vector<double> values;
      for (const auto& epoch : trial.history) values.push_back(*epoch.validation_metric);
      metric.curves.push_back({kVariants[trial.variant].name, std::move(values), trial.variant});
      width.curves.push_back({kVariants[trial.variant].name, trial.width, trial.variant});
    }
    charts.push_back(std::move(metric));
    charts.push_back(std::move(width));
  }
  return charts;
}

/// What each kind reaches at each rate and scale.
SpanChart overview_of(const Options& options, const std::vector<Cell>& cells, bool classification) {
  SpanChart chart{.title =
                      fmt::format("Best validation {} in {} epochs: median, lowest and highest of {} seeds",
                                  metric_name(classification), options.training.fit.epochs, options.seeds)};
  for (const Variant& variant : kVariants) chart.names.emplace_back(variant.name);
  for (const Cell& cell : cells) {
    if (cell.variant == 0)
      chart.groups.push_back(
          {{fmt::format("rate {}", cell.rate), fmt::format("weights x {}", cell.scale)}, {}});
    std::vector<double> best;
    for (const Trial* trial : cell.trials) best.push_back(trial->best(classification));
    const std::size_t group = static_cast<std::size_t>(&cell - cells.data()) % chart.groups.size();
    chart.groups[group].spans.push_back(
        {*std::ranges::min_element(best), median(best), *std::ranges::max_element(best)});
  }
  return chart;
}

void write_csv(const std::string& path, const std::vector<Trial>& trials, bool classification) {
  if (path.empty()) return;
  io::write_file(path, [&](std::ostream& out) {
    const auto metric = metric_name(classification);
    out << fmt::format("hidden,rate,scale,seed,epoch,loss,{0},val_loss,val_{0},shift,width,seconds\n",
                       metric);
    for (const Trial& trial : trials) {
      for (std::size_t e = 0; e < trial.history.size(); ++e) {
        const auto& epoch = trial.history[e];
        out << fmt::format("{},{},{},{},{}", kVariants[trial.variant].name, trial.rate, trial.scale,
                           trial.seed, epoch.epoch);
        for (const double number : {epoch.loss, epoch.metric, *epoch.validation_loss,
                                    *epoch.validation_metric, trial.shift[e], trial.width[e]})
          out << "," << io::number_cell(number);
        out << fmt::format(",{:.6f}\n", epoch.seconds);
      }
    }
  });
}

int compare(const cli::Console& console, Options options) {
  cli::check_distinct({options.html, options.csv, options.svg}, {options.table.data});
  for (const auto& path : {options.html, options.csv, options.svg})
    if (!path.empty()) io::check_writable(path);
  if (options.network.layers || options.network.keras)
    throw cli::UsageError("compare makes its networks from --hidden and --activation");
  if (options.training.fit.validation == 0.0) throw cli::UsageError("compare needs --validation above 0");
  if (options.training.learning_rate || options.training.patience)
    throw cli::UsageError("compare takes --rates, and trains all epochs");
  check_effect(options.network, options.training);
  take_embedded_for_categories(options.table);
  options.table.table.expected = target_names(options.table.choice.targets);
  const auto table = io::read_csv(options.table.data, options.table.table);
  check_columns(options.table, table);
  const auto labelled = label_table(table, options.table.choice);
  const bool classification = labelled.counts_right();
  check_watched(table.source(), std::ssize(labelled.rows), options.training.fit.validation,
                "another --validation");
  describe(console, table, labelled);
  std::vector<std::size_t> rows(labelled.rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = i;
  const Prepared prepared = prepare(options.table, labelled, rows);

  auto trials = plan(options);
  console.note(fmt::format("{} trainings of {} epochs, as fit trains at that rate, {} at a time",
                           trials.size(), options.training.fit.epochs, options.threads));
  run_trials(trials.size(), options.threads,
             [&](std::size_t i) { run(options, labelled, prepared, trials[i]); });

  const auto cells = cells_of(trials);
  const double mark = mark_of(options, trials, classification);
  const std::string alignment = "lrrrrrrrrr";
  cli::TextTable text(alignment);
  cli::HtmlTable html(head(mark, classification), alignment);
  text.add(head(mark, classification));
  for (const Cell& cell : cells) {
    text.add(row_of(cell, mark, classification));
    html.add(row_of(cell, mark, classification));
  }
  fmt::print("{}\n{}", text.text(), verdict(cells, classification));
  write_csv(options.csv, trials, classification);
  if (!options.svg.empty()) {
    const auto svg = svg_of(overview_of(options, cells, classification));
    io::write_file(options.svg, [&](std::ostream& out) { out << svg << "\n"; });
    console.note(fmt::format("wrote {}", options.svg));
  }
  if (options.html.empty()) return cli::kDone;
  const std::string lead = fmt::format(
      "Median, lowest and highest over {} seeds of first weights and order of rows; the rows of validation "
      "are "
      "the same. Gap: between training and validation in the last epoch.",
      options.seeds);
  const auto page = page_of("Normalisation compared on " + table.source(), lead,
                            charts_of(trials, cells, classification), html.html());
  io::write_file(options.html, [&](std::ostream& out) { out << page; });
  console.note(fmt::format("wrote {}", options.html));
  return cli::kDone;
}

}  // namespace

void add_compare(cli::Program& program) {
  const auto options = std::make_shared<Options>();
  Options& o = *options;
  auto& command = program.add(
      "compare", "Train with and without normalisation, over first weights and learning rates",
      "  bntrain compare models/data/iris.csv --target species --epochs 10 --seeds 3 --html compare.html",
      [&program, options] { return compare(program.console(), *options); });
  add_table_settings(command, o.table);
  add_network_settings(command, o.network);
  add_training_settings(command, o.training);
  const auto add = [&](const std::string& name, auto& value, const std::string& description) {
    return command.add_option(name, value, description)->group("Comparison")->type_name("");
  };
  add("--seeds", o.seeds, "Trainings of each kind (5)")->check(cli::count());
  add("--rates", o.rates, "Learning rates (0.001,0.01,0.1)")->delimiter(',')->check(cli::positive_number());
  add("--initial-scales", o.scales, "Multiples of the first weights (0.1,1,10)")
      ->delimiter(',')
      ->check(cli::positive_number());
  add("--reach", o.reach, "Accuracy or error to count epochs to (close to the best)")
      ->check(cli::positive_number());
  add("-t,--threads", o.threads, "Trainings at a time; the results do not depend on it (1)")
      ->check(cli::count());
  add("--html", o.html, "Write table and curves to this page")->type_name("FILE")->check(cli::not_empty());
  add("--svg", o.svg, "Write what each reaches, at every rate and scale, as a picture")
      ->type_name("FILE")
      ->check(cli::not_empty());
  add("--csv", o.csv, "Write every epoch of every training to this table")
      ->type_name("FILE")
      ->check(cli::not_empty());
}

}  // namespace bnrun
