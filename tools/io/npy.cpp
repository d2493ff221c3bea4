#include "io/npy.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <sstream>

#include "io/bytes.h"
#include "io/fail.h"
#include "io/zip.h"

namespace bnrun::io {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kHeaderAlignment = 64;

struct Descr {
  std::string_view code;
  DType dtype;
};
constexpr std::array<Descr, 14> kDescrs = {{{"f4", DType::float32},
                                            {"f8", DType::float64},
                                            {"f2", DType::float16},
                                            {"i1", DType::int8},
                                            {"i2", DType::int16},
                                            {"i4", DType::int32},
                                            {"i8", DType::int64},
                                            {"u1", DType::uint8},
                                            {"u2", DType::uint16},
                                            {"u4", DType::uint32},
                                            {"u8", DType::uint64},
                                            {"b1", DType::boolean},
                                            {"c8", DType::complex64},
                                            {"c16", DType::complex128}}};

struct Header {
  std::string descr;
  bool fortran_order = false;
  Shape shape;
};

/// Reads the Python dictionary literal of a header.
class HeaderReader {
 public:
  HeaderReader(std::string_view text, const std::string& source) : text_(text), source_(source) {}

  Header read() {
    Header header;
    int seen = 0;
    expect('{');
    while (!accept('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr") {
        header.descr = string();
      } else if (key == "fortran_order") {
        header.fortran_order = boolean();
      } else if (key == "shape") {
        header.shape = tuple();
      } else {
        malformed();
      }
      ++seen;
      if (!accept(',') && peek() != '}') malformed();
    }
    if (seen != 3) malformed();
    return header;
  }

 private:
  [[noreturn]] void malformed() const {
    fail(ErrorCode::invalid_input, "{}: the .npy header is malformed or describes no plain array", source_);
  }
  char peek() {
    text_.remove_prefix(std::min(text_.find_first_not_of(" \n"), text_.size()));
    return text_.empty() ? '\0' : text_[0];
  }
  bool accept(char c) {
    if (peek() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c)) malformed();
  }
  std::string string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') malformed();
    const std::size_t end = text_.find(quote, 1);
    if (end == std::string_view::npos) malformed();
    std::string value(text_.substr(1, end - 1));
    text_.remove_prefix(end + 1);
    return value;
  }
  bool boolean() {
    peek();
    for (const auto& [word, value] : {std::pair<std::string_view, bool>{"True", true}, {"False", false}}) {
      if (text_.starts_with(word)) {
        text_.remove_prefix(word.size());
        return value;
      }
    }
    malformed();
  }
  Shape tuple() {
    Shape shape;
    expect('(');
    while (!accept(')')) {
      peek();
      std::int64_t extent = -1;
      const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), extent);
      if (error != std::errc() || extent < 0) malformed();
      text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
      shape.push_back(extent);
      if (!accept(',') && peek() != ')') malformed();
    }
    return shape;
  }

  std::string_view text_;
  const std::string& source_;
};

/// Elements of `bytes` each, from column-major to row-major order.
std::string to_row_major(std::string_view data, const Shape& shape, std::size_t bytes) {
  std::string result(data.size(), '\0');
  const std::size_t rank = shape.rank();
  std::array<std::int64_t, Shape::kMaxRank> index{};
  std::array<std::int64_t, Shape::kMaxRank> stride{};
  for (std::size_t axis = 0; axis < rank; ++axis) stride[axis] = shape.elements(0, axis);
  std::int64_t from = 0;
  for (std::size_t to = 0; to < result.size(); to += bytes) {
    std::memcpy(result.data() + to, data.data() + static_cast<std::size_t>(from) * bytes, bytes);
    for (std::size_t axis = rank; axis-- > 0;) {
      from += stride[axis];
      if (++index[axis] < shape[axis]) break;
      from -= stride[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return result;
}

void append_utf8(std::string& out, std::uint32_t c) {
  const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | (c >> 6));
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | (c >> 12));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | (c >> 18));
    put(0x80 | ((c >> 12) & 0x3F));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

/// Code points of UTF-8 text; a byte that is no UTF-8 stands for itself.
std::u32string code_points(std::string_view text) {
  std::u32string points;
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const std::size_t more = byte >= 0xF0 && byte < 0xF8 ? 3 : byte >= 0xE0 ? 2 : byte >= 0xC0 ? 1 : 0;
    char32_t point = more == 0 ? byte : byte & (0x3Fu >> more);
    bool valid = byte < 0xF8 && i + more < text.size() && (byte < 0x80 || more > 0);
    for (std::size_t k = 1; valid && k <= more; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      valid = (next & 0xC0) == 0x80;
      point = (point << 6) | (next & 0x3Fu);
    }
    points += valid ? point : byte;
    i += valid ? more + 1 : 1;
  }
  return points;
}

