// What a training tells its user, and the files about it.
#pragma once

#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "bnrun/train.h"
#include "common/console.h"
#include "data.h"

namespace bnrun {

// `classification`: the metric is an accuracy, of classes or labels.

std::string_view metric_name(bool classification);

void print_summary(const cli::Console& console, const train::Network& network);
/// "epoch  3/20  loss 0.1234  accuracy 0.9876 ...".
std::string epoch_line(const train::EpochReport& epoch, int epochs, bool classification);
void print_result(std::FILE* out, std::string_view what, bool classification,
                  const train::Evaluation& result);

/// Precision, recall, F1 and area under the curve of each class and their means, then top 3, log loss and
/// calibration.
std::string class_report(const train::ClassificationReport& report, const std::vector<std::string>& classes);

/// Precision, recall, F1 and area under the curve of each label and their means, then how many rows are right in
/// all, and the log loss.
std::string label_report(const train::LabelReport& report, const std::vector<std::string>& labels);
/// RMSE, mean absolute error and R2 of each target, then the mean R2.
std::string target_report(const std::vector<train::RegressionScore>& scores,
                          const std::vector<std::string>& targets);
/// What is measured of rows held out besides loss and metric, as text; `names` are those of classes or of targets.
void print_report(std::FILE* out, Task task, std::span<const float> y, const train::Dataset& rows,
                  const std::vector<std::string>& names);
/// Of the targets that have one, as those with equal numbers alone have not: NaN where none has.
double mean_r2(const std::vector<train::RegressionScore>& scores);
/// "0.1234", or "-" for NaN.
std::string text_of_measure(double measure);

/// Throws cli::UsageError where the path of --history ends in anything but .csv or .json.
void check_history(const std::string& path);
/// Every epoch as .csv, or as .json when the path ends so; "" writes nothing.
void write_history(const std::string& path, bool classification,
                   const std::vector<train::EpochReport>& history);
/// Loss, metric and learning rate as a page; "" writes nothing.
void write_curves(const std::string& path, const std::string& title, bool classification,
                  const std::vector<train::EpochReport>& history);
/// Loss over the epochs, as text.
std::string terminal_curves(const std::vector<train::EpochReport>& history);

/// Task, rows and columns, and what is odd about them.
void describe(const cli::Console& console, const io::Table& table, const LabelledTable& labelled);
/// The same of an array from `source` whose labels `table` holds.
void describe_array(const cli::Console& console, const std::string& source, const io::Table& table,
                    const LabelledTable& labelled);

/// These rows of the table, as CSV with decimal points.
void write_rows(const std::string& path, const io::Table& table, const std::vector<std::size_t>& rows);

}  // namespace bnrun
