// Tables to learn from: rows, scaling, columns as tables have them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bnrun/export.h"

namespace bnrun::train {

/// A table to learn from: either `labels` or `targets` is filled. Rows are counted from 1 in messages.
struct Dataset {
  std::int64_t columns = 0;
  std::vector<float> features;       ///< [rows, columns]
  std::vector<std::int64_t> labels;  ///< [rows], from 0: classification
  std::vector<float> targets;        ///< [rows, outputs]: regression

  std::int64_t rows() const {
    return columns == 0 ? 0 : static_cast<std::int64_t>(features.size()) / columns;
  }
};

/// The named rows (from 0), in that order.
BNRUN_API Dataset take_rows(const Dataset& data, std::span<const std::size_t> rows);
/// The numbers 0..rows-1 in an order that depends on the seed alone.
BNRUN_API std::vector<std::size_t> shuffled_rows(std::size_t rows, std::uint64_t seed);

/// Rows drawn by seed, and those that are left, both in an order that depends on seed and data alone.
struct RowSplit {
  std::vector<std::size_t> drawn;
  std::vector<std::size_t> rest;
};
/// Draws `count` rows: of labelled data from each class its share, leaving at least one row of each class
/// where the numbers allow it. Throws invalid_input when there are fewer rows.
BNRUN_API RowSplit split_rows(const Dataset& data, std::size_t count, std::uint64_t seed);

/// `folds` splits, each of which draws other rows; together they draw every row once, of labelled data each
/// class spread evenly over them. Throws invalid_input unless 2 <= folds <= rows.
BNRUN_API std::vector<RowSplit> fold_rows(const Dataset& data, std::size_t folds, std::uint64_t seed);

/// (x - offset) * factor per column. Empty vectors: every x as it is.
struct Scaling {
  std::vector<float> offset;
  std::vector<float> factor;

  bool identity() const { return factor.empty(); }
  BNRUN_API void apply(std::span<float> rows) const;
  BNRUN_API Scaling inverted() const;

  /// Mean 0 and population variance 1, or the range 0..1, of the given rows [rows, columns]; a column that is
  /// constant in them becomes 0.
  BNRUN_API static Scaling standardize(std::span<const float> rows, std::int64_t columns);
  BNRUN_API static Scaling min_max(std::span<const float> rows, std::int64_t columns);
  BNRUN_API static Scaling by(double factor, std::int64_t columns);
};

// -------- columns as tables have them

/// What becomes of a missing value. Of text all but `indicator` make a value that is none of those known.
enum class MissingRule {
  error,      ///< there is none
  mean,       ///< the mean of the column in the rows learnt from
  median,     ///< its median
  zero,       ///< 0
  indicator,  ///< the mean, and a column of its own that says 1; in text, a value like the others
};
BNRUN_API std::string_view name_of(MissingRule rule);

/// The columns of a Dataset before it is prepared: first numbers, NaN where one is missing, then text, of
/// which the Dataset holds positions in `values`, NaN where it is missing.
struct TableColumns {
  struct Text {
    std::string name;
    std::vector<std::string> values;
  };
  std::vector<std::string> numbers;  ///< names
  std::vector<Text> texts;

  std::int64_t count() const { return static_cast<std::int64_t>(numbers.size() + texts.size()); }
};

/// The way from such columns to the inputs of a network: missing numbers filled, then one column for each
/// indicator, then for each column of text as many as it has values, 1 where it holds that value; or, for an
/// Embedding, one that says where in the vocabulary its value stands. The exported model goes the same way in
/// standard operators.
struct Preparation {
  TableColumns columns;
  MissingRule missing = MissingRule::error;
  std::vector<float> fill;               ///< one for each number; empty with MissingRule::error
  std::vector<std::int64_t> indicators;  ///< the numbers that have one: those missing in a row learnt from
  std::vector<std::vector<std::string>> vocabularies;  ///< of each text: what the rows learnt from hold
  bool refuse_unknown = false;  ///< a value in no vocabulary is an error, not all zeros
  /// Of each text: one column, the place in the vocabulary, or its size for a value that is not in it. Empty:
  /// of none.
  std::vector<bool> placed;

  bool is_placed(std::size_t text) const { return text < placed.size() && placed[text]; }

  BNRUN_API std::int64_t outputs() const;
  /// Throws invalid_input naming a column in which every number is missing.
  BNRUN_API static Preparation learn(const Dataset& rows, TableColumns columns, MissingRule missing,
                                     bool refuse_unknown = false, std::vector<bool> placed = {});
  /// Throws invalid_input naming row and column of a value that is refused.
  BNRUN_API Dataset apply(const Dataset& rows) const;
};

}  // namespace bnrun::train
