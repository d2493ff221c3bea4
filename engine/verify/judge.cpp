#include "verify/judge.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/elements.h"
#include "verify/draw.h"
#include "base/precision.h"

namespace bnrun {
namespace {

/// More channels than this, or channels of fewer elements, are judged together only.
constexpr std::int64_t kMostChannels = 256;
constexpr double kFewest = 64.0;

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

template <class Visit>
void Judge::for_each(int kind, const Shape& shape, const Visit& visit) {
  const std::int64_t elements = shape.elements();
  Tally& all = tallies_[{kind}];
  for (std::int64_t i = 0; i < elements; ++i) visit(all, static_cast<std::size_t>(i));
  if (kind != 0 || shape.rank() < 2 || shape[1] < 2 || shape[1] > kMostChannels) return;
  std::vector<Tally*> channels;
  for (int c = 0; c < shape[1]; ++c) channels.push_back(&tallies_[{kind, c}]);
  const std::int64_t inner = shape.elements(2, shape.rank());
  for (std::int64_t i = 0; i < elements; ++i)
    visit(*channels[static_cast<std::size_t>(i / inner % shape[1])], static_cast<std::size_t>(i));
}

void Judge::add_own(int kind, const Tensor& truth, const Tensor& a) {
  const auto exact = read_doubles(truth);
  const auto own = read_doubles(a);
  for_each(kind, truth.shape(), [&](Tally& tally, std::size_t i) {
    if (!std::isfinite(exact[i]) || !std::isfinite(own[i])) return;
    tally.own.add(error(exact[i], own[i]));
    tally.scale = std::max(tally.scale, std::abs(exact[i]));
  });
}

void Judge::add_moved(int kind, const Tensor& truth, const Tensor& moved) {
  if (!(moved.shape() == truth.shape())) return;  // the size depends on the elements
  const auto exact = read_doubles(truth);
  const auto other = read_doubles(moved);
  for_each(kind, truth.shape(), [&](Tally& tally, std::size_t i) {
    if (std::isfinite(exact[i]) && std::isfinite(other[i])) tally.moved.add(error(exact[i], other[i]));
  });
}

void Judge::add_other(int kind, const Tensor& truth, const Tensor& a, const Tensor& b) {
  const auto exact = read_doubles(truth);
  const auto own = read_doubles(a);
  const auto other = read_doubles(b);
  for_each(kind, truth.shape(), [&](Tally& tally, std::size_t i) {
    if (std::isfinite(exact[i]) && std::isfinite(other[i])) {
      tally.other.add(error(exact[i], other[i]));
      return;
    }
    // Ten times the data are beyond what many a network in float16 can hold, folded or not.
    if (dtype_ == DType::float16 && kind == static_cast<int>(InputKind::large)) return;
    // Where only double overflows, they tell nothing.
    if (!std::isfinite(exact[i]) && std::isfinite(own[i]) && std::isfinite(other[i])) return;
    const bool same = own[i] == other[i] || (std::isnan(own[i]) && std::isnan(other[i]));
    broken_ = broken_ || !same;
  });
}

void Judge::add_other_in_double(int kind, const Tensor& truth, const Tensor& truth_of_b) {
  const auto exact = read_doubles(truth);
  const auto other = read_doubles(truth_of_b);
  for_each(kind, truth.shape(), [&](Tally& tally, std::size_t i) {
    if (std::isfinite(exact[i]) && std::isfinite(other[i]))
      tally.other_in_double.add(error(exact[i], other[i]));
  });
}

double Judge::excess(const Group& group, const Tally& tally, double (*norm)(const Spread&)) const {
  const auto reference = tallies_.find({0, group.channel});
  const Tally& data = reference != tallies_.end() ? reference->second : tally;
  const double relative = data.scale > 0.0 ? tally.scale / data.scale : 0.0;
  const double own = std::max(norm(tally.own), norm(data.own) * relative);
  const double moved = std::max(norm(tally.moved), norm(data.moved) * relative);
  const double factor = dtype_ == DType::float64 ? kFactorInDouble : kFactor;
  const double places = dtype_ == DType::float64 ? kFactorInDouble : 1.0;
  const double last_place = is_floating(dtype_) ? places * ulp(tally.scale, dtype_) : 0.0;
  return std::max(multiple(norm(tally.other), factor * std::max(own, moved) + last_place),
                  multiple(norm(tally.other_in_double), std::max(factor * moved, 2.0 * own) + last_place));
}

double Judge::excess() const {
  if (broken_) return HUGE_VAL;
  double most = 0.0;
  for (const auto& [group, tally] : tallies_) {
    if (group.channel != Group::kAll && tally.own.count < kFewest) continue;
    most = std::max({most, excess(group, tally, rms_of), excess(group, tally, largest_of)});
  }
  return most;
}

}  // namespace bnrun
