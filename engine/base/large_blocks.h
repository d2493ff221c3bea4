// Memory for large weights, straight from the system.
#pragma once

#include <array>
#include <cstddef>

namespace bnrun {

/// Smaller blocks are malloc's business.
inline constexpr std::size_t kLeastLargeBlock = std::size_t{4} << 20;

/// Uninitialised memory at a multiple of 64 bytes, on huge pages where the system has some to give: clearing fresh memory
/// costs the system more than anything else while a model is loaded. Throws std::bad_alloc. REQUIRES: at least
/// kLeastLargeBlock bytes.
void* allocate_large(std::size_t bytes);
/// REQUIRES: `memory` is that of allocate_large(bytes).
void free_large(void* memory, std::size_t bytes) noexcept;

/// While one lives, what its thread frees is given out again to that thread, so that the weights of a model which is folded
/// and packed layer by layer are cleared once. It never holds more than was in use before: where nothing that it
/// keeps is large enough, all of that goes back to the system first. REQUIRES: ends on the thread on which it began, the last one first.
class ReuseOfLargeBlocks {
 public:
  ReuseOfLargeBlocks();
  ~ReuseOfLargeBlocks();
  ReuseOfLargeBlocks(const ReuseOfLargeBlocks&) = delete;
  ReuseOfLargeBlocks& operator=(const ReuseOfLargeBlocks&) = delete;

  /// nullptr where no block is large enough. In whole granules, as are the others.
  std::byte* take(std::size_t bytes) noexcept;
  /// Whether it keeps the block.
  bool keep(std::byte* memory, std::size_t bytes) noexcept;

 private:
  struct Block {
    std::byte* memory = nullptr;
    std::size_t bytes = 0;
  };
  void release_all() noexcept;

  std::array<Block, 16> kept_;
  std::size_t count_ = 0;
  ReuseOfLargeBlocks* const outer_;
};

}  // namespace bnrun
