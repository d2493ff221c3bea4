// What is known of a value before anything runs: element type, dimensions (numbers, symbols or unknown) and,
// for small integer tensors that describe shapes, their elements.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bnrun/tensor.h"

namespace bnrun {

/// One dimension: a number, a named symbol such as "N" or "2*N", or unknown.
class Dim {
 public:
  Dim() = default;  ///< unknown
  Dim(std::int64_t extent) : extent_(extent) {}
  static Dim symbol(std::string name);

  bool known() const { return extent_ >= 0 && symbol_.empty(); }
  bool symbolic() const { return !symbol_.empty(); }
  /// The number; throws `internal` unless known().
  std::int64_t extent() const;
  const std::string& name() const { return symbol_; }

  /// Provably the same extent: both known and equal, or the same symbol.
  friend bool operator==(const Dim& a, const Dim& b);

 private:
  std::int64_t extent_ = -1;
  std::string symbol_;
};

/// The dimensions of a tensor, outermost first.
using Dims = std::vector<Dim>;

/// An element of a small integer tensor: a number (any sign) or a symbolic extent.
struct Content {
  std::optional<std::int64_t> number;
  std::string symbol;  ///< when number is absent; empty = unknown

  static Content of(std::int64_t value) { return {value, {}}; }
  static Content of(const Dim& dim);
  /// The dimension this element stands for; a negative number gives an unknown dimension.
  Dim as_dim() const;
};

struct ValueType {
  DType dtype = DType::undefined;  ///< undefined: not known (or, for an operator's input, absent)
  std::optional<Dims> dims;        ///< absent: unknown rank
  /// The elements of an integer tensor of rank 0 or 1, where they are known before the model runs.
  std::optional<std::vector<Content>> content{};

  bool ranked() const { return dims.has_value(); }
  std::size_t rank() const { return dims->size(); }
  bool static_shape() const;  ///< every dimension is a number
  Shape shape() const;        ///< REQUIRES: static_shape()
  static ValueType of(DType dtype, const Shape& shape);
  static ValueType of(const TensorView& tensor);  ///< with content where the tensor is a small integer one
};

/// "float32[N,64]"; unknown dimensions print as '?'.
std::string to_string(const ValueType& type);
std::string to_string(const Dims& dims);

/// Combines two descriptions of one value and keeps what is more
/// precise. Returns nullopt when they contradict each other.
std::optional<ValueType> merge(const ValueType& a, const ValueType& b);

}  // namespace bnrun
