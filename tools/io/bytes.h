// Integers in byte strings, in either order. The host is little-endian, as Tensor's elements in files are.
#pragma once

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

namespace bnrun::io {

static_assert(std::endian::native == std::endian::little);

/// The integer at `offset`. REQUIRES: it lies within `bytes`.
template <std::unsigned_integral T>
T read_little(std::string_view bytes, std::size_t offset) {
  T value = 0;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

inline void swap_bytes(void* data, std::size_t size, std::size_t element_bytes) {
  auto* bytes = static_cast<std::byte*>(data);
  for (std::size_t i = 0; i < size; i += element_bytes) std::reverse(bytes + i, bytes + i + element_bytes);
}

template <std::unsigned_integral T>
T read_big(std::string_view bytes, std::size_t offset) {
  T value = read_little<T>(bytes, offset);
  swap_bytes(&value, sizeof value, sizeof value);
  return value;
}

/// `value` as sizeof(T) bytes.
template <std::unsigned_integral T>
std::string little(std::size_t value) {
  const auto narrowed = static_cast<T>(value);
  std::string bytes(sizeof narrowed, '\0');
  std::memcpy(bytes.data(), &narrowed, sizeof narrowed);
  return bytes;
}

}  // namespace bnrun::io
