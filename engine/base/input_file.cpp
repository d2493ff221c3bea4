#include "base/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/fail.h"

namespace bnrun {

InputFile::InputFile(const std::filesystem::path& path, Kind kind)
    : descriptor_(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)) {
  if (descriptor_ < 0) {
    if (errno == ENOENT) fail(ErrorCode::io, "no such file");
    fail(ErrorCode::io, "cannot be opened for reading: {}", std::strerror(errno));
  }
  try {
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) fail(ErrorCode::io, "cannot be read: {}", std::strerror(errno));
    if (S_ISDIR(status.st_mode)) fail(ErrorCode::io, "is a folder, not a file");
    if (S_ISFIFO(status.st_mode) && kind == Kind::regular_or_pipe) {
      if (::fcntl(descriptor_, F_SETFL, 0) != 0)
        fail(ErrorCode::io, "cannot be read: {}", std::strerror(errno));
      return;
    }
    if (!S_ISREG(status.st_mode))
      fail(ErrorCode::io, "is {}, not a file", S_ISFIFO(status.st_mode) ? "a pipe" : "a device");
    bytes_ = static_cast<std::uint64_t>(status.st_size);
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

InputFile::~InputFile() {
  ::close(descriptor_);
}

void InputFile::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  constexpr std::size_t kMost = std::size_t{1} << 30;  // Linux reads no more than 2 GiB at once
  while (!out.empty()) {
    const auto done =
        ::pread(descriptor_, out.data(), std::min(out.size(), kMost), static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) fail(ErrorCode::io, "cannot be read: {}", std::strerror(errno));
    if (done == 0) fail(ErrorCode::io, "ends before byte {}", offset + out.size());
    offset += static_cast<std::uint64_t>(done);
    out = out.subspan(static_cast<std::size_t>(done));
  }
}

}  // namespace bnrun
