// How near a step or a whole run comes to what the machine can do, and what takes the time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "bnrun/machine.h"
#include "bnrun/profile.h"

namespace bnrun::cli {

/// The most that is read to measure the speed of memory; where a cache is larger than an eighth of it, that takes a
/// part in the figure.
inline constexpr std::size_t kLimitBytes = std::size_t{1} << 30;

/// A share of one limit.
struct Share {
  double of_limit = 0.0;
  std::string limit;  ///< "FMA" or "memory"
};

/// Of work that took `seconds` on all threads that the limits were measured with. Bytes count only where no cache holds
/// them; the limit that is nearer is told, or nullopt where neither says anything.
std::optional<Share> share_of_limit(const MachineLimits& limits, std::optional<std::int64_t> flops,
                                    std::int64_t bytes, double seconds);
/// The same of one step of a profile.
std::optional<Share> share_of_limit(const MachineLimits& limits, const Profile& profile,
                                    const StepProfile& step);

/// What the steps take together, on all threads.
double seconds_in_steps(const Profile& profile);
/// What the threads that took part had: the time of the run for each of them.
double seconds_of_threads(const Profile& profile);
/// The step that takes the longest. REQUIRES: there is one.
const StepProfile& longest_step(const Profile& profile);
/// What takes the most of a run's time, a clause; `limits` may be missing.
std::string what_dominates(const Profile& profile, const std::optional<MachineLimits>& limits);

/// "71 % of the FMA limit"
std::string text_of(const Share& share);
/// 12345678 -> "11.8 MiB"
std::string text_of_bytes(std::int64_t bytes);

}  // namespace bnrun::cli
