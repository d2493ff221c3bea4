// Several things timed in turns, so that a machine that slows down slows down all of them.
#pragma once

#include <chrono>
#include <functional>
#include <span>
#include <utility>
#include <vector>

namespace bnrun::cli {

struct Turns {
  int turns = 41;
  std::chrono::nanoseconds slice = std::chrono::milliseconds(2);  ///< the least that one takes in one turn
  /// All turns together; three are taken in any case.
  std::chrono::nanoseconds longest = std::chrono::seconds(2);
  /// Count the time that the calling thread was given instead of the time that passed: right where that thread does
  /// all the work, and blind to what else the machine does. Otherwise each waits until the threads of the one before
  /// have gone to sleep.
  bool own_time = true;
  /// Asked behind each figure, unless empty: one that does not count is taken again while there is time, and then left
  /// out where there are three.
  std::function<bool()> counts{};
};

/// Seconds that one call takes: for each of `things`, one figure for each turn that counts. Each is called once or more before.
std::vector<std::vector<double>> time_in_turns(std::span<const std::function<void()>> things,
                                               const Turns& turns);

/// Seconds of each single call, by the time that passed, all together for about so long: for each of `things`, one figure
/// for each call.
std::vector<std::vector<double>> latencies_in_turns(std::span<const std::function<void()>> things,
                                                    std::chrono::duration<double> total);

/// REQUIRES: not empty, and for the quantile 0 <= q <= 1.
double quantile(std::vector<double> values, double q);
inline double median(std::vector<double> values) {
  return quantile(std::move(values), 0.5);
}

}  // namespace bnrun::cli
