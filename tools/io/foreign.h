// Files that are no tables in text, named as what they are.
#pragma once

#include <string>
#include <string_view>

namespace bnrun::io {

/// Throws invalid_input that names the format and what to do, when the bytes are those of a spreadsheet,
/// JSON, Parquet, a pickle or another format that no program here reads.
void refuse_foreign(std::string_view bytes, const std::string& source);

/// The same, and for whatever else is no text: arrays, archives, UTF-16.
void refuse_unless_text(std::string_view bytes, const std::string& source);

}  // namespace bnrun::io
