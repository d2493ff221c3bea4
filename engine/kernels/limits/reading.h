// The rate of reading memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bnrun {

/// Memory that several threads read piece by piece, each its own part, from beginning to end and over again.
class Reading {
 public:
  /// So many bytes, on large pages where there are some, so that address translation costs little. What is to come
  /// from memory is several times as large as the caches. Throws Error (resource_limit).
  Reading(std::size_t bytes, int threads);
  ~Reading();
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

  /// Reads the next piece of a thread's part, at most 8 MiB, and returns its bytes. Thread-safe for different threads.
  double read(int thread);

 private:
  struct Part {
    const std::uint64_t* words = nullptr;
    std::size_t count = 0;
    std::size_t at = 0;
  };

  std::vector<Part> parts_;
  std::size_t bytes_;
  void* memory_;
};

}  // namespace bnrun
