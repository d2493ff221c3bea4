#include "io/events.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "bnrun/error.h"

namespace bnrun::io {
namespace {

constexpr std::array<std::uint32_t, 256> kTable = [] {
  constexpr std::uint32_t kPolynomial = 0x82f63b78;  // reflected
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? kPolynomial : 0);
    table[i] = value;
  }
  return table;
}();

template <class Unsigned>
std::string little_endian(Unsigned value) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof value; ++i) bytes += static_cast<char>((value >> (8 * i)) & 0xff);
  return bytes;
}

/// So that the checksum of bytes that hold checksums is no special one.
std::string masked_crc(std::string_view bytes) {
  return little_endian(std::rotr(crc32c(bytes), 15) + 0xa282ead8U);
}

std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7f) | 0x80);
  return bytes + static_cast<char>(value);
}

// The kinds of fields in a protocol buffer: number << 3 | kind.
std::string integer_field(std::uint64_t number, std::uint64_t value) {
  return varint(number << 3) + varint(value);
}
std::string double_field(std::uint64_t number, double value) {
  return varint(number << 3 | 1) + little_endian(std::bit_cast<std::uint64_t>(value));
}
std::string float_field(std::uint64_t number, float value) {
  return varint(number << 3 | 5) + little_endian(std::bit_cast<std::uint32_t>(value));
}
std::string bytes_field(std::uint64_t number, std::string_view bytes) {
  return varint(number << 3 | 2) + varint(bytes.size()) + std::string(bytes);
}

/// Event.wall_time
std::string now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return double_field(1, std::chrono::duration<double>(since).count());
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const char byte : bytes) crc = (crc >> 8) ^ kTable[(crc ^ static_cast<unsigned char>(byte)) & 0xff];
  return ~crc;
}

EventFile::EventFile(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw Error(ErrorCode::io, fmt::format("{}: cannot be made: {}", folder, error.message()));
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch());
  path_ = (std::filesystem::path(folder) /
           fmt::format("events.out.tfevents.{}.{}.bnrun", seconds.count(), getpid()))
              .string();
  file_.open(path_, std::ios::binary);
  write(now() + bytes_field(3, "brain.Event:2"));  // Event.file_version
}

void EventFile::add(std::int64_t step, std::span<const Scalar> scalars) {
  std::string summary;  // Summary.value: Summary.Value.tag, .simple_value
  for (const auto& [tag, value] : scalars)
    summary += bytes_field(1, bytes_field(1, tag) + float_field(2, static_cast<float>(value)));
  write(now() + integer_field(2, static_cast<std::uint64_t>(step)) + bytes_field(5, summary));
}

void EventFile::write(std::string_view event) {
  const std::string length = little_endian(std::uint64_t{event.size()});
  errno = 0;
  file_ << length << masked_crc(length) << event << masked_crc(event) << std::flush;
  if (!file_)
    throw Error(ErrorCode::io, fmt::format("{}: cannot be written: {}", path_,
                                           errno != 0 ? std::strerror(errno) : "the stream failed"));
}

}  // namespace bnrun::io
