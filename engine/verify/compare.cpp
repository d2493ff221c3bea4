#include "verify/compare.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/elements.h"
#include "base/precision.h"

namespace bnrun {
namespace {

/// Of one batch, for the quantiles.
constexpr std::size_t kSamples = 1 << 16;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

double distance(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0.0;
  const double d = std::abs(a - b);
  return std::isnan(d) ? kInfinity : d;
}

}  // namespace

bool is_numeric(DType dtype) {
  return is_floating(dtype) || is_integer(dtype);
}

Comparison::Comparison(std::string name, double rtol) : rtol_(rtol) {
  total_.name = std::move(name);
}

void Comparison::add(const Tensor& a, const Tensor& b, const Tensor& truth) {
  total_.elements += a.elements();
  if (!is_numeric(a.dtype())) {
    total_.finite += a.elements();
    if (!identical(a, b)) total_.max_absolute = total_.needed_atol = kInfinity;
    return;
  }
  const auto x = read_doubles(a);
  const auto y = read_doubles(b);
  const auto exact = read_doubles(truth);
  const double least_normal = std::ldexp(1.0, precision_of(a.dtype()).least_exponent);
  const std::size_t stride = std::max<std::size_t>(1, x.size() / kSamples);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double d = distance(x[i], y[i]);
    sum_ += d;
    if (i % stride == 0) absolute_.push_back(d);
    total_.max_absolute = std::max(total_.max_absolute, d);
    total_.error_of_a = std::max(total_.error_of_a, distance(x[i], exact[i]));
    total_.error_of_b = std::max(total_.error_of_b, distance(y[i], exact[i]));
    if (std::isfinite(x[i]) && std::isfinite(y[i])) {
      dot_ += x[i] * y[i];
      norm_a_ += x[i] * x[i];
      norm_b_ += y[i] * y[i];
    }
    if (std::isfinite(x[i])) ++total_.finite;
    if (d == 0.0) continue;
    const double reference = std::isfinite(y[i]) ? std::abs(y[i]) : 0.0;
    if (reference >= least_normal) total_.max_relative = std::max(total_.max_relative, d / reference);
    total_.max_ulp =
        std::max(total_.max_ulp, d / ulp(y[i], is_floating(b.dtype()) ? b.dtype() : DType::float64));
    total_.needed_atol = std::max(total_.needed_atol, d - rtol_ * reference);
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
    result.mean_absolute = sum_ / static_cast<double>(total_.elements);
  }
  if (norm_a_ > 0.0 && norm_b_ > 0.0) result.cosine = dot_ / std::sqrt(norm_a_ * norm_b_);
  return result;
}

Excess largest_excess(const Tensor& a, const Tensor& b, Tolerance tolerance) {
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
    const double allowed = tolerance.atol + tolerance.rtol * (std::isfinite(y[i]) ? std::abs(y[i]) : 0.0);
    const double ratio = allowed > 0.0 ? d / allowed : kInfinity;
    if (ratio > excess.ratio) excess = {ratio, d, static_cast<std::int64_t>(i)};
  }
  return excess;
}

}  // namespace bnrun
