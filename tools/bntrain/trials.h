// The same training again and again, in parallel.
#pragma once

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

namespace bnrun {

/// Calls run(0) to run(count - 1), `threads` at a time, in any order; each must write what is its own alone.
/// Throws what the first of them, by number, threw.
void run_trials(std::size_t count, int threads, const std::function<void(std::size_t)>& run);

/// Mean, and the standard deviation of a sample (0 of one value).
std::pair<double, double> mean_and_deviation(const std::vector<double>& values);
/// The lower of two middle ones; 0 of none.
double median(std::vector<double> values);

}  // namespace bnrun
