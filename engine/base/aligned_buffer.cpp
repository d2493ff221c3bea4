#include "base/aligned_buffer.h"

#include <new>

#include "base/large_blocks.h"

namespace bnrun {
namespace {

bool is_large(std::size_t bytes) {
  return !kWatched && bytes >= kLeastLargeBlock;
}

}  // namespace

void* allocate_aligned(std::size_t bytes) {
  return is_large(bytes) ? allocate_large(bytes) : ::operator new (bytes, std::align_val_t{kCacheLine});
}

void free_aligned(void* memory, std::size_t bytes) noexcept {
  if (memory != nullptr && is_large(bytes)) return free_large(memory, bytes);
  ::operator delete (memory, std::align_val_t{kCacheLine});
}

}  // namespace bnrun
