#include "base/memory.h"

#include <unistd.h>

#include "base/fail.h"

namespace bnrun {
namespace {

/// Of the machine; the largest number where it does not tell.
std::size_t memory_bytes() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page_bytes = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_bytes <= 0) return static_cast<std::size_t>(-1);
  return static_cast<std::size_t>(pages) * static_cast<std::size_t>(page_bytes);
}

}  // namespace

std::size_t bytes_of(std::int64_t elements, DType dtype) {
  static const std::size_t most = memory_bytes();
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<std::size_t>(elements), element_bytes(dtype), &bytes) ||
      bytes > most)
    fail(ErrorCode::resource_limit, "{} elements of {} are more than the machine's memory holds", elements,
         name_of(dtype));
  return bytes;
}

}  // namespace bnrun
