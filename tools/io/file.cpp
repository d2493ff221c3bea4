#include "io/file.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <new>

#include "io/fail.h"

namespace bnrun::io {
namespace {

namespace fs = std::filesystem;

std::string read_stream(std::istream& in, const std::string& name) {
  constexpr std::size_t kBlock = std::size_t{1} << 20;
  std::string bytes;
  do {
    const std::size_t size = bytes.size();
    bytes.resize(size + kBlock);
    in.read(bytes.data() + size, kBlock);
    bytes.resize(size + static_cast<std::size_t>(in.gcount()));
  } while (in);
  if (in.bad()) fail(ErrorCode::io, "{}: cannot be read", name);
  return bytes;
}

std::string read_raw(const std::string& path) {
  const std::string name = display_name(path);
  if (path == "-") return read_stream(std::cin, name);
  if (fs::is_directory(path)) fail(ErrorCode::io, "{}: is a directory", name);
  std::ifstream in(path, std::ios::binary);
  if (!in) fail(ErrorCode::io, "{}: {}", name, std::strerror(errno));
  return read_stream(in, name);
}

void produce_into(std::ostream& out, const std::string& name,
                  const std::function<void(std::ostream&)>& produce) {
  errno = 0;
  produce(out);
  out.flush();
  if (!out) fail(ErrorCode::io, "{}: cannot be written: {}", name, std::strerror(errno != 0 ? errno : EIO));
}

/// Whether nothing but zero bytes are left to decompress.
bool only_zeros(const z_stream& stream, std::string_view later) {
  const std::string_view now(reinterpret_cast<const char*>(stream.next_in), stream.avail_in);
  return now.find_first_not_of('\0') == std::string_view::npos &&
         later.find_first_not_of('\0') == std::string_view::npos;
}

/// Where a file of this name is, or will be: links are followed, also one to a file that is not there yet.
fs::path behind_links(const std::string& path) {
  std::error_code error;
  const fs::path real = fs::weakly_canonical(path, error);
  if (error) fail(ErrorCode::io, "{}: cannot be written: {}", path, error.message());
  if (!fs::is_symlink(real, error)) return real;
  return behind_links((real.parent_path() / fs::read_symlink(real)).string());
}

/// Removes an unfinished file unless it was renamed.
struct Unfinished {
  fs::path path;
  ~Unfinished() {
    std::error_code ignored;
    fs::remove(path, ignored);
  }
};

}  // namespace

std::string display_name(const std::string& path) {
  return path == "-" ? "standard input" : path;
}

bool is_gzip(std::string_view bytes) {
  return bytes.starts_with("\x1f\x8b");
}

std::string gunzip(std::string_view bytes, const std::string& name) {
  constexpr int kGzipOnly = 15 + 16;
  z_stream stream{};
  if (inflateInit2(&stream, kGzipOnly) != Z_OK) fail(ErrorCode::resource_limit, "{}: no memory", name);
  struct End {
    z_stream* stream;
    ~End() { inflateEnd(stream); }
  } const end{&stream};

  std::string out;
  std::string block(std::size_t{1} << 16, '\0');
  int state = Z_OK;
  while (!bytes.empty() || stream.avail_in > 0) {
    if (stream.avail_in == 0) {
      const std::size_t part =
          std::min(bytes.size(), static_cast<std::size_t>(std::numeric_limits<uInt>::max()));
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
      stream.avail_in = static_cast<uInt>(part);
      bytes.remove_prefix(part);
    }
    if (state == Z_STREAM_END) {
      if (only_zeros(stream, bytes)) break;  // tapes and block devices pad
      inflateReset(&stream);                 // a file may hold several members
    }
    do {
      stream.next_out = reinterpret_cast<Bytef*>(block.data());
      stream.avail_out = static_cast<uInt>(block.size());
      state = inflate(&stream, Z_NO_FLUSH);
      if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR)
        fail(ErrorCode::invalid_input, "{}: damaged gzip data", name);
      out.append(block.data(), block.size() - stream.avail_out);
    } while (state != Z_STREAM_END && stream.avail_out == 0);
  }
  if (state != Z_STREAM_END) fail(ErrorCode::invalid_input, "{}: truncated gzip data", name);
  return out;
}

