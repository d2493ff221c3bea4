// What a machine itself reaches, measured in the same turns as the engines.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/limits/fma.h"
#include "kernels/limits/reading.h"

namespace bnrun::testing {

/// For so many threads; not thread-safe.
class Yardsticks {
 public:
  explicit Yardsticks(int threads);

  /// Multiply-adds in registers on the calling thread.
  void multiply_add() const { fma_.run(); }
  double flops() const { return fma_.flops; }  ///< of one call

  /// Reads memory on all threads; the first call takes a buffer of so many bytes.
  void read(std::size_t buffer_bytes);
  double bytes() const { return bytes_ / calls_; }  ///< of one call, in the mean

  /// Whether the machine does nothing else, as far as can be seen from here: multiply-adds on all threads at once are as
  /// fast as alone, since processors of a virtual machine may for a while be two halves of one; and additions of integers,
  /// as many at once as there are units, take as long beside them as they mostly did at best, since whatever runs on the other
  /// half of a processor takes some of the places where instructions begin; and what one thread writes reaches the next as
  /// soon as it mostly did at best, since a host may move processors apart that were neighbours. Leaves no thread running.
  bool undisturbed();

 private:
  int threads_;
  FmaLoop fma_ = widest_fma_loop();
  ThreadPool pool_;
  std::optional<Reading> reading_;
  double bytes_ = 0.0;  ///< of all calls
  double calls_ = 0.0;
  std::vector<double> ratios_;  ///< of additions to multiply-adds, so far
  std::vector<double>
      passing_;  ///< seconds of passing turns from the first thread to the second and back, so far
};

}  // namespace bnrun::testing
