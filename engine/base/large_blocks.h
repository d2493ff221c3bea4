// Memory for large weights.
#pragma once

#include <array>
#include <cstddef>

namespace bnrun {

/// Smaller blocks are malloc's business.
inline constexpr std::size_t kLeastLargeBlock = std::size_t{4} << 20;

/// Uninitialised memory at a multiple of 2 MiB, on huge pages where the system has some to give: clearing fresh memory costs
/// the system more than anything else while a model is loaded. Throws std::bad_alloc. REQUIRES: at least kLeastLargeBlock
/// bytes.
void* allocate_large(std::size_t bytes);
/// REQUIRES: `memory` is that of allocate_large(bytes).
void free_large(void* memory, std::size_t bytes) noexcept;

/// While one lives, what its thread frees is given out again to that thread, so that the weights of a model which is folded
/// and packed layer by layer are cleared once. Where none of the blocks that it keeps fits, all of them are freed first,
/// so that no more large blocks are held than were in use before. REQUIRES: ends on the thread on which it began, the
/// last one first.
class ReuseOfLargeBlocks {
 public:
  ReuseOfLargeBlocks();
  ~ReuseOfLargeBlocks();
  ReuseOfLargeBlocks(const ReuseOfLargeBlocks&) = delete;
  ReuseOfLargeBlocks& operator=(const ReuseOfLargeBlocks&) = delete;

  std::size_t kept() const { return count_; }  ///< so many blocks now

 private:
  friend void* allocate_large(std::size_t bytes);
  friend void free_large(void* memory, std::size_t bytes) noexcept;

  struct Block {
    void* memory = nullptr;
    std::size_t bytes = 0;
  };
  /// The smallest that is large enough and not much larger; nullptr where there is none.
  void* take(std::size_t bytes) noexcept;
  /// Whether there is room for one more.
  bool keep(void* memory, std::size_t bytes) noexcept;
  void free_all() noexcept;

  std::array<Block, 16> blocks_;
  std::size_t count_ = 0;
  ReuseOfLargeBlocks* const outer_;
};

}  // namespace bnrun
