#include "verify/judge.h"

#include <algorithm>
#include <cmath>

#include "base/elements.h"
#include "verify/precision.h"

namespace bnrun {
namespace {

double rms_of(const Spread& spread) {
  return spread.rms();
}
double largest_of(const Spread& spread) {
  return spread.largest;
}

/// error / allowed, where no error is never too large.
double multiple(double error, double allowed) {
  if (error == 0.0) return 0.0;
  return allowed > 0.0 ? error / allowed : HUGE_VAL;
}

}  // namespace

void Spread::add(double error) {
  squares += error * error;
  largest = std::max(largest, error);
  ++count;
}

double Spread::rms() const {
  return count > 0.0 ? std::sqrt(squares / count) : 0.0;
}

/// Integers and truth values are right or wrong.
double Judge::error(double truth, double value) const {
  return is_floating(dtype_) ? std::abs(value - truth) : (value == truth ? 0.0 : 1.0);
}

void Judge::add_own(int kind, const Tensor& truth, const Tensor& a) {
  Tally& tally = tallies_[kind];
  const auto exact = read_doubles(truth);
  const auto own = read_doubles(a);
  for (std::size_t i = 0; i < exact.size(); ++i) {
    if (!std::isfinite(exact[i]) || !std::isfinite(own[i])) continue;
    tally.own.add(error(exact[i], own[i]));
    tally.scale = std::max(tally.scale, std::abs(exact[i]));
  }
}

void Judge::add_moved(int kind, const Tensor& truth, const Tensor& moved) {
  Tally& tally = tallies_[kind];
  const auto exact = read_doubles(truth);
  const auto other = read_doubles(moved);
  if (exact.size() != other.size()) return;  // the size depends on the elements
  for (std::size_t i = 0; i < exact.size(); ++i) {
    if (std::isfinite(exact[i]) && std::isfinite(other[i])) tally.moved.add(error(exact[i], other[i]));
  }
}

void Judge::add_other(int kind, const Tensor& truth, const Tensor& a, const Tensor& b) {
  Tally& tally = tallies_[kind];
  const auto exact = read_doubles(truth);
  const auto own = read_doubles(a);
  const auto other = read_doubles(b);
  for (std::size_t i = 0; i < exact.size(); ++i) {
    if (std::isfinite(exact[i]) && std::isfinite(other[i])) {
      tally.other.add(error(exact[i], other[i]));
      continue;
    }
    // What overflows in A's own precision may do so in B's; where only double overflows, they tell nothing.
    if (!std::isfinite(exact[i]) && std::isfinite(own[i]) && std::isfinite(other[i])) continue;
    const bool same = own[i] == other[i] || (std::isnan(own[i]) && std::isnan(other[i]));
    const bool overflows = std::isfinite(exact[i]) && !std::isfinite(own[i]);
    broken_ = broken_ || !(same || overflows);
  }
}

void Judge::add_other_in_double(int kind, const Tensor& truth, const Tensor& truth_of_b) {
  Tally& tally = tallies_[kind];
  const auto exact = read_doubles(truth);
  const auto other = read_doubles(truth_of_b);
  for (std::size_t i = 0; i < exact.size(); ++i) {
    if (std::isfinite(exact[i]) && std::isfinite(other[i]))
      tally.other_in_double.add(error(exact[i], other[i]));
  }
}

double Judge::excess(const Tally& tally, double (*norm)(const Spread&)) const {
  const Tally& data = tallies_.begin()->second;
  const double relative = data.scale > 0.0 ? tally.scale / data.scale : 0.0;
  const double own = std::max(norm(tally.own), norm(data.own) * relative);
  const double moved = std::max(norm(tally.moved), norm(data.moved) * relative);
  const double factor = dtype_ == DType::float64 ? kFactorInDouble : kFactor;
  const double last_place = is_floating(dtype_) ? ulp(tally.scale, dtype_) : 0.0;
  return std::max(multiple(norm(tally.other), factor * std::max(own, moved) + last_place),
                  multiple(norm(tally.other_in_double), std::max(factor * moved, own) + last_place));
}

double Judge::excess() const {
  if (broken_) return HUGE_VAL;
  double most = 0.0;
  for (const auto& [kind, tally] : tallies_)
    most = std::max({most, excess(tally, rms_of), excess(tally, largest_of)});
  return most;
}

}  // namespace bnrun
