#include "kernels/limits/reading.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/fail.h"

namespace bnrun {
namespace {

constexpr std::size_t kWord = sizeof(std::uint64_t);

/// Several sums, so that none waits for another.
std::uint64_t sum(const std::uint64_t* words, std::size_t count) {
  constexpr std::size_t kSums = 16;
  std::uint64_t sums[kSums] = {};
  for (std::size_t i = 0; i + kSums <= count; i += kSums)
    for (std::size_t k = 0; k < kSums; ++k) sums[k] += words[i + k];
  std::uint64_t total = 0;
  for (const std::uint64_t part : sums) total += part;
  return total;
}

}  // namespace

Reading::Reading(std::size_t bytes, int threads)
    : parts_(static_cast<std::size_t>(threads)),
      bytes_(bytes),
      memory_(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
  if (memory_ == MAP_FAILED) fail(ErrorCode::resource_limit, "no memory for a buffer of {} bytes", bytes);
  ::madvise(memory_, bytes, MADV_HUGEPAGE);
  // Pages that nobody has written are all one page of zeros, which stays in the cache.
  auto* const words = static_cast<std::uint64_t*>(memory_);
  std::fill_n(words, bytes / kWord, std::uint64_t{1});
  const std::size_t share = bytes / kWord / parts_.size();
  for (std::size_t i = 0; i < parts_.size(); ++i) parts_[i] = {words + i * share, share};
}

Reading::~Reading() {
  ::munmap(memory_, bytes_);
}

double Reading::read(int thread) {
  constexpr std::size_t kPiece = std::size_t{1} << 20;  // words
  Part& part = parts_[static_cast<std::size_t>(thread)];
  const std::size_t piece = std::min(kPiece, part.count - part.at);
  [[maybe_unused]] const volatile std::uint64_t read = sum(part.words + part.at, piece);
  part.at = part.at + piece < part.count ? part.at + piece : 0;
  return static_cast<double>(piece * kWord);
}

}  // namespace bnrun
