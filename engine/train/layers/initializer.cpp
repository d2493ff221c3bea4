#include "train/layers/initializer.h"

#include <array>
#include <cmath>
#include <vector>

namespace bnrun::train {
namespace {

/// Standard deviation of a normal distribution that is cut off at two of its own.
constexpr double kCutOffDeviation = 0.87962566103423978;

double truncated_normal(Random& random) {
  double value = random.normal();
  while (std::abs(value) > 2.0) value = random.normal();
  return value;
}

double dot(const double* a, const double* b, std::size_t count, std::size_t stride) {
  double sum = 0.0;
  for (std::size_t i = 0; i < count; ++i) sum += a[i * stride] * b[i * stride];
  return sum;
}

/// Gram and Schmidt over the shorter side of a normal matrix, each vector twice for accuracy.
void draw_orthogonal(std::size_t rows, std::size_t columns, Random& random, std::span<double> W) {
  for (double& w : W) w = random.normal();
  const bool by_row = rows <= columns;
  const std::size_t vectors = by_row ? rows : columns;
  const std::size_t length = by_row ? columns : rows;
  const std::size_t next = by_row ? columns : 1;    // from vector to vector
  const std::size_t stride = by_row ? 1 : columns;  // within a vector
  for (std::size_t v = 0; v < vectors; ++v) {
    double* const a = W.data() + v * next;
    for (std::size_t u = 0; u < 2 * v; ++u) {
      const double* const b = W.data() + (u % v) * next;
      const double part = dot(a, b, length, stride);
      for (std::size_t i = 0; i < length; ++i) a[i * stride] -= part * b[i * stride];
    }
    const double norm = std::sqrt(dot(a, a, length, stride));
    for (std::size_t i = 0; i < length; ++i) a[i * stride] /= norm;
  }
}

}  // namespace

std::string_view name_of(Initializer initializer) {
  constexpr std::array<std::string_view, 12> kNames{
      "glorot_uniform", "he_uniform",     "glorot_normal",    "he_normal",  "lecun_uniform", "lecun_normal",
      "random_normal",  "random_uniform", "truncated_normal", "orthogonal", "zeros",         "ones"};
  return kNames[static_cast<std::size_t>(initializer)];
}

void draw_weights(Initializer initializer, std::int64_t inputs, std::int64_t units, Random& random,
                  std::span<double> W, std::int64_t window) {
  constexpr double kSmall = 0.05;  // Keras's for distributions that know no fan
  const auto fan_in = static_cast<double>(inputs);
  const auto fans = static_cast<double>(inputs + units * window);
  const auto uniform = [&](double limit) {
    for (double& w : W) w = random.uniform(-limit, limit);
  };
  const auto cut_off = [&](double deviation) {
    for (double& w : W) w = truncated_normal(random) * deviation;
  };
  const auto normal_of_variance = [&](double variance) { cut_off(std::sqrt(variance) / kCutOffDeviation); };
  switch (initializer) {
    case Initializer::glorot_uniform:
      return uniform(std::sqrt(6.0 / fans));
    case Initializer::he_uniform:
      return uniform(std::sqrt(6.0 / fan_in));
    case Initializer::lecun_uniform:
      return uniform(std::sqrt(3.0 / fan_in));
    case Initializer::random_uniform:
      return uniform(kSmall);
    case Initializer::glorot_normal:
      return normal_of_variance(2.0 / fans);
    case Initializer::he_normal:
      return normal_of_variance(2.0 / fan_in);
    case Initializer::lecun_normal:
      return normal_of_variance(1.0 / fan_in);
    case Initializer::truncated_normal:
      return cut_off(kSmall);
    case Initializer::random_normal:
      for (double& w : W) w = random.normal() * kSmall;
      return;
    case Initializer::orthogonal:
      return draw_orthogonal(static_cast<std::size_t>(inputs), static_cast<std::size_t>(units), random, W);
    case Initializer::zeros:
    case Initializer::ones:
      for (double& w : W) w = initializer == Initializer::ones ? 1.0 : 0.0;
  }
}

}  // namespace bnrun::train
