#include "base/large_blocks.h"

#include <sys/mman.h>

#include <new>
#include <span>
#include <utility>

namespace bnrun {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

thread_local ReuseOfLargeBlocks* current = nullptr;

void free_block(void* memory) noexcept {
  ::operator delete (memory, std::align_val_t{kHugePage});
}

}  // namespace

void* allocate_large(std::size_t bytes) {
  if (void* const kept = current != nullptr ? current->take(bytes) : nullptr) return kept;
  void* const memory = ::operator new (bytes, std::align_val_t{kHugePage});
  ::madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);  // a hint that may fail
  return memory;
}

void free_large(void* memory, std::size_t bytes) noexcept {
  if (current == nullptr || !current->keep(memory, bytes)) free_block(memory);
}

ReuseOfLargeBlocks::ReuseOfLargeBlocks() : outer_(std::exchange(current, this)) {}

ReuseOfLargeBlocks::~ReuseOfLargeBlocks() {
  free_all();
  current = outer_;
}

void* ReuseOfLargeBlocks::take(std::size_t bytes) noexcept {
  Block* best = nullptr;
  for (Block& block : std::span(blocks_).first(count_)) {
    const bool fits = block.bytes >= bytes && block.bytes - bytes <= bytes / 4;
    if (fits && (best == nullptr || block.bytes < best->bytes)) best = &block;
  }
  if (best != nullptr) return std::exchange(*best, blocks_[--count_]).memory;
  free_all();
  return nullptr;
}

bool ReuseOfLargeBlocks::keep(void* memory, std::size_t bytes) noexcept {
  if (count_ == blocks_.size()) return false;
  blocks_[count_++] = {memory, bytes};
  return true;
}

void ReuseOfLargeBlocks::free_all() noexcept {
  for (const Block& block : std::span(blocks_).first(count_)) free_block(block.memory);
  count_ = 0;
}

}  // namespace bnrun
