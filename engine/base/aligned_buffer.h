// Raw memory on cache-line boundaries.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace bnrun {

inline constexpr std::size_t kCacheLine = 64;

/// `size` uninitialised elements of a trivial type at a multiple of 64 bytes.
template <class T>
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t size)
      : size_(size),
        memory_(static_cast<T*>(::operator new (size * sizeof(T), std::align_val_t{kCacheLine}))) {}

  std::size_t size() const { return size_; }
  T* data() const { return memory_.get(); }

 private:
  struct Free {
    void operator()(T* memory) const { ::operator delete (memory, std::align_val_t{kCacheLine}); }
  };
  std::size_t size_ = 0;
  std::unique_ptr<T, Free> memory_;
};

}  // namespace bnrun
