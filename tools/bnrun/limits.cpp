#include "limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace bnrun::cli {

std::optional<Share> share_of_limit(const MachineLimits& limits, std::optional<std::int64_t> flops,
                                    std::int64_t bytes, double seconds) {
  if (seconds <= 0.0) return std::nullopt;
  const double computing =
      limits.flops > 0.0 ? static_cast<double>(flops.value_or(0)) / limits.flops / seconds : 0.0;
  const bool beyond_cache = bytes > static_cast<std::int64_t>(limits.cache_bytes);
  const double reading = beyond_cache ? static_cast<double>(bytes) / limits.bytes_per_second / seconds : 0.0;
  if (computing == 0.0 && reading == 0.0) return std::nullopt;
  return computing >= reading ? Share{computing, "FMA"} : Share{reading, "memory"};
}

std::optional<Share> share_of_limit(const MachineLimits& limits, const Profile& profile,
                                    const StepProfile& step) {
  // The time of a step is that of each thread added up.
  return share_of_limit(limits, step.flops, step.bytes, step.seconds / profile.threads);
}

double seconds_in_steps(const Profile& profile) {
  double seconds = 0.0;
  for (const StepProfile& step : profile.steps) seconds += step.seconds;
  return seconds;
}

const StepProfile& longest_step(const Profile& profile) {
  return *std::max_element(profile.steps.begin(), profile.steps.end(),
                           [](const auto& a, const auto& b) { return a.seconds < b.seconds; });
}

double seconds_of_threads(const Profile& profile) {
  std::set<int> working;
  for (const StepCall& call : profile.calls) working.insert(call.thread);
  const auto threads = static_cast<double>(std::max<std::size_t>(working.size(), 1));
  return std::max(profile.seconds * threads, seconds_in_steps(profile));
}

std::string what_dominates(const Profile& profile, const std::optional<MachineLimits>& limits) {
  if (profile.steps.empty()) return "nothing is computed";
  const double in_steps = seconds_in_steps(profile);
  const double given = seconds_of_threads(profile);
  const double outside = given - in_steps;
  const StepProfile& step = longest_step(profile);
  const double share = given > 0.0 ? step.seconds / given : 0.0;
  if (outside > step.seconds) {
    return fmt::format(
        "between the steps goes {:.0f} % of the time ({}); the longest step is {} with {:.0f} %",
        100.0 * outside / given,
        given > profile.seconds ? "waking threads and waiting for them" : "starting a run and its steps",
        step.where, 100.0 * share);
  }
  const auto of_limit = limits ? share_of_limit(*limits, profile, step) : std::nullopt;
  return fmt::format("{} takes {:.0f} % of the time{}", step.where, 100.0 * share,
                     of_limit ? " at " + text_of(*of_limit) : std::string());
}

std::string text_of(const Share& share) {
  return fmt::format("{:.0f} % of the {} limit", 100.0 * share.of_limit, share.limit);
}

std::string text_of_bytes(std::int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes < 1024) return fmt::format("{} B", bytes);
  return bytes < (std::int64_t{1} << 20) ? fmt::format("{:.1f} KiB", value / 1024.0)
                                         : fmt::format("{:.1f} MiB", value / (1024.0 * 1024.0));
}

}  // namespace bnrun::cli
