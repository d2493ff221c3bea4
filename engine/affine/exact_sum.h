// Sums in double whose rounding errors do not add up.
#pragma once

#include <cmath>

namespace bnrun {

/// What is lost when a + b is rounded to double (Knuth, The Art of Computer Programming 2, 4.2.2, theorem B).
inline double lost_in_sum(double a, double b) {
  const double sum = a + b;
  const double b_kept = sum - a;
  return (a - (sum - b_kept)) + (b - b_kept);
}

/// a*b + c - result, for a result close to a*b + c, with a relative error of about 2^-53.
inline double lost_in_map(double a, double b, double c, double result) {
  const double product = a * b;
  const double sum = product + c;
  return (sum - result) + (lost_in_sum(product, c) + std::fma(a, b, -product));
}

/// Adds up with the errors of the additions carried along (Kahan and Babuska, as in Neumaier 1974).
class ExactSum {
 public:
  void add(double value) {
    lost_ += lost_in_sum(sum_, value);
    sum_ += value;
  }
  /// Adds a*b, unrounded.
  void add_product(double a, double b) {
    const double product = a * b;
    add(product);
    lost_ += std::fma(a, b, -product);
  }
  double value() const { return sum_ + lost_; }

 private:
  double sum_ = 0.0;
  double lost_ = 0.0;
};

}  // namespace bnrun
