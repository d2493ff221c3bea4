// Distances between two tensors that should be equal, gathered over many batches.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bnrun/verify.h"

namespace bnrun {

/// Gathers what OutputComparison reports.
class Comparison {
 public:
  Comparison(std::string name, Tolerance tolerance);

  /// Adds one batch: the two results and the original evaluated in double. `magnitude` scales the absolute
  /// tolerance. Throws invalid_input when the shapes differ.
  void add(const Tensor& a, const Tensor& b, const Tensor& truth, double magnitude);
  OutputComparison result() const;

 private:
  void add_classes(const std::vector<double>& a, const std::vector<double>& b, std::int64_t classes);

  OutputComparison total_;
  Tolerance tolerance_;
  std::vector<double> absolute_;
  double dot_ = 0.0, norm_a_ = 0.0, norm_b_ = 0.0;
};

/// What absolute tolerances are multiplied by for a value whose exact elements are `truth`: its largest
/// finite magnitude, at least `least`; just `least` when the tolerance is not scaled.
double tolerance_scale(const Tensor& truth, Tolerance tolerance, double least);

/// Largest |a - b| / (atol + rtol * |b|) over all elements and where it is; above 1 means out of tolerance.
/// NaN against NaN agrees; NaN against a number is infinitely far.
struct Excess {
  double ratio = 0.0;
  double absolute = 0.0;
  std::int64_t element = -1;
};
Excess largest_excess(const Tensor& a, const Tensor& b, Tolerance tolerance, double magnitude);

}  // namespace bnrun
