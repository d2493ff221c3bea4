// A file open for reading, whose opening never waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace bnrun {

/// Opening a FIFO in the usual way waits for a writer, and a device may have no end: what a stranger's model
/// names, or what lies in a folder, must do neither.
class InputFile {
 public:
  enum class Kind {
    regular,
    regular_or_pipe,  ///< a pipe as well: it ends at once where nobody writes
  };

  /// Throws io: there is no such file, it is a folder, a device or a pipe, or cannot be opened. The message does not
  /// name the file.
  InputFile(const std::filesystem::path& path, Kind kind);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  int descriptor() const { return descriptor_; }
  std::uint64_t bytes() const { return bytes_; }  ///< of a regular file

  /// Fills `out` from a regular file. Throws io where it cannot be read or ends before.
  void read_at(std::uint64_t offset, std::span<std::byte> out) const;

 private:
  int descriptor_ = -1;
  std::uint64_t bytes_ = 0;
};

}  // namespace bnrun