std::string read_file(const std::string& path) {
  try {
    std::string bytes = read_raw(path);
    return is_gzip(bytes) ? gunzip(bytes, display_name(path)) : bytes;
  } catch (const std::bad_alloc&) {
    fail(ErrorCode::resource_limit, "{}: does not fit in memory", display_name(path));
  }
}

bool keeps_what_is_written(const std::string& path) {
  std::error_code none;
  const auto status = fs::status(path, none);
  return path != "-" && (!fs::exists(status) || fs::is_regular_file(status) || fs::is_directory(status));
}

void check_writable(const std::string& path) {
  if (path == "-") return;
  std::error_code error;
  const auto status = fs::status(path, error);
  if (fs::is_directory(status)) fail(ErrorCode::io, "{}: is a directory", path);
  if (status.type() == fs::file_type::none)  // links in a circle, say
    fail(ErrorCode::io, "{}: cannot be written: {}", path, error.message());
  const bool in_place = fs::exists(status) && !fs::is_regular_file(status);
  fs::path changed = in_place ? fs::path(path) : behind_links(path).parent_path();
  if (changed.empty()) changed = ".";
  if (!in_place && !fs::is_directory(changed, error))
    fail(ErrorCode::io, "{}: there is no folder {}", path, changed.string());
  if (::access(changed.c_str(), W_OK) != 0)
    fail(ErrorCode::io, "{}: cannot be written: {}", path, std::strerror(errno));
}

void write_file(const std::string& path, const std::function<void(std::ostream&)>& produce) {
  if (path == "-") return produce_into(std::cout, "standard output", produce);
  std::error_code error;
  const auto kind = fs::status(path, error).type();
  if (kind == fs::file_type::directory) fail(ErrorCode::io, "{}: is a directory", path);
  if (kind == fs::file_type::none) fail(ErrorCode::io, "{}: cannot be written: {}", path, error.message());
  const bool in_place = fs::exists(fs::file_status(kind)) && kind != fs::file_type::regular;
  const fs::path target = in_place ? fs::path(path) : behind_links(path);
  const Unfinished part{in_place ? fs::path()
                                 : fs::path(fmt::format("{}.{}.part", target.string(), ::getpid()))};
  std::ofstream out(in_place ? target : part.path, std::ios::binary);
  if (!out) fail(ErrorCode::io, "{}: cannot be written: {}", path, std::strerror(errno));
  produce_into(out, path, produce);
  out.close();
  if (!out) fail(ErrorCode::io, "{}: cannot be written: {}", path, std::strerror(errno));
  if (in_place) return;
  fs::rename(part.path, target, error);
  if (error) fail(ErrorCode::io, "{}: cannot be replaced: {}", path, error.message());
}

void check_keeps(const std::string& path) {
  std::error_code error;
  const auto status = fs::status(path, error);
  if (fs::exists(status) && !fs::is_regular_file(status))
    fail(ErrorCode::io, "{}: is no regular file, and would keep nothing", path);
}

void write_durably(const std::string& path, std::string_view bytes) {
  check_keeps(path);
  std::error_code none;
  const fs::path target = fs::exists(path, none) ? fs::canonical(path) : fs::path(path);
  const auto refuse = [&] { fail(ErrorCode::io, "{}: cannot be written: {}", path, std::strerror(errno)); };
  struct Descriptor {
    int number;
    ~Descriptor() { ::close(number); }
  };
  const Unfinished part{target.string() + ".part"};
  {
    const Descriptor file{::open(part.path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
    if (file.number < 0) refuse();
    while (!bytes.empty()) {
      const auto count = ::write(file.number, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) refuse();
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    if (::fsync(file.number) != 0) refuse();
  }
  if (::rename(part.path.c_str(), target.c_str()) != 0) refuse();
  const fs::path folder = target.parent_path();
  const Descriptor opened{::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (opened.number < 0 || (::fsync(opened.number) != 0 && errno != EINVAL)) refuse();
}

}  // namespace bnrun::io
