// What a person wants from the outputs of a classifier: the label of each row, and how sure the model is.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bnrun/model.h"
#include "bnrun/tensor.h"

namespace bnrun::cli {

struct Predictions {
  std::vector<std::string> labels;  ///< one for each row; empty where a score of the row is NaN
  Tensor scores;                    ///< [rows, classes] in the type of the output; or undefined
  std::vector<double> best;         ///< the score of each label; empty without scores
};

/// Reads labels from a model's outputs: the scores of its classes [N, classes], or of the second of two [N] or [N,1],
/// and the labels it puts out itself, strings or integers [N], where it does.
class LabelReader {
 public:
  /// `classes`: what the columns of the scores are called; empty: the model does not say. `given`: the user says so, who
  /// then names the rows, whatever the model calls them itself: by their scores, or by the numbers that are its only output.
  LabelReader(std::span<const PortInfo> outputs, std::vector<std::string> classes, bool given);

  /// Whether there are labels to be had: names of classes with scores, or labels that the model puts out.
  bool reads_labels() const { return label_.has_value() || (score_.has_value() && !classes_.empty()); }
  bool reads_scores() const { return reads_labels() && score_.has_value(); }
  const std::vector<std::string>& classes() const { return classes_; }
  /// Whether these outputs are probabilities of classes that nobody has named.
  bool lacks_names(std::span<const NamedTensor> outputs) const;

  /// `outputs` in the model's order. Throws invalid_input when they have not the number of scores that there are classes,
  /// unsupported for a single score outside 0..1, which is no probability, and UsageError for a number that is none of the
  /// given classes.
  Predictions read(std::span<const NamedTensor> outputs) const;

 private:
  void read_scores(const Tensor& output, Predictions& predictions) const;

  std::vector<std::string> named(const NamedTensor& output) const;

  std::vector<std::string> classes_;
  bool given_;
  std::optional<std::size_t> score_;  ///< positions among the outputs
  std::optional<std::size_t> label_;
};

/// Whether each row is of numbers from 0 to 1 that sum to 1.
bool are_probabilities(const Predictions& predictions);

}  // namespace bnrun::cli
