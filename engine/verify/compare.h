// Distances between two tensors that should be equal, gathered over many batches.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bnrun/verify.h"

namespace bnrun {

/// Gathers what OutputComparison reports of numbers; the verdict comes from elsewhere.
class Comparison {
 public:
  /// `rtol`: for needed_atol.
  Comparison(std::string name, double rtol);

  /// Adds one batch: the two results and the original evaluated in double. REQUIRES: a and b have one type
  /// and shape.
  void add(const Tensor& a, const Tensor& b, const Tensor& truth);
  OutputComparison result() const;

 private:
  void add_classes(const std::vector<double>& a, const std::vector<double>& b, std::int64_t classes);

  OutputComparison total_;
  double rtol_;
  std::vector<double> absolute_;  ///< of a sample of the elements
  double sum_ = 0.0;
  double dot_ = 0.0, norm_a_ = 0.0, norm_b_ = 0.0;
};

/// How far B lies from A at most.
struct Excess {
  double ratio = 0.0;  ///< |a - b| / (atol + rtol * |b|); above 1 means out of tolerance
  double absolute = 0.0;
  std::int64_t element = -1;  ///< where the ratio is largest
};
/// NaN against NaN agrees; NaN against a number is infinitely far.
Excess largest_excess(const Tensor& a, const Tensor& b, Tolerance tolerance);

/// Integers, floating-point numbers and truth values have a distance.
bool is_numeric(DType dtype);

}  // namespace bnrun
