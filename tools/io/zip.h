// Zip archives, as far as .npz needs them: stored or deflated entries, no encryption, no zip64.
#pragma once

#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bnrun::io {

struct ZipEntry {
  std::string name;
  std::string bytes;
};

bool is_zip(std::string_view bytes);
/// All entries in the order of the archive's directory, their checksums verified. `source` is how messages
/// name the file. Throws invalid_input, or resource_limit for zip64 archives.
std::vector<ZipEntry> read_zip(std::string_view bytes, const std::string& source);
/// Stores the entries uncompressed. Throws resource_limit when zip64 would be needed.
void write_zip(std::ostream& out, std::span<const ZipEntry> entries);

}  // namespace bnrun::io
