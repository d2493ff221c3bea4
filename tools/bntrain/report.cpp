#include "report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "common/program.h"
#include "common/text_table.h"
#include "curves.h"
#include "io/csv.h"
#include "io/file.h"

namespace bnrun {
namespace {

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

std::vector<double> column(const std::vector<train::EpochReport>& history,
                           double train::EpochReport::*member) {
  std::vector<double> values;
  for (const auto& epoch : history) values.push_back(epoch.*member);
  return values;
}

std::vector<double> column(const std::vector<train::EpochReport>& history,
                           std::optional<double> train::EpochReport::*member) {
  std::vector<double> values;
  for (const auto& epoch : history) {
    if (epoch.*member) values.push_back(*(epoch.*member));
  }
  return values;
}

Chart chart_of(const std::string& title, std::vector<double> training, std::vector<double> validation) {
  Chart chart{.title = title, .curves = {{"training", std::move(training), 0}}};
  if (!validation.empty()) chart.curves.push_back({"validation", std::move(validation), 1});
  return chart;
}

std::string history_json(bool classification, const std::vector<train::EpochReport>& history) {
  const std::string metric(metric_name(classification));
  nlohmann::ordered_json epochs = nlohmann::ordered_json::array();
  for (const auto& e : history) {
    nlohmann::ordered_json one{{"epoch", e.epoch}, {"loss", e.loss}, {metric, e.metric}};
    if (e.validation_loss) {
      one["val_loss"] = *e.validation_loss;
      one["val_" + metric] = *e.validation_metric;
    }
    one["learning_rate"] = e.learning_rate;
    one["seconds"] = e.seconds;
    epochs.push_back(std::move(one));
  }
  return epochs.dump(2) + "\n";
}

}  // namespace

std::string_view metric_name(bool classification) {
  return classification ? "accuracy" : "mae";
}

void print_summary(const cli::Console& console, const train::Network& network) {
  const auto layers = network.layers();
  const auto text_of = [](const train::LayerSummary& layer) {
    return fmt::format("[N, {}]", fmt::join(layer.shape, ", "));
  };
  std::size_t width = 8;
  for (const auto& layer : layers) width = std::max(width, text_of(layer).size());
  console.note(fmt::format("{:<45} {:>{}} {:>9}", "layer", "output", width, "weights"));
  std::int64_t trainable = 0;
  std::int64_t fixed = 0;
  for (const auto& layer : layers) {
    trainable += layer.trainable;
    fixed += layer.fixed;
    console.note(fmt::format("{:<45} {:>{}} {:>9}", fmt::format("{} ({})", layer.name, layer.type),
                             text_of(layer), width, layer.trainable + layer.fixed));
  }
  console.note(fmt::format("{} weights, {} of them learned, {} running statistics; loss: {}\n",
                           trainable + fixed, trainable, fixed, name_of(network.loss())));
}

std::string epoch_line(const train::EpochReport& epoch, int epochs, bool classification) {
  const auto width = fmt::formatted_size("{}", epochs);
  const auto metric = metric_name(classification);
  std::string line = fmt::format("epoch {:>{}}/{}  loss {:.4f}  {} {:.4f}", epoch.epoch, width, epochs,
                                 epoch.loss, metric, epoch.metric);
  if (epoch.validation_loss) {
    line += fmt::format("  val_loss {:.4f}  val_{} {:.4f}", *epoch.validation_loss, metric,
                        *epoch.validation_metric);
  }
  return line + fmt::format("  {:.1f} ms", epoch.seconds * 1e3);
}

void print_result(std::FILE* out, std::string_view what, bool classification,
                  const train::Evaluation& result) {
  fmt::print(out, "{:<10} {} {:.4f}  loss {:.4f}\n", what,
             classification ? "accuracy" : "mean absolute error", result.metric, result.loss);
}

std::string text_of_measure(double measure) {
  return std::isnan(measure) ? "-" : fmt::format("{:.4f}", measure);
}

namespace {

/// A table of what is measured of each class or label, and of their mean.
std::string score_table(const char* what, const std::vector<train::ClassScore>& scores,
                        const train::ClassScore& mean, const std::vector<std::string>& names) {
  cli::TextTable table("lrrrrr");
  table.add({what, "precision", "recall", "F1", "AUC", "rows"});
  const auto add = [&](const std::string& name, const train::ClassScore& score) {
    table.add({name, fmt::format("{:.4f}", score.precision), fmt::format("{:.4f}", score.recall),
               fmt::format("{:.4f}", score.f1), text_of_measure(score.auc), fmt::format("{}", score.rows)});
  };
  for (std::size_t c = 0; c < names.size(); ++c) add(names[c], scores[c]);
  add("mean", mean);
  return table.text();
}

}  // namespace

std::string class_report(const train::ClassificationReport& report, const std::vector<std::string>& classes) {
  return score_table("class", report.classes, report.mean, classes) +
         fmt::format("log loss {:.4f}, calibration error {:.4f}{}\n", report.log_loss,
                     report.calibration_error,
                     classes.size() > 3 ? fmt::format(", among the first 3 {:.4f}", report.top_3) : "");
}

std::string label_report(const train::LabelReport& report, const std::vector<std::string>& labels) {
  return score_table("label", report.labels, report.mean, labels) +
         fmt::format("rows right in all labels {:.4f}, log loss {:.4f}\n", report.exact, report.log_loss);
}

double mean_r2(const std::vector<train::RegressionScore>& scores) {
  double sum = 0.0;
  double defined = 0.0;
  for (const auto& score : scores) {
    const bool undefined = std::isnan(score.r2) && !std::isnan(score.mean_squared_error);
    if (undefined) continue;
    sum += score.r2;
    ++defined;
  }
  return sum / defined;  // 0 / 0 is NaN
}

std::string target_report(const std::vector<train::RegressionScore>& scores,
                          const std::vector<std::string>& targets) {
  cli::TextTable table("lrrr");
  table.add({"target", "RMSE", "MAE", "R2"});
  for (std::size_t t = 0; t < targets.size(); ++t)
    table.add({targets[t], fmt::format("{:.6g}", scores[t].root_mean_squared_error),
               fmt::format("{:.6g}", scores[t].mean_absolute_error), text_of_measure(scores[t].r2)});
  return table.text() + fmt::format("mean R2 {}\n", text_of_measure(mean_r2(scores)));
}

void print_report(std::FILE* out, Task task, std::span<const float> y, const train::Dataset& rows,
                  const std::vector<std::string>& names) {
  const std::int64_t outputs = std::ssize(names);
  if (task == Task::classification) {
    fmt::print(out, "{}", class_report(train::report_classes(y, rows.labels, outputs), names));
  } else if (task == Task::multilabel) {
    fmt::print(out, "{}", label_report(train::report_labels(y, rows.targets, outputs), names));
  } else if (outputs > 1) {
    fmt::print(out, "{}", target_report(train::score_targets(y, rows.targets, outputs), names));
  } else {
    const auto score = train::score_predictions(y, rows.targets);
    fmt::print(out, "held-out   RMSE {:.4f}  R2 {}\n", score.root_mean_squared_error,
               text_of_measure(score.r2));
  }
}

void check_history(const std::string& path) {
  const auto ending = std::filesystem::path(path).extension();
  if (!ending.empty() && ending != ".csv" && ending != ".json")
    throw cli::UsageError(
        fmt::format("--history {}: it is written as .csv or .json, not as {}", path, ending.string()));
}

void write_history(const std::string& path, bool classification,
                   const std::vector<train::EpochReport>& history) {
  if (path.empty()) return;
  io::write_file(path, [&](std::ostream& out) {
    if (path.ends_with(".json")) {
      out << history_json(classification, history);
      return;
    }
    const auto metric = metric_name(classification);
    out << fmt::format("epoch,loss,{},val_loss,val_{},learning_rate,seconds\n", metric, metric);
    const auto cell = [](const std::optional<double>& value) { return value ? io::number_cell(*value) : ""; };
    for (const auto& e : history) {
      out << fmt::format("{},{},{},{},{},{},{:.6f}\n", e.epoch, cell(e.loss), cell(e.metric),
                         cell(e.validation_loss), cell(e.validation_metric), e.learning_rate, e.seconds);
    }
  });
}

void write_curves(const std::string& path, const std::string& title, bool classification,
                  const std::vector<train::EpochReport>& history) {
  if (path.empty()) return;
  using train::EpochReport;
  const std::vector<Chart> charts{
      chart_of("loss", column(history, &EpochReport::loss), column(history, &EpochReport::validation_loss)),
      chart_of(std::string(classification ? "accuracy" : "mean absolute error"),
               column(history, &EpochReport::metric), column(history, &EpochReport::validation_metric)),
      {.title = "learning rate",
       .curves = {{"of the last step", column(history, &EpochReport::learning_rate), 2}}}};
  const std::string lead =
      "Training: mean over the steps of an epoch, each before its update. Validation: after the epoch, with "
      "running statistics.";
  io::write_file(path, [&](std::ostream& out) { out << page_of(title, lead, charts, ""); });
}

std::string terminal_curves(const std::vector<train::EpochReport>& history) {
  using train::EpochReport;
  return terminal_chart(
      chart_of("loss", column(history, &EpochReport::loss), column(history, &EpochReport::validation_loss)));
}

namespace {

/// The task and the rows that are left out.
void describe_target(const cli::Console& console, const io::Table& table, const LabelledTable& labelled) {
  const std::size_t targets = labelled.targets.size();
  std::string task = targets > 1 ? fmt::format("regression of {} targets", targets) : "regression";
  if (labelled.classification())
    task = fmt::format("classification into {} classes", labelled.description.classes.size());
  if (labelled.task == Task::multilabel)
    task = fmt::format("multi-label classification of {} labels", targets);
  console.note(fmt::format("{}: {}", task, labelled.reason));
  if (labelled.rows.size() < table.rows())
    console.note(fmt::format("{}: left out {} of {} rows, which have no target", table.source(),
                             table.rows() - labelled.rows.size(), table.rows()));
}

}  // namespace

void describe_array(const cli::Console& console, const std::string& source, const io::Table& table,
                    const LabelledTable& labelled) {
  describe_target(console, table, labelled);
  console.note(fmt::format("{}: {} rows of {}, labels of {}", source, labelled.rows.size(),
                           fmt::join(labelled.row, "x"), table.source()));
}

void describe(const cli::Console& console, const io::Table& table, const LabelledTable& labelled) {
  describe_target(console, table, labelled);
  const auto& columns = labelled.columns;
  console.note(fmt::format(
      "{}: {} rows, {} features{}, target{} '{}'", table.source(), labelled.rows.size(), columns.count(),
      columns.texts.empty() ? "" : fmt::format(" ({} of them text)", columns.texts.size()),
      labelled.targets.size() > 1 ? "s" : "", fmt::join(labelled.targets, "', '")));
  warn_of_row_numbers(console, table, labelled);
  console.detail(table.source() + ": " + table.reading());
}

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

}  // namespace bnrun
