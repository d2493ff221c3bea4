#include "base/large_blocks.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>
#include <span>
#include <utility>

#include "base/numbers.h"

namespace bnrun {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
/// Blocks are multiples of it, so that one can be cut in two: of every processor's pages.
constexpr std::size_t kGranule = std::size_t{64} << 10;

thread_local ReuseOfLargeBlocks* current = nullptr;

void unmap(std::byte* memory, std::size_t bytes) noexcept {
  if (bytes != 0) ::munmap(memory, bytes);
}

/// Begins on a huge page.
std::byte* map(std::size_t bytes) {
  const std::size_t with_margin = bytes + kHugePage;
  void* const mapped =
      ::mmap(nullptr, with_margin, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  auto* const first = static_cast<std::byte*>(mapped);
  const std::size_t before = -reinterpret_cast<std::uintptr_t>(mapped) % kHugePage;
  unmap(first, before);
  unmap(first + before + bytes, kHugePage - before);
  ::madvise(first + before, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);  // a hint that may fail
  return first + before;
}

}  // namespace

void* allocate_large(std::size_t bytes) {
  if (bytes > SIZE_MAX / 2) throw std::bad_alloc();
  const std::size_t whole = rounded_up(bytes, kGranule);
  std::byte* const kept = current != nullptr ? current->take(whole) : nullptr;
  return kept != nullptr ? kept : map(whole);
}

void free_large(void* memory, std::size_t bytes) noexcept {
  auto* const first = static_cast<std::byte*>(memory);
  const std::size_t whole = rounded_up(bytes, kGranule);
  if (current == nullptr || !current->keep(first, whole)) unmap(first, whole);
}

ReuseOfLargeBlocks::ReuseOfLargeBlocks() : outer_(std::exchange(current, this)) {}

ReuseOfLargeBlocks::~ReuseOfLargeBlocks() {
  release_all();
  current = outer_;
}

std::byte* ReuseOfLargeBlocks::take(std::size_t bytes) noexcept {
  Block* best = nullptr;
  for (Block& block : std::span(kept_).first(count_)) {
    if (block.bytes >= bytes && (best == nullptr || block.bytes < best->bytes)) best = &block;
  }
  if (best == nullptr) {
    release_all();
    return nullptr;
  }
  const Block found = std::exchange(*best, kept_[--count_]);
  const Block rest{found.memory + bytes, found.bytes - bytes};
  if (rest.bytes < kLeastLargeBlock || !keep(rest.memory, rest.bytes)) unmap(rest.memory, rest.bytes);
  return found.memory;
}

bool ReuseOfLargeBlocks::keep(std::byte* memory, std::size_t bytes) noexcept {
  if (count_ == kept_.size()) return false;
  kept_[count_++] = {memory, bytes};
  return true;
}

void ReuseOfLargeBlocks::release_all() noexcept {
  for (const Block& block : std::span(kept_).first(count_)) unmap(block.memory, block.bytes);
  count_ = 0;
}

}  // namespace bnrun