/// The elements' text of fixed-width cells: `width` bytes ("S") or UCS-4 characters ("U"), padded with zeros.
Tensor parse_text(std::string_view data, const Shape& shape, char kind, std::size_t width, bool swapped) {
  Tensor tensor(DType::string, shape);
  std::string* out = tensor.mutable_data<std::string>();
  for (std::int64_t i = 0; i < tensor.elements(); ++i, ++out) {
    if (kind == 'S') {
      const auto cell = data.substr(static_cast<std::size_t>(i) * width, width);
      *out = cell.substr(0, cell.find_last_not_of('\0') + 1);
      continue;
    }
    const auto cell = data.substr(static_cast<std::size_t>(i) * width * 4, width * 4);
    for (std::size_t k = 0; k < width; ++k) {
      const auto c = swapped ? read_big<std::uint32_t>(cell, k * 4) : read_little<std::uint32_t>(cell, k * 4);
      if (c != 0) append_utf8(*out, c);
    }
  }
  return tensor;
}

struct Layout {
  DType dtype = DType::undefined;
  char kind = '\0';
  std::size_t width = 0;          ///< characters, of text
  std::size_t element_bytes = 0;  ///< in the file
  bool swapped = false;           ///< big-endian
};

std::optional<Layout> layout_of(std::string_view descr) {
  if (descr.size() < 3) return std::nullopt;
  Layout layout;
  layout.swapped = descr[0] == '>';
  layout.kind = descr[1];
  if (layout.kind == 'U' || layout.kind == 'S') {
    const auto [end, error] = std::from_chars(descr.data() + 2, descr.data() + descr.size(), layout.width);
    if (error != std::errc() || end != descr.data() + descr.size() || layout.width > (1u << 28))
      return std::nullopt;
    layout.dtype = DType::string;
    layout.element_bytes = layout.width * (layout.kind == 'U' ? 4 : 1);
    return layout;
  }
  const auto* const found =
      std::find_if(kDescrs.begin(), kDescrs.end(), [&](const Descr& d) { return d.code == descr.substr(1); });
  if (found == kDescrs.end()) return std::nullopt;
  layout.dtype = found->dtype;
  layout.element_bytes = bnrun::element_bytes(found->dtype);
  return layout;
}

Tensor parse_plain(std::string_view data, const Shape& shape, const Layout& layout) {
  Tensor tensor(layout.dtype, shape);
  if (data.empty()) return tensor;
  void* bytes = tensor.mutable_view().bytes;
  std::memcpy(bytes, data.data(), data.size());
  const bool complex = layout.kind == 'c';
  if (layout.swapped)
    swap_bytes(bytes, data.size(), complex ? layout.element_bytes / 2 : layout.element_bytes);
  if (layout.dtype == DType::boolean) {
    for (bool& value : tensor.mutable_span<bool>()) {
      unsigned char byte = 0;
      std::memcpy(&byte, &value, 1);
      value = byte != 0;
    }
  }
  return tensor;
}

void write_header(std::ostream& out, std::string_view descr, const Shape& shape) {
  std::string dims;
  for (const auto extent : shape) dims += fmt::format("{}, ", extent);
  if (shape.rank() > 1) dims.resize(dims.size() - 2);
  if (shape.rank() == 1) dims.pop_back();
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, dims);
  const std::size_t fixed = kMagic.size() + 2 + 2 + header.size() + 1;
  header.append((kHeaderAlignment - fixed % kHeaderAlignment) % kHeaderAlignment, ' ');
  header += '\n';
  out << kMagic << '\1' << '\0' << little<std::uint16_t>(header.size()) << header;
}

