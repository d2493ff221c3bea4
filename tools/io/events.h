// TensorBoard's event files: numbers over time, as records of protocol buffers.
#pragma once

#include <cstdint>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace bnrun::io {

/// CRC-32C (Castagnoli), as in RFC 3720, appendix B.4.
std::uint32_t crc32c(std::string_view bytes);

/// One file of a folder, which is made where it is missing. Each record is length, checksum, bytes, checksum, the
/// checksums masked (tensorflow/core/lib/io/record_writer.h describes the format, tensorflow/core/util/event.proto
/// the records). What was added is in the file at once, so that a training can be watched.
class EventFile {
 public:
  /// Throws io.
  explicit EventFile(const std::string& folder);

  using Scalar = std::pair<std::string, double>;  ///< tag and value
  /// One record. Throws io.
  void add(std::int64_t step, std::span<const Scalar> scalars);

 private:
  void write(std::string_view event);

  std::string path_;
  std::ofstream file_;
};

}  // namespace bnrun::io
