// Products of dimensions, some of them symbols: what Reshape and Flatten compute before anything runs.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "op/value_type.h"

namespace bnrun {

/// A number times symbols, such as 64*N, or unknown. A symbol that
/// is a product itself ("2*N") is split into its factors.
class DimProduct {
 public:
  DimProduct() = default;  ///< 1
  explicit DimProduct(std::span<const Dim> dims);

  /// Of the dimensions from axis `first` on; unknown where the rank is.
  static DimProduct of(const ValueType& type, std::size_t first = 0);
  static DimProduct zero();
  static DimProduct unknown();

  DimProduct& operator*=(const Dim& dim);
  DimProduct& operator*=(const DimProduct& other);
  /// The exact quotient, or nullopt where none can be proven.
  std::optional<DimProduct> divided_by(const DimProduct& divisor) const;

  bool known() const { return known_; }
  /// The value, where it is a number.
  std::optional<std::int64_t> number() const;
  /// A number, a symbol such as "N" or "2*N", or unknown.
  Dim as_dim() const;

 private:
  bool known_ = true;
  std::int64_t factor_ = 1;
  std::vector<std::string> symbols_;  // sorted; a square is listed twice
};

}  // namespace bnrun
