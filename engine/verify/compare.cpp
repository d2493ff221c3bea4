#include "verify/compare.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/fail.h"
#include "op/shape_rules.h"

namespace bnrun {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double distance(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0.0;
  const double d = std::abs(a - b);
  return std::isnan(d) ? kInfinity : d;
}

/// Significant bits, the leading one included, and the exponent of the smallest normal number.
std::pair<int, int> format_of(DType dtype) {
  switch (dtype) {
    case DType::float16:
      return {11, -14};
    case DType::bfloat16:
      return {8, -126};
    case DType::float64:
      return {53, -1022};
    default:
      return {24, -126};
  }
}

/// Distance between neighbouring numbers of the type around `value`.
double ulp(double value, DType dtype) {
  const auto [bits, least_exponent] = format_of(dtype);
  const int exponent =
      value == 0.0 || !std::isfinite(value) ? least_exponent : std::max(std::ilogb(value), least_exponent);
  return std::ldexp(1.0, exponent - bits + 1);
}

bool is_numeric(DType dtype) {
  return is_floating(dtype) || is_integer(dtype);
}

}  // namespace

Comparison::Comparison(std::string name, Tolerance tolerance) : tolerance_(tolerance) {
  total_.name = std::move(name);
}

void Comparison::add(const Tensor& a, const Tensor& b, const Tensor& truth, double magnitude) {
  if (!(a.shape() == b.shape()) || a.dtype() != b.dtype()) {
    fail(ErrorCode::invalid_input, "output '{}' is {}{} in one model and {}{} in the other", total_.name,
         name_of(a.dtype()), to_string(a.shape()), name_of(b.dtype()), to_string(b.shape()));
  }
  total_.elements += a.elements();
  if (!is_numeric(a.dtype())) {
    const bool same = identical(a, b);
    total_.within = total_.within && same;
    if (!same) total_.max_absolute = total_.needed_atol = kInfinity;
    return;
  }
  const auto x = read_doubles(a);
  const auto y = read_doubles(b);
  const auto exact = read_doubles(truth);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double d = distance(x[i], y[i]);
    absolute_.push_back(d);
    total_.max_absolute = std::max(total_.max_absolute, d);
    total_.error_of_a = std::max(total_.error_of_a, distance(x[i], exact[i]));
    total_.error_of_b = std::max(total_.error_of_b, distance(y[i], exact[i]));
    if (std::isfinite(x[i]) && std::isfinite(y[i])) {
      dot_ += x[i] * y[i];
      norm_a_ += x[i] * x[i];
      norm_b_ += y[i] * y[i];
    }
    if (d == 0.0) continue;
    const double reference = std::isfinite(y[i]) ? std::abs(y[i]) : 0.0;
    total_.max_relative =
        std::max(total_.max_relative, d / std::max(reference, std::numeric_limits<double>::min()));
    total_.max_ulp =
        std::max(total_.max_ulp, d / ulp(y[i], is_floating(b.dtype()) ? b.dtype() : DType::float64));
    total_.needed_atol = std::max(total_.needed_atol, (d - tolerance_.rtol * reference) / magnitude);
    total_.within = total_.within && d <= tolerance_.atol * magnitude + tolerance_.rtol * reference;
  }
  if (is_floating(a.dtype()) && a.shape().rank() == 2 && a.shape()[1] > 1) add_classes(x, y, a.shape()[1]);
}

void Comparison::add_classes(const std::vector<double>& a, const std::vector<double>& b,
                             std::int64_t classes) {
  const auto n = static_cast<std::ptrdiff_t>(classes);
  for (auto row_a = a.begin(), row_b = b.begin(); row_a != a.end(); row_a += n, row_b += n) {
    ++total_.class_rows;
    const auto best_a = std::max_element(row_a, row_a + n) - row_a;
    const auto best_b = std::max_element(row_b, row_b + n) - row_b;
    if (best_a == best_b) continue;
    ++total_.class_flips;
    total_.flip_margin = std::max(total_.flip_margin, distance(row_a[best_a], row_a[best_b]));
  }
}

OutputComparison Comparison::result() const {
  OutputComparison result = total_;
  if (!absolute_.empty()) {
    auto sorted = absolute_;
    std::ranges::sort(sorted);
    for (std::size_t i = 0; i < kErrorQuantiles.size(); ++i) {
      const auto last = static_cast<double>(sorted.size() - 1);
      result.quantiles_absolute[i] = sorted[static_cast<std::size_t>(last * kErrorQuantiles[i])];
    }
    double sum = 0.0;
    for (const double d : absolute_) sum += d;
    result.mean_absolute = sum / static_cast<double>(absolute_.size());
  }
  if (norm_a_ > 0.0 && norm_b_ > 0.0) result.cosine = dot_ / std::sqrt(norm_a_ * norm_b_);
  return result;
}

double tolerance_scale(const Tensor& truth, Tolerance tolerance, double least) {
  if (!tolerance.scaled || !is_numeric(truth.dtype())) return least;
  double scale = least;
  for (const double x : read_doubles(truth)) {
    if (std::isfinite(x)) scale = std::max(scale, std::abs(x));
  }
  return scale;
}

Excess largest_excess(const Tensor& a, const Tensor& b, Tolerance tolerance, double magnitude) {
  Excess excess;
  if (!is_numeric(a.dtype())) {
    if (!identical(a, b)) excess = {kInfinity, kInfinity, 0};
    return excess;
  }
  const auto x = read_doubles(a);
  const auto y = read_doubles(b);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double d = distance(x[i], y[i]);
    if (d == 0.0) continue;
    const double allowed =
        tolerance.atol * magnitude + tolerance.rtol * (std::isfinite(y[i]) ? std::abs(y[i]) : 0.0);
    const double ratio = allowed > 0.0 ? d / allowed : kInfinity;
    if (ratio > excess.ratio) excess = {ratio, d, static_cast<std::int64_t>(i)};
  }
  return excess;
}

}  // namespace bnrun
