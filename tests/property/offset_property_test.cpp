// Folding of data with an offset: however far the mean of a column lies above its deviation, the folded
// network, measured against double on data that its statistics describe, errs at most twice as much as the
// unfolded one, plus one unit in the last place of the output's scale. BNRUN_OFFSET_NETWORKS is the number
// of networks for each case.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <functional>

#include "api/model_access.h"
#include "base/elements.h"
#include "bnrun/fold.h"
#include "support/graph_building.h"
#include "support/random_numbers.h"
#include "verify/interpret.h"
#include "base/precision.h"

namespace bnrun::testing {
namespace {

enum class Front { sub_mul, sub_div, normalisation, mul_add, scaler };
constexpr Front kFronts[] = {Front::sub_mul, Front::sub_div, Front::normalisation, Front::mul_add,
                             Front::scaler};
constexpr const char* kFrontNames[] = {"Sub+Mul", "Sub+Div", "BatchNormalization", "Mul+Add", "Scaler"};

using Real = long double;

/// What a network computes, in long double and without the engine.
struct Reference {
  static constexpr std::size_t kColumns = 5;
  static constexpr std::size_t kSide = 4;  ///< of an image
  static constexpr std::size_t kTaps = 2;  ///< of a convolution, along each side

  bool images = false;
  bool relu = false;
  std::function<Real(Real, std::size_t)> front;  ///< of one column
  std::vector<double> W, b;                      ///< [kColumns, hidden], for images [hidden, kColumns, taps]
  std::vector<double> scale, B, mean, var;       ///< empty: no BatchNormalization
  std::vector<double> W2, b2;                    ///< [hidden, outputs]

  std::size_t hidden() const { return b.size(); }
  Real activation(Real x) const { return relu ? std::max<Real>(x, 0) : std::tanh(x); }
  Real normalised(Real x, std::size_t n) const {
    if (scale.empty()) return x;
    return (x - mean[n]) / std::sqrt(static_cast<Real>(var[n]) + static_cast<double>(1e-5F)) * scale[n] +
           B[n];
  }

  /// Of one row.
  std::vector<Real> operator()(const double* x) const {
    std::vector<Real> h(hidden());
    for (std::size_t n = 0; n < hidden(); ++n)
      h[n] = images ? pooled(x, n) : activation(normalised(dense(x, n), n));
    std::vector<Real> y(b2.begin(), b2.end());
    for (std::size_t n = 0; n < hidden(); ++n) {
      for (std::size_t m = 0; m < y.size(); ++m) y[m] += h[n] * W2[n * y.size() + m];
    }
    return y;
  }

 private:
  Real dense(const double* x, std::size_t n) const {
    Real sum = b[n];
    for (std::size_t k = 0; k < kColumns; ++k) sum += front(x[k], k) * W[k * hidden() + n];
    return sum;
  }
  Real pooled(const double* x, std::size_t n) const {
    constexpr std::size_t kOut = kSide - kTaps + 1;
    Real total = 0;
    for (std::size_t at = 0; at < kOut * kOut; ++at) {
      Real sum = b[n];
      for (std::size_t k = 0; k < kColumns; ++k) {
        for (std::size_t tap = 0; tap < kTaps * kTaps; ++tap) {
          const std::size_t pixel = (at / kOut + tap / kTaps) * kSide + at % kOut + tap % kTaps;
          sum += front(x[k * kSide * kSide + pixel], k) * W[(n * kColumns + k) * kTaps * kTaps + tap];
        }
      }
      total += activation(normalised(sum, n));
    }
    return total / (kOut * kOut);
  }
};

/// Columns of data and the network that reads them.
struct Network {
  Model model;
  Tensor data;
  Reference reference;
};

class NetworkMaker {
 public:
  NetworkMaker(DType dtype, double ratio, Random& random) : dtype_(dtype), random_(random) {
    for (std::size_t k = 0; k < kColumns; ++k) {
      // Numbers as tables have them: the deviation may be anything, the mean is so many deviations.
      deviation_[k] = std::pow(10.0, random.real(-1.0, dtype == DType::float16 ? 0.5 : 2.0));
      const double sign = random.chance(0.5) ? -1.0 : 1.0;
      if (dtype == DType::float16) ratio = std::min(ratio, 3e4);  // what its numbers hold
      mean_[k] = sign * deviation_[k] * ratio * random.real(0.5, 1.0);
      if (dtype == DType::float16) mean_[k] = std::clamp(mean_[k], -3e4, 3e4);
    }
  }

