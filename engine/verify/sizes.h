// Sizes that a model accepts where it leaves them open.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "bnrun/verify.h"
#include "graph/graph.h"

namespace bnrun {

/// The shapes of a graph's inputs as far as they are known: declared, or given by the user. Open first
/// dimensions are rows; equal symbols have equal extents.
class OpenSizes {
 public:
  /// Throws invalid_input for a given shape that names no input or contradicts the declared one.
  /// REQUIRES: the rank of every other input is known.
  OpenSizes(const Graph& graph, std::span<const InputShape> given);

  /// One shape for each input. REQUIRES: one extent for each open dimension that is not rows.
  std::vector<Shape> shapes(std::int64_t rows, std::span<const std::int64_t> extents) const;

  std::size_t open() const { return extents_; }  ///< how many open dimensions have different names
  bool rows_are_open() const { return rows_are_open_; }

  struct Found {
    std::vector<std::int64_t> extents;
    std::optional<std::int64_t> rows;  ///< the only number of rows that runs; nullopt: any
  };
  /// The first of these sizes that `runs` accepts: all open dimensions alike, 5, then 32, then what constants
  /// of the model suggest (Reshape targets, widths of matrices and their divisors), then powers of two and
  /// sizes that are common for images and sounds; then combinations, the smallest first. nullopt when none
  /// does within `seconds`.
  std::optional<Found> search(const std::function<bool(const std::vector<Shape>&)>& runs,
                              double seconds) const;

 private:
  struct Size {
    std::int64_t extent;  ///< -1: rows; -2 - k: open dimension k
  };
  std::vector<std::int64_t> candidates() const;

  const Graph& graph_;
  std::vector<std::vector<Size>> inputs_;
  std::size_t extents_ = 0;
  bool rows_are_open_ = false;
};

/// Whether the types of all values are consistent, and none is huge, when the inputs have these shapes. What depends on elements
/// is not looked at, so that only running tells for sure.
bool infers(const Graph& graph, std::span<const Shape> shapes);

}  // namespace bnrun
