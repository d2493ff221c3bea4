#include "common/turns.h"

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <thread>

namespace bnrun::cli {
namespace {

using std::chrono::nanoseconds;

nanoseconds now_of(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return std::chrono::seconds(now.tv_sec) + nanoseconds(now.tv_nsec);
}

/// Whether another thread of this process runs or wants to. (What a process has used of its processors would not tell:
/// the system adds up what a running thread uses every few milliseconds only.)
bool another_thread_runs() {
  std::error_code ignored;
  int running = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", ignored)) {
    std::ifstream file(task.path() / "stat");
    std::string line;
    std::getline(file, line);
    const auto name_end = line.rfind(')');  // "ID (NAME) STATE ...", and a name may hold anything
    if (name_end != std::string::npos && line.compare(name_end, 4, ") R ") == 0) ++running;
  }
  return running > 1;
}

/// Waits while other threads of this process spin, at most so long.
void wait_for_other_threads() {
  constexpr int kTries = 300;
  for (int i = 0; i < kTries && another_thread_runs(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

class Contest {
 public:
  Contest(std::span<const std::function<void()>> things, const Turns& turns)
      : things_(things), turns_(turns), clock_(turns.own_time ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC) {}

  std::vector<std::vector<double>> run() {
    for (const auto& thing : things_) calls_.push_back(calls_in_a_slice(thing));
    std::vector<std::vector<double>> seconds(things_.size());
    const auto start = now_of(CLOCK_MONOTONIC);
    const auto is_late = [&] { return now_of(CLOCK_MONOTONIC) - start > turns_.longest; };
    for (std::size_t turn = 0; turn < static_cast<std::size_t>(turns_.turns); ++turn) {
      if (turn >= kLeastTurns && is_late()) break;
      for (std::size_t k = 0; k < things_.size(); ++k) {
        const std::size_t i = (k + turn) % things_.size();  // nobody is always second
        double figure = figure_of(i);
        bool counts = !turns_.counts || turns_.counts();
        while (!counts && !is_late()) {
          figure = figure_of(i);
          counts = turns_.counts();
        }
        if (counts || seconds[i].size() < kLeastTurns) seconds[i].push_back(figure);
      }
    }
    return seconds;
  }

 private:
  static constexpr std::size_t kLeastTurns = 3;

  /// Seconds of one call, from a slice.
  double figure_of(std::size_t i) const {
    if (!turns_.own_time) {
      wait_for_other_threads();
      seconds_of(things_[i], calls_[i] / 2);  // processors that have been idle are slow for a while
    }
    things_[i]();  // what the one before has driven out of the caches comes back
    return seconds_of(things_[i], calls_[i]) / static_cast<double>(calls_[i]);
  }

  double seconds_of(const std::function<void()>& thing, long calls) const {
    const auto start = now_of(clock_);
    for (long i = 0; i < calls; ++i) thing();
    return std::chrono::duration<double>(now_of(clock_) - start).count();
  }

  long calls_in_a_slice(const std::function<void()>& thing) const {
    const double slice = std::chrono::duration<double>(turns_.slice).count();
    thing();
    for (long calls = 1;; calls *= 2) {
      const double seconds = seconds_of(thing, calls);
      if (seconds < slice / 4.0) continue;
      return std::max(1L, static_cast<long>(static_cast<double>(calls) * slice / seconds));
    }
  }

  std::span<const std::function<void()>> things_;
  const Turns& turns_;
  clockid_t clock_;
  std::vector<long> calls_;
};

}  // namespace

std::vector<std::vector<double>> time_in_turns(std::span<const std::function<void()>> things,
                                               const Turns& turns) {
  return Contest(things, turns).run();
}

std::vector<std::vector<double>> latencies_in_turns(std::span<const std::function<void()>> things,
                                                    std::chrono::duration<double> total) {
  using Clock = std::chrono::steady_clock;
  constexpr int kTurns = 20;
  const auto slice = total / static_cast<double>(kTurns * things.size());
  const auto seconds_since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  double clock = 1.0;  // what looking at it takes
  for (int i = 0; i < 100; ++i) clock = std::min(clock, seconds_since(Clock::now()));

  std::vector<std::vector<double>> latencies(things.size());
  const auto begin = Clock::now();
  do {
    for (std::size_t i = 0; i < things.size(); ++i) {
      things[i]();  // what the one before has driven out of the caches comes back
      const auto turn = Clock::now();
      do {
        const auto start = Clock::now();
        things[i]();
        latencies[i].push_back(std::max(0.0, seconds_since(start) - clock));
      } while (Clock::now() - turn < slice);
    }
  } while (Clock::now() - begin < total);
  return latencies;
}

double quantile(std::vector<double> values, double q) {
  const auto last = static_cast<double>(values.size() - 1);
  const auto place = values.begin() + static_cast<std::ptrdiff_t>(q * last + 0.5);
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

}  // namespace bnrun::cli