  Network make(Front front, bool images) {
    reference_.images = images;
    reference_.relu = random_.chance(0.5);
    const ValueId x =
        images ? b_.input("x", dtype_, {"N", K, kSide, kSide}) : b_.input("x", dtype_, {"N", K});
    const ValueId scaled = add_front(front, x);
    const std::int64_t hidden = random_.integer(3, 24);
    const Shape shape = images ? Shape{hidden, K, kTaps, kTaps} : Shape{K, hidden};
    const double bound = std::sqrt(3.0 / static_cast<double>(images ? K * kTaps * kTaps : K));
    const Tensor W = stored(shape, -bound, bound, reference_.W);
    const Tensor b = stored({hidden}, -0.5, 0.5, reference_.b);
    ValueId h = b_.op(images ? "Conv" : "Gemm", {scaled, W, b});
    if (random_.chance(0.5)) {
      const Tensor scale = stored({hidden}, 0.5, 1.5, reference_.scale);
      const Tensor B = stored({hidden}, -0.5, 0.5, reference_.B);
      const Tensor mean = stored({hidden}, -0.5, 0.5, reference_.mean);
      h = b_.op("BatchNormalization", {h, scale, B, mean, stored({hidden}, 0.5, 1.5, reference_.var)});
    }
    h = b_.op(reference_.relu ? "Relu" : "Tanh", {h});
    if (images) h = b_.op("Flatten", {b_.op("GlobalAveragePool", {h})});
    const double last = std::sqrt(3.0 / static_cast<double>(hidden));
    const Tensor W2 = stored({hidden, 3}, -last, last, reference_.W2);
    b_.output(b_.op("Gemm", {h, W2, stored({3}, -0.5, 0.5, reference_.b2)}, {}, "y"));
    return {b_.model(), data(), std::move(reference_)};
  }

 private:
  static constexpr std::size_t kColumns = Reference::kColumns;
  static constexpr auto K = static_cast<std::int64_t>(kColumns);
  static constexpr auto kSide = static_cast<std::int64_t>(Reference::kSide);
  static constexpr auto kTaps = static_cast<std::int64_t>(Reference::kTaps);
  static constexpr std::int64_t kRows = 256;

  Tensor stored(const Shape& shape, double low, double high, std::vector<double>& kept) {
    kept.resize(static_cast<std::size_t>(shape.elements()));
    for (double& value : kept) value = random_.real(low, high);
    return stored(shape, kept);
  }
  /// Rounds what is kept as well.
  Tensor stored(const Shape& shape, std::vector<double>& kept) const {
    Tensor tensor = tensor_of(dtype_, shape, kept);
    kept = read_doubles(tensor.view());
    return tensor;
  }
  Tensor per_column(std::vector<double>& kept) const {
    return stored(reference_.images ? Shape{K, 1, 1} : Shape{K}, kept);
  }

  ValueId add_front(Front front, ValueId x) {
    std::vector<double> scale(kColumns), shift(kColumns), var(kColumns);
    auto mean = mean_;
    auto deviation = deviation_;
    for (std::size_t k = 0; k < kColumns; ++k) {
      scale[k] = 1.0 / deviation[k];
      shift[k] = -mean[k] * scale[k];
      var[k] = deviation[k] * deviation[k];
    }
    switch (front) {
      case Front::sub_mul: {
        const ValueId y = b_.op("Mul", {b_.op("Sub", {x, per_column(mean)}), per_column(scale)});
        reference_.front = [=](Real v, std::size_t k) { return (v - mean[k]) * scale[k]; };
        return y;
      }
      case Front::sub_div: {
        const ValueId y = b_.op("Div", {b_.op("Sub", {x, per_column(mean)}), per_column(deviation)});
        reference_.front = [=](Real v, std::size_t k) { return (v - mean[k]) / deviation[k]; };
        return y;
      }
      case Front::normalisation: {
        std::vector<double> gamma, beta;
        const Tensor g = stored({K}, 0.5, 1.5, gamma);
        const Tensor B = stored({K}, -1.0, 1.0, beta);
        const Tensor m = stored({K}, mean);
        const ValueId y = b_.op("BatchNormalization", {x, g, B, m, stored({K}, var)});
        reference_.front = [=](Real v, std::size_t k) {
          return (v - mean[k]) / std::sqrt(static_cast<Real>(var[k]) + static_cast<double>(1e-5F)) *
                     gamma[k] +
                 beta[k];
        };
        return y;
      }
      case Front::mul_add: {
        const ValueId y = b_.op("Add", {b_.op("Mul", {x, per_column(scale)}), per_column(shift)});
        reference_.front = [=](Real v, std::size_t k) { return v * scale[k] + shift[k]; };
        return y;
      }
      case Front::scaler:
        break;
    }
    const auto floats = [](const std::vector<double>& values) {
      return std::vector<float>(values.begin(), values.end());
    };
    b_.import("ai.onnx.ml", 1);
    const ValueId y = b_.node("Scaler", {x}, {{"offset", floats(mean)}, {"scale", floats(scale)}}, {"scaled"},
                              "ai.onnx.ml")[0];
    reference_.front = [offset = floats(mean), factor = floats(scale)](Real v, std::size_t k) {
      return (v - offset[k]) * factor[k];
    };
    return y;
  }

