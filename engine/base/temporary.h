// Memory that an operator takes while it runs and gives back before it ends.
#pragma once

#include <array>
#include <cstddef>
#include <limits>
#include <new>
#include <vector>

#include "base/aligned_buffer.h"

namespace bnrun {

/// Keeps the blocks that a thread has given back, so that runs of the same shapes allocate nothing after a few. It holds
/// no more large ones than were in use at once, none larger than one that was asked for. What is
/// taken where none is lent comes from the heap and goes back there; blocks may be given back on another thread than the
/// one that took them. Under AddressSanitizer, which is to see each block for itself, nothing is kept.
class alignas(kCacheLine) TemporaryMemory {
 public:
  TemporaryMemory() = default;
  ~TemporaryMemory();
  TemporaryMemory(const TemporaryMemory&) = delete;
  TemporaryMemory& operator=(const TemporaryMemory&) = delete;

  /// Lends the memory to the thread that makes it, in place of another one's, until it ends.
  class Loan {
   public:
    explicit Loan(TemporaryMemory& memory);
    ~Loan();
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;

   private:
    TemporaryMemory* before_;
  };

  /// Uninitialised bytes at a multiple of 64. Throws std::bad_alloc.
  static void* take(std::size_t bytes);
  /// What was taken for so many bytes, or null.
  static void give_back(void* memory, std::size_t bytes) noexcept;

 private:
  struct Block {
    void* memory;  ///< what users see
    std::size_t bytes;
  };
  /// Blocks of one kind.
  class Blocks {
   public:
    void* take(std::size_t bytes) noexcept;  ///< the smallest that holds them; null: none
    void keep(const Block& block) noexcept;
    void free_largest() noexcept;
    void free_all() noexcept;

   private:
    std::array<Block, 64> kept_;  ///< the first count_, of which the smallest is first
    std::size_t count_ = 0;
  };
  Blocks& blocks_for(std::size_t bytes) { return bytes < kLeastLarge ? small_ : large_; }

  static constexpr std::size_t kLeastLarge = std::size_t{64} << 10;
  Blocks small_;  ///< do not take the place of large ones, nor large ones theirs
  Blocks large_;
};

/// For containers.
template <class T>
struct TemporaryAllocator {
  using value_type = T;

  TemporaryAllocator() = default;
  template <class U>
  TemporaryAllocator(const TemporaryAllocator<U>&) noexcept {}

  T* allocate(std::size_t size) {
    if (size > std::numeric_limits<std::size_t>::max() / (2 * sizeof(T))) throw std::bad_array_new_length();
    return static_cast<T*>(TemporaryMemory::take(size * sizeof(T)));
  }
  void deallocate(T* memory, std::size_t size) noexcept {
    TemporaryMemory::give_back(memory, size * sizeof(T));
  }
  bool operator==(const TemporaryAllocator&) const = default;
};

template <class T>
using TemporaryVector = std::vector<T, TemporaryAllocator<T>>;

template <class T>
using TemporaryBuffer = Buffer<T, TemporaryMemory>;

}  // namespace bnrun
