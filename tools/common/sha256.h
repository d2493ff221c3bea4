// SHA-256 (FIPS 180-4), to say which bytes a report speaks of.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bnrun::cli {

/// Takes bytes part by part.
class Sha256 {
 public:
  void add(std::string_view bytes);
  /// 64 hexadecimal digits of all bytes added. Nothing may be added afterwards.
  std::string hex();

 private:
  void take_block();

  std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<unsigned char, 64> block_{};
  std::size_t filled_ = 0;
  std::uint64_t bytes_ = 0;
};

/// Of a regular file; nullopt for anything else (a pipe is read once) and where it cannot be read.
std::optional<std::string> sha256_of_file(const std::string& path);

}  // namespace bnrun::cli
