// Memory that an operator takes while it runs and gives back before it ends.
#pragma once

#include <array>
#include <cstddef>
#include <limits>
#include <new>
#include <utility>
#include <vector>

namespace bnrun {

/// Keeps the blocks that a thread has given back, so that a run of the same shapes as one before allocates nothing. What is
/// taken where none is lent comes from the heap and goes back there; blocks may be given back on another thread than the
/// one that took them. Under AddressSanitizer, which is to see each block for itself, nothing is kept.
class TemporaryMemory {
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

  /// Uninitialised bytes at a multiple of 64, in the smallest block that holds them. Throws std::bad_alloc.
  static void* take(std::size_t bytes);
  static void give_back(void* memory) noexcept;

 private:
  struct Block {
    void* memory;  ///< what users see
    std::size_t bytes;
  };
  /// More than any operator takes at once; the smallest goes when there is one more.
  static constexpr std::size_t kMostKept = 64;

  std::array<Block, kMostKept> kept_;  ///< the first count_, of which the smallest is first
  std::size_t count_ = 0;
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
  void deallocate(T* memory, std::size_t) noexcept { TemporaryMemory::give_back(memory); }
  bool operator==(const TemporaryAllocator&) const = default;
};

template <class T>
using TemporaryVector = std::vector<T, TemporaryAllocator<T>>;

/// `size` uninitialised elements of a trivial type.
template <class T>
class TemporaryBuffer {
 public:
  TemporaryBuffer() = default;
  explicit TemporaryBuffer(std::size_t size) : size_(size), memory_(TemporaryAllocator<T>().allocate(size)) {}
  ~TemporaryBuffer() { TemporaryMemory::give_back(memory_); }
  TemporaryBuffer(TemporaryBuffer&& other) noexcept
      : size_(std::exchange(other.size_, 0)), memory_(std::exchange(other.memory_, nullptr)) {}
  TemporaryBuffer& operator=(TemporaryBuffer&& other) noexcept {
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

}  // namespace bnrun
