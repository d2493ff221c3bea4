// Verifying: do two models compute the same thing, and if not, where do they part?
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bnrun/export.h"
#include "bnrun/model.h"
#include "bnrun/tensor.h"

namespace bnrun {

/// |a - b| <= atol * scale + rtol * |b|. With `scaled`, scale is the largest magnitude of the output in the
/// batch where that is above 1 (rounding errors grow with what is summed, so that an element near 0 of a
/// large output cannot be held to an absolute bound); without, it is 1, as in numpy's allclose.
struct Tolerance {
  double rtol = 1e-4;
  double atol = 1e-5;
  bool scaled = true;
};

struct VerifyOptions {
  Tolerance tolerance;
  /// Compared on these when given: one set of inputs per element. Otherwise inputs are drawn.
  std::vector<std::vector<NamedTensor>> inputs;
  double low = -3.0;  ///< range that drawn inputs cover
  double high = 3.0;
  int batches = 8;  ///< drawn batches, besides the corner, zero and extreme ones
  std::int64_t rows = 64;
  std::uint64_t seed = 1;
  /// Called before each set of inputs with how many are done, from the calling thread.
  std::function<void(std::size_t done, std::size_t total)> progress{};
};

inline constexpr std::array<double, 4> kErrorQuantiles = {0.5, 0.9, 0.99, 0.999};

/// How far output `name` of model B lies from that of model A, over everything tested.
struct OutputComparison {
  std::string name;
  std::int64_t elements = 0;
  double max_absolute = 0.0, mean_absolute = 0.0;
  std::array<double, 4> quantiles_absolute{};  ///< at kErrorQuantiles
  double p99_absolute() const { return quantiles_absolute[2]; }
  double max_relative = 0.0;
  double max_ulp = 0.0;  ///< in units in the last place of the output's type
  double cosine = 1.0;
  std::int64_t class_rows = 0;   ///< rows compared by the position of their largest element
  std::int64_t class_flips = 0;  ///< rows whose largest element moved
  double flip_margin = 0.0;      ///< largest gap between the two best classes among flipped rows
  double needed_atol = 0.0;      ///< with the given rtol, the atol that would have sufficed
  bool within = true;
  double error_of_a = 0.0, error_of_b = 0.0;  ///< largest distance of each from model A evaluated in double
};

/// The first value, in execution order, that leaves the tolerance.
struct Divergence {
  std::string value;
  std::string node;
  double max_absolute = 0.0;
  std::int64_t channel = -1;  ///< along axis 1, -1 where there is none
};

struct VerifyReport {
  bool agree = false;
  /// How their inputs and outputs differ, so that nothing could be compared; empty when they match.
  std::string mismatch;
  std::int64_t rows = 0;  ///< rows compared
  std::vector<OutputComparison> outputs;
  std::optional<Divergence> first_divergence;
  double truth_distance = 0.0;  ///< largest distance between the two models when both are evaluated in double
};

/// Compares two models operator by operator (Op::run, nothing fused), both in their own precision and in
/// double. Models whose inputs or outputs differ in name, type or dimensions disagree (`mismatch`). Throws
/// invalid_input when the given data does not fit or nothing was compared.
BNRUN_API VerifyReport verify(const Model& a, const Model& b, const VerifyOptions& options = {});

}  // namespace bnrun
