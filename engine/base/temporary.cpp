#include "base/temporary.h"

#include <algorithm>
#include <span>

#include "base/aligned_buffer.h"
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
  for (const Block& block : std::span(kept_).first(count_)) free_block(block.memory);
}

TemporaryMemory::Loan::Loan(TemporaryMemory& memory) : before_(std::exchange(lent, &memory)) {}

TemporaryMemory::Loan::~Loan() {
  lent = before_;
}

void* TemporaryMemory::take(std::size_t bytes) {
  if (keeps()) {
    const auto kept = std::span(lent->kept_).first(lent->count_);
    const auto found = std::ranges::lower_bound(kept, bytes, {}, &Block::bytes);
    if (found != kept.end()) {
      void* const memory = found->memory;
      std::copy(found + 1, kept.end(), found);
      --lent->count_;
      return memory;
    }
  }
  const std::size_t rounded = rounded_up(bytes, kCacheLine);
  auto* const header = new (allocate_aligned(sizeof(Header) + rounded)) Header{rounded};
  return header + 1;
}

void TemporaryMemory::give_back(void* memory) noexcept {
  if (memory == nullptr) return;
  if (!keeps()) return free_block(memory);
  const auto all = std::span(lent->kept_);
  if (lent->count_ == kMostKept) {
    free_block(all.front().memory);
    std::copy(all.begin() + 1, all.end(), all.begin());
    --lent->count_;
  }
  const Block block{memory, header_of(memory)->bytes};
  const auto kept = all.first(lent->count_++);
  const auto place = std::ranges::upper_bound(kept, block.bytes, {}, &Block::bytes);
  std::copy_backward(place, kept.end(), kept.end() + 1);
  *place = block;
}

}  // namespace bnrun
