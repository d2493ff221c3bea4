// Scratch memory of one task of a kernel.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/aligned_buffer.h"
#include "base/workspace.h"

namespace bnrun {

/// Scratch memory handed out piece by piece; without memory it counts what would be needed.
class Scratch {
 public:
  explicit Scratch(std::byte* memory = nullptr) : memory_(memory) {}
  template <class T>
  T* take(std::int64_t count) {
    std::byte* at = memory_ != nullptr ? memory_ + used_ : nullptr;
    used_ += (static_cast<std::size_t>(count) * sizeof(T) + kCacheLine - 1) / kCacheLine * kCacheLine;
    return reinterpret_cast<T*>(at);
  }
  std::size_t used() const { return used_; }

 private:
  std::byte* memory_;
  std::size_t used_ = 0;
};

/// body(task, scratch memory) for each of `tasks`, each thread with so many bytes: those of the workspace, or memory of
/// its own where these are fewer.
template <class Body>
void run_tasks(const Workspace& workspace, std::size_t bytes, std::int64_t tasks, Body&& body) {
  TemporaryBuffer<std::byte> own;
  Workspace memory = workspace;
  if (workspace.scratch_bytes() < bytes) {
    own = TemporaryBuffer<std::byte>(bytes * static_cast<std::size_t>(workspace.threads()));
    memory = workspace.with_scratch(own.data(), bytes);
  }
  memory.parallel_for(tasks, body);
}

}  // namespace bnrun
