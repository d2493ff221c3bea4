#include "io/foreign.h"

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "io/fail.h"
#include "io/npy.h"
#include "io/zip.h"

namespace bnrun::io {
namespace {

using namespace std::string_view_literals;

struct ForeignFormat {
  std::string_view start;
  std::string_view what;
};

constexpr std::array<ForeignFormat, 14> kFormats{{
    {"PAR1"sv, "a Parquet file: write it as CSV or .npy"},
    {"ARROW1"sv, "an Arrow file: write it as CSV or .npy"},
    {"FEA1"sv, "a Feather file: write it as CSV or .npy"},
    {"\x89HDF\r\n\x1a\n"sv, "an HDF5 file: write its arrays as .npy"},
    {"MATLAB 5.0 MAT-file"sv, "a MATLAB file: write its arrays as CSV or .npy"},
    {"\xD0\xCF\x11\xE0"sv, "an old Excel workbook (.xls): save the sheet as CSV"},
    {"SQLite format 3\0"sv, "a SQLite database: export the table as CSV"},
    {"%PDF-"sv, "a PDF document"},
    {"\x89PNG"sv, "a PNG picture: write its pixels as .npy"},
    {"\xFF\xD8\xFF"sv, "a JPEG picture: write its pixels as .npy"},
    {"BZh"sv, "compressed by bzip2: unpack it or use gzip"},
    {"\xFD"
     "7zXZ\0"sv,
     "compressed by xz: unpack it or use gzip"},
    {"\x28\xB5\x2F\xFD"sv, "compressed by zstd: unpack it or use gzip"},
    {"7z\xBC\xAF\x27\x1C"sv, "a 7z archive: unpack it"},
}};

bool is_json(std::string_view bytes) {
  const std::size_t begin = bytes.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  if (begin == std::string_view::npos || (bytes[begin] != '{' && bytes[begin] != '[')) return false;
  if (nlohmann::json::accept(bytes.begin(), bytes.end())) return true;
  const std::string_view line = bytes.substr(begin, bytes.find('\n', begin) - begin);
  return line.starts_with('{') && nlohmann::json::accept(line.begin(), line.end());
}

/// Protocols 2 to 5: the opcode PROTO, the number, and STOP at the end.
bool is_pickle(std::string_view bytes) {
  return bytes.size() > 3 && bytes[0] == '\x80' && bytes[1] >= 2 && bytes[1] <= 5 && bytes.ends_with('.');
}

bool is_html(std::string_view bytes) {
  const std::size_t begin = bytes.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  if (begin == std::string_view::npos) return false;
  std::string start(bytes.substr(begin, 14));
  for (char& c : start) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return start.starts_with("<!doctype html") || start.starts_with("<html") || start.starts_with("<?xml");
}

std::string_view what_is(std::string_view bytes) {
  for (const auto& [start, what] : kFormats) {
    if (bytes.starts_with(start)) return what;
  }
  if (is_zip(bytes)) {
    if (bytes.find("xl/workbook") != std::string_view::npos ||
        bytes.find("xl/worksheets") != std::string_view::npos)
      return "an Excel workbook (.xlsx): save the sheet as CSV";
    if (bytes.find("opendocument.spreadsheet") != std::string_view::npos)
      return "an OpenDocument spreadsheet (.ods): save the sheet as CSV";
  }
  if (is_pickle(bytes)) return "a pickle, which only Python can read: write it as CSV or .npy";
  if (is_json(bytes)) return "JSON: write it as CSV or .npy";
  if (is_html(bytes)) return "an HTML or XML page: is it what should have been downloaded?";
  return {};
}

}  // namespace

void refuse_foreign(std::string_view bytes, const std::string& source) {
  const std::string_view what = what_is(bytes);
  if (!what.empty()) fail(ErrorCode::invalid_input, "{}: this is no table in text but {}", source, what);
}

void refuse_unless_text(std::string_view bytes, const std::string& source) {
  refuse_foreign(bytes, source);
  if (is_npy(bytes)) fail(ErrorCode::invalid_input, "{}: this is no table in text but a NumPy array", source);
  if (is_zip(bytes))
    fail(ErrorCode::invalid_input, "{}: this is no table in text but a zip archive: unpack it", source);
  if (bytes.starts_with("\xFF\xFE") || bytes.starts_with("\xFE\xFF"))
    fail(ErrorCode::invalid_input, "{}: the text is UTF-16: save it as UTF-8", source);
  if (bytes.find('\0') != std::string_view::npos)
    fail(ErrorCode::invalid_input, "{}: this is no CSV file: it contains zero bytes", source);
}

}  // namespace bnrun::io