  Tensor data() {
    const Shape shape = reference_.images ? Shape{kRows / 2, K, kSide, kSide} : Shape{kRows, K};
    const auto inner = static_cast<std::size_t>(shape.elements(2, shape.rank()));
    std::vector<double> values(static_cast<std::size_t>(shape.elements()));
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::size_t k = i / inner % kColumns;
      double normal = -6.0;  // of mean 0 and deviation 1 (Irwin and Hall)
      for (int j = 0; j < 12; ++j) normal += random_.real(0.0, 1.0);
      values[i] = mean_[k] + deviation_[k] * std::clamp(normal, -3.0, 3.0);
    }
    return tensor_of(dtype_, shape, values);
  }

  DType dtype_;
  Random& random_;
  GraphBuilder b_;
  Reference reference_;
  std::vector<double> mean_ = std::vector<double>(kColumns);
  std::vector<double> deviation_ = std::vector<double>(kColumns);
};

/// In deviations; the smallest lie around the largest that folds whole.
constexpr double kOffsets[] = {1, 3, 4, 5, 7, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

struct Errors {
  double unfolded = 0.0, folded = 0.0, scale = 0.0;
};

Errors measure(const Network& network, const Graph& folded) {
  const std::vector<TensorView> inputs{network.data};
  const auto x = read_doubles(network.data.view());
  const auto own = read_doubles(interpret(graph_of(network.model), inputs)[0].view());
  const auto other = read_doubles(interpret(folded, inputs)[0].view());
  const auto rows = static_cast<std::size_t>(network.data.shape()[0]);
  const std::size_t outputs = own.size() / rows;
  Errors errors;
  for (std::size_t r = 0; r < rows; ++r) {
    const auto truth = network.reference(x.data() + r * (x.size() / rows));
    for (std::size_t m = 0; m < outputs; ++m) {
      const auto error = [&](double value) { return static_cast<double>(std::abs(value - truth[m])); };
      errors.unfolded = std::max(errors.unfolded, error(own[r * outputs + m]));
      errors.folded = std::max(errors.folded, error(other[r * outputs + m]));
      errors.scale = std::max(errors.scale, static_cast<double>(std::abs(truth[m])));
    }
  }
  return errors;
}

std::uint64_t networks_per_case() {
  const char* text = std::getenv("BNRUN_OFFSET_NETWORKS");
  return text == nullptr ? 20 : std::strtoull(text, nullptr, 10);
}

TEST(FoldOffsets, LoseNoDigits) {
  std::size_t scales = 0, folded_scales = 0, networks = 0;
  double worst = 0.0;
  for (const DType dtype : {DType::float16, DType::float32, DType::float64}) {
    for (const double ratio : kOffsets) {
      for (std::size_t f = 0; f < std::size(kFronts); ++f) {
        if (kFronts[f] == Front::scaler && dtype != DType::float32) continue;  // it gives float32
        for (std::uint64_t seed = 0; seed < networks_per_case(); ++seed) {
          Random random(seed, f);
          const bool images = kFronts[f] != Front::scaler && random.chance(0.3);
          Network network = NetworkMaker(dtype, ratio, random).make(kFronts[f], images);
          Model folded = network.model;
          const FoldReport report = fold(folded);
          const Errors errors = measure(network, graph_of(folded));
          const double allowed = 2.0 * errors.unfolded + ulp(errors.scale, dtype);
          ++networks;
          worst = std::max(worst, errors.folded / allowed);
          const std::string what = fmt::format("{}, {} deviations, {}, seed {}{}", name_of(dtype), ratio,
                                               kFrontNames[f], seed, images ? ", images" : "");
          EXPECT_LE(errors.folded, allowed)
              << what << ": unfolded " << errors.unfolded << ", scale " << errors.scale;
          for (const FoldEntry& entry : report.entries) {
            ++scales;
            folded_scales += entry.folded ? 1 : 0;
            if (!entry.folded) ADD_FAILURE() << what << ": " << entry.form << " stays: " << entry.detail;
          }
        }
      }
    }
  }
  fmt::print("{} networks, {} of {} scales folded, the worst error is {:.2f} times what is allowed\n",
             networks, folded_scales, scales, worst);
  EXPECT_EQ(folded_scales, scales);
}

}  // namespace
}  // namespace bnrun::testing
