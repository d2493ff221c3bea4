#include "io/zip.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "io/bytes.h"
#include "io/fail.h"

namespace bnrun::io {
namespace {

// Record layouts: PKWARE APPNOTE.TXT 6.3, sections 4.3.7 (local header), 4.3.12 (directory), 4.3.16 (end).
constexpr std::string_view kLocalSignature = "PK\3\4";
constexpr std::string_view kDirectorySignature = "PK\1\2";
constexpr std::string_view kEndSignature = "PK\5\6";
constexpr std::size_t kLocalBytes = 30;
constexpr std::size_t kDirectoryBytes = 46;
constexpr std::size_t kEndBytes = 22;
constexpr std::uint32_t kZip64Marker = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint16_t kStored = 0;
constexpr std::uint16_t kDeflated = 8;
constexpr std::uint16_t kUtf8Names = 1u << 11;
constexpr std::uint16_t kVersion = 20;               // 2.0: plain files, deflate
constexpr std::uint16_t kFirstDay = (1u << 5) | 1u;  // 1980-01-01: equal arrays give equal files

std::uint32_t checksum(std::string_view bytes) {
  return static_cast<std::uint32_t>(
      ::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<z_size_t>(bytes.size())));
}

/// Raw deflate data whose uncompressed size is known; nullopt when it is not exactly that.
std::optional<std::string> inflate_raw(std::string_view data, std::size_t size) {
  // Deflate cannot shrink by more than 1032:1, so a small entry cannot claim a huge size.
  if (size / 1032 > data.size() + 1) return std::nullopt;
  std::string out(size, '\0');
  z_stream stream{};
  if (inflateInit2(&stream, -15) != Z_OK) return std::nullopt;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(size);
  const int state = inflate(&stream, Z_FINISH);
  const bool complete = state == Z_STREAM_END && stream.avail_out == 0 && stream.avail_in == 0;
  inflateEnd(&stream);
  return complete ? std::optional(std::move(out)) : std::nullopt;
}

class ZipReader {
 public:
  ZipReader(std::string_view bytes, const std::string& source) : bytes_(bytes), source_(source) {}

  std::vector<ZipEntry> read() const {
    const std::size_t end = bytes_.rfind(kEndSignature);
    if (end == std::string_view::npos || bytes_.size() - end < kEndBytes) damaged("its directory is missing");
    const std::size_t count = read_little<std::uint16_t>(bytes_, end + 10);
    std::size_t at = read_little<std::uint32_t>(bytes_, end + 16);
    if (count == std::numeric_limits<std::uint16_t>::max() || at == kZip64Marker) zip64();
    std::vector<ZipEntry> entries;
    for (std::size_t i = 0; i < count; ++i) entries.push_back(read_entry(at));
    return entries;
  }

 private:
  [[noreturn]] void damaged(std::string_view why) const {
    fail(ErrorCode::invalid_input, "{}: the archive is damaged: {}", source_, why);
  }
  [[noreturn]] void zip64() const {
    fail(ErrorCode::resource_limit, "{}: archives of 4 GiB and more (zip64) cannot be read; use .npy files",
         source_);
  }
  void check_record(std::size_t at, std::size_t size, std::string_view signature) const {
    if (at > bytes_.size() || bytes_.size() - at < size || bytes_.substr(at, 4) != signature)
      damaged("a record is missing");
  }

  /// Reads the entry whose directory record is at `at` and moves `at` to the next one.
  ZipEntry read_entry(std::size_t& at) const {
    check_record(at, kDirectoryBytes, kDirectorySignature);
    const auto flags = read_little<std::uint16_t>(bytes_, at + 8);
    const auto method = read_little<std::uint16_t>(bytes_, at + 10);
    const auto crc = read_little<std::uint32_t>(bytes_, at + 16);
    const std::size_t compressed = read_little<std::uint32_t>(bytes_, at + 20);
    const std::size_t size = read_little<std::uint32_t>(bytes_, at + 24);
    const std::size_t name_bytes = read_little<std::uint16_t>(bytes_, at + 28);
    const std::size_t local = read_little<std::uint32_t>(bytes_, at + 42);
    if (compressed == kZip64Marker || size == kZip64Marker || local == kZip64Marker) zip64();
    ZipEntry entry;
    entry.name = bytes_.substr(at + kDirectoryBytes, name_bytes);
    at += kDirectoryBytes + name_bytes + read_little<std::uint16_t>(bytes_, at + 30) +
          read_little<std::uint16_t>(bytes_, at + 32);

    check_record(local, kLocalBytes, kLocalSignature);
    const std::size_t begin = local + kLocalBytes + read_little<std::uint16_t>(bytes_, local + 26) +
                              read_little<std::uint16_t>(bytes_, local + 28);
    if (begin > bytes_.size() || bytes_.size() - begin < compressed) damaged(entry.name + " is truncated");
    const std::string_view data = bytes_.substr(begin, compressed);
    if ((flags & 1u) != 0) fail(ErrorCode::invalid_input, "{}: {} is encrypted", source_, entry.name);
    if (method == kStored && size == compressed) {
      entry.bytes = data;
    } else if (method == kDeflated) {
      auto inflated = inflate_raw(data, size);
      if (!inflated) damaged(entry.name + " cannot be inflated");
      entry.bytes = std::move(*inflated);
    } else {
      fail(ErrorCode::invalid_input, "{}: {} is compressed by a method other than deflate", source_,
           entry.name);
    }
    if (checksum(entry.bytes) != crc) damaged(entry.name + " has a wrong checksum");
    return entry;
  }

  std::string_view bytes_;
  const std::string& source_;
};

std::uint32_t checked_size(std::size_t size) {
  if (size >= kZip64Marker)
    fail(ErrorCode::resource_limit, "an .npz file cannot hold 4 GiB; write the arrays as .npy files");
  return static_cast<std::uint32_t>(size);
}

}  // namespace

bool is_zip(std::string_view bytes) {
  return bytes.starts_with(kLocalSignature) || bytes.starts_with(kEndSignature);
}

std::vector<ZipEntry> read_zip(std::string_view bytes, const std::string& source) {
  return ZipReader(bytes, source).read();
}

void write_zip(std::ostream& out, std::span<const ZipEntry> entries) {
  using U16 = std::uint16_t;
  using U32 = std::uint32_t;
  if (entries.size() >= std::numeric_limits<U16>::max())
    fail(ErrorCode::resource_limit, "an .npz file cannot hold {} arrays", entries.size());
  std::size_t offset = 0;
  std::string directory;
  for (const auto& entry : entries) {
    const std::size_t size = checked_size(entry.bytes.size());
    // What local header and directory record have in common.
    const std::string common = little<U16>(kVersion) + little<U16>(kUtf8Names) + little<U16>(kStored) +
                               little<U16>(0) + little<U16>(kFirstDay) + little<U32>(checksum(entry.bytes)) +
                               little<U32>(size) + little<U32>(size) + little<U16>(entry.name.size()) +
                               little<U16>(0);
    out << kLocalSignature << common << entry.name << entry.bytes;
    directory.append(kDirectorySignature) += little<U16>(kVersion) + common;
    directory += std::string(10, '\0') + little<U32>(checked_size(offset)) + entry.name;
    offset += kLocalBytes + entry.name.size() + entry.bytes.size();
  }
  out << directory << kEndSignature << std::string(4, '\0') << little<U16>(entries.size())
      << little<U16>(entries.size()) << little<U32>(directory.size()) << little<U32>(checked_size(offset))
      << little<U16>(0);
}

}  // namespace bnrun::io
