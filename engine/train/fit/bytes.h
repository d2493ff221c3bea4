// Numbers as bytes and back, for checkpoints. Little-endian machines only, as everything here.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/fail.h"

namespace bnrun::train {

/// FNV-1a, 64 bits, of bytes as they come: finds damage, not malice.
class Checksum {
 public:
  void add(std::string_view bytes) {
    for (const char byte : bytes) hash_ = (hash_ ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  }
  template <class V>
  void add(const std::vector<V>& values) {
    add(std::string_view(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(V)));
  }
  std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325;
};

inline std::uint64_t checksum(std::string_view bytes) {
  Checksum sum;
  sum.add(bytes);
  return sum.value();
}

class ByteWriter {
 public:
  template <class V>
  requires std::is_arithmetic_v<V>
  void put(V value) {
    const auto* raw = reinterpret_cast<const char*>(&value);
    bytes_.append(raw, sizeof value);
  }
  template <class V>
  void put(const std::vector<V>& values) {
    put(std::uint64_t{values.size()});
    if (!values.empty())
      bytes_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(V));
  }
  void put(std::string_view text) {
    put(std::uint64_t{text.size()});
    bytes_ += text;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

/// Throws invalid_input where the bytes end too early, or a bool is neither 0 nor 1.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

  template <class V>
  requires std::is_arithmetic_v<V>
  void get(V& value) { std::memcpy(&value, take(sizeof(V)).data(), sizeof(V)); }
  template <class V>
  void get(std::vector<V>& values) {
    const std::string_view raw = take(length(sizeof(V)));
    values.resize(raw.size() / sizeof(V));
    if (!raw.empty()) std::memcpy(values.data(), raw.data(), raw.size());
  }
  void get(bool& value) {
    const char byte = take(1).front();
    if (byte != 0 && byte != 1)
      fail(ErrorCode::invalid_input, "the checkpoint is damaged: an answer is neither yes nor no");
    value = byte == 1;
  }
  void get(std::string& text) { text = take(length(1)); }
  bool at_end() const { return bytes_.empty(); }

 private:
  std::size_t length(std::size_t element) {
    std::uint64_t count = 0;
    get(count);
    if (count > bytes_.size() / element) fail(ErrorCode::invalid_input, "the checkpoint is cut off");
    return static_cast<std::size_t>(count) * element;
  }
  std::string_view take(std::size_t count) {
    if (count > bytes_.size()) fail(ErrorCode::invalid_input, "the checkpoint is cut off");
    const std::string_view part = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return part;
  }

  std::string_view bytes_;
};

}  // namespace bnrun::train
