#include "predictions.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "bnrun/error.h"
#include "common/program.h"

namespace bnrun::cli {
namespace {

/// [N] or [N,1].
bool is_column(const PortInfo& port) {
  if (!port.dims || port.dims->empty()) return false;
  return std::all_of(port.dims->begin() + 1, port.dims->end(),
                     [](const DimInfo& dim) { return dim.extent == 1; });
}

bool may_be_scores(const PortInfo& port, std::size_t classes) {
  if (!is_floating(port.dtype)) return false;
  if (port.labels.defined()) return true;
  if (!port.dims || (port.dims->size() == 2 && !port.dims->back().extent)) return true;
  const auto width = port.dims->size() == 2 ? port.dims->back().extent : std::optional<std::int64_t>(1);
  if (port.dims->empty() || port.dims->size() > 2) return false;
  return classes == 0 || *width == static_cast<std::int64_t>(classes) || (*width == 1 && classes == 2);
}

std::vector<std::string> text_of(const Tensor& labels) {
  if (labels.dtype() == DType::string)
    return {labels.span<std::string>().begin(), labels.span<std::string>().end()};
  const Tensor numbers = convert(labels, DType::int64);
  std::vector<std::string> text;
  for (const auto number : numbers.span<std::int64_t>()) text.push_back(std::to_string(number));
  return text;
}

/// Of the second of two classes, as scores of both.
Tensor of_both(const Tensor& second, const std::string& name) {
  Tensor both(second.dtype(), Shape{second.elements(), 2});
  const Tensor given = convert(second, DType::float64);
  Tensor scores(DType::float64, both.shape());
  const auto out = scores.mutable_span<double>();
  const auto in = given.span<double>();
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (in[i] < 0.0 || in[i] > 1.0)
      throw Error(
          ErrorCode::unsupported,
          fmt::format("output '{}': {} is no probability, and one score does not tell two classes apart; "
                      "`bnrun MODEL` prints the scores",
                      name, in[i]));
    out[2 * i] = 1.0 - in[i];
    out[2 * i + 1] = in[i];
  }
  return convert(scores, second.dtype());
}

}  // namespace

LabelReader::LabelReader(std::span<const PortInfo> outputs, std::vector<std::string> classes, bool given)
    : classes_(std::move(classes)), given_(given) {
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const PortInfo& port = outputs[i];
    if (!label_ && (port.dtype == DType::string || port.dtype == DType::int64) && is_column(port)) label_ = i;
    if (!score_ && may_be_scores(port, classes_.size())) score_ = i;
  }
  // A number of its own is a label only beside the scores of classes: it may be anything else.
  const bool number = label_ && outputs[*label_].dtype == DType::int64;
  if (given_ ? !(number && outputs.size() == 1) : number && !score_) label_.reset();
}

bool LabelReader::lacks_names(std::span<const NamedTensor> outputs) const {
  if (reads_labels() || !score_ || outputs[*score_].tensor.shape().rank() != 2) return false;
  const auto predictions = read(outputs);
  return predictions.scores.shape()[1] > 1 && are_probabilities(predictions);
}

Predictions LabelReader::read(std::span<const NamedTensor> outputs) const {
  Predictions predictions;
  if (score_) {
    const auto& [name, tensor] = outputs[*score_];
    const bool single =
        classes_.size() == 2 && tensor.elements() == (tensor.shape().rank() > 0 ? tensor.shape()[0] : 1);
    read_scores(single ? of_both(tensor, name) : tensor, predictions);
  }
  if (label_) predictions.labels = given_ ? named(outputs[*label_]) : text_of(outputs[*label_].tensor);
  return predictions;
}

std::vector<std::string> LabelReader::named(const NamedTensor& output) const {
  std::vector<std::string> names;
  for (const auto number : output.tensor.span<std::int64_t>()) {
    if (number < 0 || std::cmp_greater_equal(number, classes_.size()))
      throw UsageError(fmt::format("--labels: output '{}' is {}, and {} classes are named, the first being 0",
                                   output.name, number, classes_.size()));
    names.push_back(classes_[static_cast<std::size_t>(number)]);
  }
  return names;
}

void LabelReader::read_scores(const Tensor& output, Predictions& predictions) const {
  const Shape& shape = output.shape();
  const std::size_t columns = shape.rank() == 2 ? static_cast<std::size_t>(shape[1]) : 1;
  if (shape.rank() == 0 || shape.rank() > 2 || (!classes_.empty() && columns != classes_.size()))
    throw Error(ErrorCode::invalid_input, fmt::format("the scores are {}, which are not those of {} classes",
                                                      to_string(output.type()), classes_.size()));
  predictions.scores = output;
  const Tensor numbers = convert(output, DType::float64);
  const auto values = numbers.span<double>();
  for (std::size_t row = 0; row < static_cast<std::size_t>(shape[0]) && columns > 0; ++row) {
    const auto scores = values.subspan(row * columns, columns);
    const bool lost = std::any_of(scores.begin(), scores.end(), [](double x) { return std::isnan(x); });
    const auto best = std::max_element(scores.begin(), scores.end());
    predictions.best.push_back(lost ? std::nan("") : *best);
    const auto column = static_cast<std::size_t>(best - scores.begin());
    predictions.labels.push_back(lost || classes_.empty() ? "" : classes_[column]);
  }
}

bool are_probabilities(const Predictions& predictions) {
  if (!predictions.scores.defined() || predictions.best.empty()) return false;
  constexpr double kRounding = 1e-2;  // of half precision over many classes
  const Tensor numbers = convert(predictions.scores, DType::float64);
  const auto values = numbers.span<double>();
  const std::size_t columns = values.size() / predictions.best.size();
  for (std::size_t row = 0; row < predictions.best.size(); ++row) {
    double sum = 0.0;
    for (const double score : values.subspan(row * columns, columns)) {
      if (score < 0.0 || score > 1.0) return false;
      sum += score;
    }
    if (std::abs(sum - 1.0) > kRounding) return false;  // false for NaN
  }
  return true;
}

}  // namespace bnrun::cli
