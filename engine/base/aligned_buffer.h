// Raw memory on cache-line boundaries.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "base/numbers.h"

namespace bnrun {

inline constexpr std::size_t kCacheLine = 64;

/// AddressSanitizer watches over nothing but what operator new gives.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kWatched = true;
#elif defined(__has_feature)
inline constexpr bool kWatched = __has_feature(address_sanitizer);
#else
inline constexpr bool kWatched = false;
#endif

/// Uninitialised memory at a multiple of 64 bytes, large blocks as in base/large_blocks.h. Throws std::bad_alloc.
void* allocate_aligned(std::size_t bytes);
/// REQUIRES: `memory` is that of allocate_aligned(bytes), or null.
void free_aligned(void* memory, std::size_t bytes) noexcept;

struct AlignedMemory {
  static void* take(std::size_t bytes) { return allocate_aligned(bytes); }
  static void give_back(void* memory, std::size_t bytes) noexcept { free_aligned(memory, bytes); }
};

/// `size` uninitialised elements of a trivial type at a multiple of 64 bytes.
template <class T, class Memory>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t size) : size_(size), memory_(static_cast<T*>(Memory::take(size * sizeof(T)))) {}
  ~Buffer() { Memory::give_back(memory_, size_ * sizeof(T)); }
  Buffer(Buffer&& other) noexcept
      : size_(std::exchange(other.size_, 0)), memory_(std::exchange(other.memory_, nullptr)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(size_, other.size_);
    std::swap(memory_, other.memory_);
    return *this;
  }

  std::size_t size() const { return size_; }
  T* data() const { return memory_; }

 private:
  std::size_t size_ = 0;
  T* memory_ = nullptr;
};

template <class T>
using AlignedBuffer = Buffer<T, AlignedMemory>;

/// Takes whole cache lines, so that no other thread writes to one of them.
template <class T>
struct WholeLines {
  using value_type = T;
  T* allocate(std::size_t size) { return static_cast<T*>(allocate_aligned(bytes(size))); }
  void deallocate(T* memory, std::size_t size) noexcept { free_aligned(memory, bytes(size)); }
  bool operator==(const WholeLines&) const = default;

 private:
  static std::size_t bytes(std::size_t size) { return rounded_up(size * sizeof(T), kCacheLine); }
};
template <class T>
using OwnLines = std::vector<T, WholeLines<T>>;

}  // namespace bnrun
