#include "base/aligned_buffer.h"

#include <sys/mman.h>

#include <new>

namespace bnrun {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

bool is_large(std::size_t bytes) {
  return bytes >= 2 * kHugePage;
}

std::align_val_t alignment_of(std::size_t bytes) {
  return std::align_val_t{is_large(bytes) ? kHugePage : kCacheLine};
}

}  // namespace

void* allocate_aligned(std::size_t bytes) {
  void* const memory = ::operator new(bytes, alignment_of(bytes));
  if (is_large(bytes))
    ::madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);  // a hint that may fail
  return memory;
}

void free_aligned(void* memory, std::size_t bytes) noexcept {
  ::operator delete(memory, alignment_of(bytes));
}

}  // namespace bnrun
