// Verifying: do two models compute the same thing, and if not, where do they part?
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bnrun/error.h"
#include "bnrun/export.h"
#include "bnrun/model.h"
#include "bnrun/tensor.h"

namespace bnrun {

/// |a - b| <= atol + rtol * |b| for every element, as in numpy's allclose.
struct Tolerance {
  double rtol = 1e-4;
  double atol = 1e-5;
};

struct InputRange {
  double low = -3.0;
  double high = 3.0;
};

struct InputShape {
  std::string name;  ///< of the input
  Shape shape;
};

struct VerifyOptions {
  /// Given: what every element is held to. Otherwise model B is judged against the truth, which is model A
  /// evaluated in double: it may err a few times as much as A does, and no more (see docs/folding.md).
  std::optional<Tolerance> tolerance;
  /// Compared on these when given: one set of inputs per element. Otherwise inputs are drawn.
  std::vector<std::vector<NamedTensor>> inputs;
  /// What drawn inputs cover. Where it is not given and the model says what its data look like (running
  /// statistics, a scaler, a division by 255), they cover that, else InputRange{}.
  std::optional<InputRange> range;
  std::vector<InputShape> shapes;  ///< of drawn inputs whose sizes the model leaves open
  /// Of a drawn batch, as far as the budget goes; default: 64, or fewer where a row takes long.
  std::optional<std::int64_t> rows;
  int batches = 8;  ///< drawn batches, besides the corner, zero and extreme ones
  std::uint64_t seed = 1;
  /// Seconds after which no further inputs are drawn. At least one set is compared, and twice the time that
  /// one evaluation in double takes is always granted.
  double budget = 5.0;
  /// Called before each set of inputs with how many are done, from the calling thread.
  std::function<void(std::size_t done, std::size_t total)> progress{};
};

inline constexpr std::array<double, 4> kErrorQuantiles = {0.5, 0.9, 0.99, 0.999};

/// How far output `name` of model B lies from that of model A, over everything tested.
struct OutputComparison {
  std::string name;
  std::int64_t elements = 0;
  std::int64_t finite = 0;  ///< of them, those that are finite in A, or no numbers (strings)
  double max_absolute = 0.0, mean_absolute = 0.0;
  std::array<double, 4> quantiles_absolute{};  ///< at kErrorQuantiles
  double p99_absolute() const { return quantiles_absolute[2]; }
  double max_relative = 0.0;  ///< where the reference is a normal number of its type
  double max_ulp = 0.0;       ///< in units in the last place of the output's type
  double cosine = 1.0;
  std::int64_t class_rows = 0;   ///< rows compared by the position of their largest element
  std::int64_t class_flips = 0;  ///< rows whose largest element moved
  double flip_margin = 0.0;      ///< largest gap between the two best classes among flipped rows
  double needed_atol = 0.0;      ///< with the given rtol (else 0), the atol that would have sufficed
  /// The largest error as a multiple of what is allowed: of the tolerance, or of what the truth allows.
  double excess = 0.0;
  bool within = true;                         ///< excess <= 1
  double error_of_a = 0.0, error_of_b = 0.0;  ///< largest distance of each from model A evaluated in double
};

/// The first value, in execution order, that leaves what is allowed.
struct Divergence {
  std::string value;
  std::string node;
  double max_absolute = 0.0;
  std::int64_t channel = -1;  ///< along axis 1, -1 where there is none
};

/// Where the numbers of an input came from.
struct InputOrigin {
  std::string name;
  Shape shape;         ///< of the first set
  std::string origin;  ///< "the data given", "-3:3", "mean +- 3 deviations of node 'bn' (...)"
};

enum class Verdict {
  agree,
  differ,
  nothing_finite,  ///< no output had a finite element, so that nothing was compared
  not_compared,    ///< model A could not be run here on any input we know of; `why` tells
};
/// As it stands in reports: "nothing_finite".
BNRUN_API std::string_view name_of(Verdict verdict);

struct VerifyReport {
  Verdict verdict = Verdict::not_compared;
  bool agree() const { return verdict == Verdict::agree; }
  /// What kept the comparison from being made, or what differs besides numbers: names, types or dimensions of
  /// inputs and outputs, an error of the second model alone. Empty otherwise.
  std::string why;
  ErrorCode cause = ErrorCode::invalid_input;  ///< of not_compared
  std::vector<InputOrigin> inputs;
  std::int64_t sets = 0;  ///< sets of inputs compared
  std::int64_t rows = 0;  ///< rows compared
  std::uint64_t seed = 0;
  std::optional<Tolerance> tolerance;  ///< as it was given
  bool complete = true;                ///< false: the budget ended the comparison early
  std::vector<OutputComparison> outputs;
  std::optional<Divergence> first_divergence;
  /// Largest distance between the two models when both are evaluated in double; nullopt where the budget did not
  /// allow that of the second.
  std::optional<double> truth_distance;
};

/// Compares two models operator by operator (Op::run, nothing fused), both in their own precision and in
/// double. Throws invalid_input when the data or shapes given do not fit the first model, when a number among the
/// options makes no sense, or when no output has an element. Thread-safe.
BNRUN_API VerifyReport verify(const Model& a, const Model& b, const VerifyOptions& options = {});

}  // namespace bnrun
