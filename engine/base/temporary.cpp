#include "base/temporary.h"

#include <algorithm>
#include <span>
#include <utility>

#include "base/numbers.h"

namespace bnrun {
namespace {

/// Lies in front of what users see: a whole line, so that they see one.
struct alignas(kCacheLine) Header {
  std::size_t bytes;  ///< behind it
};

Header* header_of(void* memory) {
  return static_cast<Header*>(memory) - 1;
}

void free_block(void* memory) noexcept {
  Header* const header = header_of(memory);
  free_aligned(header, sizeof(Header) + header->bytes);
}

thread_local TemporaryMemory* lent = nullptr;

bool keeps() {
  return !kWatched && lent != nullptr;
}

}  // namespace

TemporaryMemory::~TemporaryMemory() {
  small_.free_all();
  large_.free_all();
}

TemporaryMemory::Loan::Loan(TemporaryMemory& memory) : before_(std::exchange(lent, &memory)) {}

TemporaryMemory::Loan::~Loan() {
  lent = before_;
}

void* TemporaryMemory::take(std::size_t bytes) {
  const std::size_t rounded = rounded_up(bytes, kCacheLine);
  if (keeps()) {
    Blocks& blocks = lent->blocks_for(rounded);
    if (void* const memory = blocks.take(rounded)) return memory;
    // In place of one that is too small, so that they become larger and not more.
    if (rounded >= kLeastLarge) blocks.free_largest();
  }
  auto* const header = new (allocate_aligned(sizeof(Header) + rounded)) Header{rounded};
  return header + 1;
}

void TemporaryMemory::give_back(void* memory, std::size_t) noexcept {
  if (memory == nullptr) return;
  if (!keeps()) return free_block(memory);
  const std::size_t bytes = header_of(memory)->bytes;
  lent->blocks_for(bytes).keep({memory, bytes});
}

void* TemporaryMemory::Blocks::take(std::size_t bytes) noexcept {
  const auto kept = std::span(kept_).first(count_);
  const auto found = std::ranges::lower_bound(kept, bytes, {}, &Block::bytes);
  if (found == kept.end()) return nullptr;
  void* const memory = found->memory;
  std::copy(found + 1, kept.end(), found);
  --count_;
  return memory;
}

void TemporaryMemory::Blocks::keep(const Block& block) noexcept {
  if (count_ == kept_.size()) return free_block(block.memory);
  const auto kept = std::span(kept_).first(++count_);
  const auto place = std::ranges::upper_bound(kept.first(count_ - 1), block.bytes, {}, &Block::bytes);
  std::copy_backward(place, kept.first(count_ - 1).end(), kept.end());
  *place = block;
}

void TemporaryMemory::Blocks::free_largest() noexcept {
  if (count_ > 0) free_block(kept_[--count_].memory);
}

void TemporaryMemory::Blocks::free_all() noexcept {
  while (count_ > 0) free_largest();
}

}  // namespace bnrun
