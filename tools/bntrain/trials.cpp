#include "trials.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <thread>

namespace bnrun {

void run_trials(std::size_t count, int threads, const std::function<void(std::size_t)>& run) {
  std::vector<std::exception_ptr> errors(count);
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        run(i);
      } catch (...) {
        errors[i] = std::current_exception();
      }
    }
  };
  std::vector<std::jthread> helpers;
  const auto wanted = std::min(static_cast<std::size_t>(std::max(threads, 1)), count);
  for (std::size_t t = 1; t < wanted; ++t) helpers.emplace_back(work);
  work();
  helpers.clear();
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

std::pair<double, double> mean_and_deviation(const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  double mean = 0.0;
  for (const double value : values) mean += value / count;
  double squares = 0.0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {mean, count > 1.0 ? std::sqrt(squares / (count - 1.0)) : 0.0};
}

double median(std::vector<double> values) {
  if (values.empty()) return 0.0;
  std::sort(values.begin(), values.end());
  return values[(values.size() - 1) / 2];
}

}  // namespace bnrun
