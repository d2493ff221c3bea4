#include "io/idx.h"

#include <cstring>

#include "io/bytes.h"
#include "io/fail.h"

namespace bnrun::io {
namespace {

// Two zero bytes, the element type, the number of dimensions, the dimensions (32 bits each), the elements.
DType element_type(char code) {
  switch (code) {
    case 0x08:
      return DType::uint8;
    case 0x09:
      return DType::int8;
    case 0x0B:
      return DType::int16;
    case 0x0C:
      return DType::int32;
    case 0x0D:
      return DType::float32;
    case 0x0E:
      return DType::float64;
    default:
      return DType::undefined;
  }
}

}  // namespace

bool is_idx(std::string_view bytes) {
  return bytes.size() >= 4 && bytes[0] == 0 && bytes[1] == 0 && element_type(bytes[2]) != DType::undefined &&
         bytes[3] > 0 && static_cast<std::size_t>(bytes[3]) <= Shape::kMaxRank;
}

Tensor parse_idx(std::string_view bytes, const std::string& source) {
  if (!is_idx(bytes)) fail(ErrorCode::invalid_input, "{}: this is no IDX file", source);
  const DType dtype = element_type(bytes[2]);
  const auto rank = static_cast<std::size_t>(bytes[3]);
  const std::size_t start = 4 + 4 * rank;
  if (bytes.size() < start) fail(ErrorCode::invalid_input, "{}: the IDX file is truncated", source);
  Shape shape;
  for (std::size_t axis = 0; axis < rank; ++axis)
    shape.push_back(read_big<std::uint32_t>(bytes, 4 + 4 * axis));
  const std::string_view data = bytes.substr(start);
  std::size_t needed = 0;
  if (__builtin_mul_overflow(static_cast<std::size_t>(shape.elements()), element_bytes(dtype), &needed) ||
      data.size() != needed)
    fail(ErrorCode::invalid_input, "{}: the IDX file has {} bytes of elements; its shape {} needs {}", source,
         data.size(), to_string(shape), needed);
  Tensor tensor(dtype, shape);
  if (needed == 0) return tensor;
  void* elements = tensor.mutable_view().bytes;
  std::memcpy(elements, data.data(), needed);
  swap_bytes(elements, needed, element_bytes(dtype));
  return tensor;
}

}  // namespace bnrun::io
