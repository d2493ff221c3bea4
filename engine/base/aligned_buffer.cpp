#include "base/aligned_buffer.h"

#include <new>

#include "base/large_blocks.h"

namespace bnrun {
namespace {

/// AddressSanitizer watches over nothing but what operator new gives.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kWatched = true;
#elif defined(__has_feature)
constexpr bool kWatched = __has_feature(address_sanitizer);
#else
constexpr bool kWatched = false;
#endif

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