void write_text(std::ostream& out, const TensorView& tensor) {
  std::vector<std::u32string> cells;
  std::size_t width = 1;
  for (const auto& text : tensor.span<std::string>()) {
    cells.push_back(code_points(text));
    width = std::max(width, cells.back().size());
  }
  write_header(out, fmt::format("<U{}", width), tensor.shape);
  for (auto& cell : cells) {
    cell.resize(width, U'\0');
    for (const char32_t c : cell) out << little<std::uint32_t>(c);
  }
}

}  // namespace

bool is_npy(std::string_view bytes) {
  return bytes.starts_with(kMagic);
}

Tensor parse_npy(std::string_view bytes, const std::string& source) {
  if (!is_npy(bytes)) fail(ErrorCode::invalid_input, "{}: this is no .npy file", source);
  const auto truncated = [&] { fail(ErrorCode::invalid_input, "{}: the .npy file is truncated", source); };
  if (bytes.size() < 12) truncated();
  const int version = bytes[6];
  if (version < 1 || version > 3)
    fail(ErrorCode::invalid_input, "{}: .npy format version {} is not known", source, version);
  const std::size_t start = version == 1 ? 10 : 12;
  const std::size_t length =
      version == 1 ? read_little<std::uint16_t>(bytes, 8) : read_little<std::uint32_t>(bytes, 8);
  if (bytes.size() - start < length) truncated();

  const Header header = HeaderReader(bytes.substr(start, length), source).read();
  const auto layout = layout_of(header.descr);
  if (!layout)
    fail(ErrorCode::invalid_input, "{}: arrays of dtype '{}' cannot be read", source, header.descr);
  std::string_view data = bytes.substr(start + length);
  const auto elements = static_cast<std::size_t>(header.shape.elements());
  std::size_t needed = 0;
  if (__builtin_mul_overflow(elements, layout->element_bytes, &needed) || data.size() < needed) truncated();
  if (data.size() > needed)
    fail(ErrorCode::invalid_input, "{}: {} bytes follow the array", source, data.size() - needed);

  std::string reordered;
  if (header.fortran_order && header.shape.rank() > 1 && needed > 0) {
    reordered = to_row_major(data, header.shape, layout->element_bytes);
    data = reordered;
  }
  return layout->dtype == DType::string
             ? parse_text(data, header.shape, layout->kind, layout->width, layout->swapped)
             : parse_plain(data, header.shape, *layout);
}

void write_npy(std::ostream& out, const TensorView& tensor) {
  if (tensor.dtype == DType::string) return write_text(out, tensor);
  if (tensor.dtype == DType::bfloat16) return write_npy(out, convert(tensor, DType::float32));
  const auto* const found =
      std::find_if(kDescrs.begin(), kDescrs.end(), [&](const Descr& d) { return d.dtype == tensor.dtype; });
  if (found == kDescrs.end())
    fail(ErrorCode::internal, "element type {} has no .npy form", name_of(tensor.dtype));
  const std::size_t bytes = element_bytes(tensor.dtype);
  write_header(out, fmt::format("{}{}", bytes == 1 ? '|' : '<', found->code), tensor.shape);
  out.write(static_cast<const char*>(tensor.bytes),
            static_cast<std::streamsize>(static_cast<std::size_t>(tensor.elements()) * bytes));
}

std::vector<NamedTensor> parse_npz(std::string_view bytes, const std::string& source) {
  constexpr std::string_view kSuffix = ".npy";
  std::vector<NamedTensor> tensors;
  for (auto& [name, data] : read_zip(bytes, source)) {
    Tensor tensor = parse_npy(data, fmt::format("{}: {}", source, name));
    if (name.ends_with(kSuffix)) name.resize(name.size() - kSuffix.size());
    tensors.push_back({std::move(name), std::move(tensor)});
  }
  if (tensors.empty()) fail(ErrorCode::invalid_input, "{}: the archive is empty", source);
  return tensors;
}

void write_npz(std::ostream& out, std::span<const NamedTensor> tensors) {
  std::vector<ZipEntry> entries;
  for (const auto& [name, tensor] : tensors) {
    std::ostringstream data;
    write_npy(data, tensor);
    entries.push_back({name + ".npy", std::move(data).str()});
  }
  write_zip(out, entries);
}

}  // namespace bnrun::io
