#include "onnx/tensor_proto.h"

#include <google/protobuf/io/zero_copy_stream_impl.h>

#include <bit>
#include <cstring>
#include <optional>

#include "base/dispatch.h"
#include "base/fail.h"
#include "base/input_file.h"
#include "base/memory.h"
#include "bnrun/conformance.h"
#include "onnx/unknown_fields.h"

namespace bnrun {
namespace {

static_assert(std::endian::native == std::endian::little, "raw_data is little-endian and is copied as it is");

std::string label(const onnx::TensorProto& proto) {
  return fmt::format("tensor '{}'", proto.name());
}

DType read_dtype(const onnx::TensorProto& proto) {
  const auto dtype = static_cast<DType>(proto.data_type());
  if (proto.data_type() <= 0)
    fail(ErrorCode::invalid_model, "{} has no element type ({})", label(proto), proto.data_type());
  if (proto.data_type() > 255 || element_bytes(dtype) == 0) {
    fail(ErrorCode::unsupported, "{} has element type {}, which is not supported", label(proto),
         proto.data_type());
  }
  return dtype;
}

Shape read_shape(const onnx::TensorProto& proto) {
  Shape shape;
  for (const auto extent : proto.dims()) {
    if (extent < 0) fail(ErrorCode::invalid_model, "{} has a negative dimension", label(proto));
    shape.push_back(extent);
  }
  return shape;
}

/// A path that stays in the folder it is resolved against.
std::filesystem::path resolve_inside(const ExternalDataDoor& door, const std::filesystem::path& location,
                                     const onnx::TensorProto& proto) {
  namespace fs = std::filesystem;
  if (door.folder.empty())
    fail(ErrorCode::invalid_model, "{} has external data, but the model has no folder", label(proto));
  bool climbs = location.is_absolute() || location.empty();
  for (const auto& part : location) climbs = climbs || part == "..";
  std::error_code error;
  const fs::path folder = fs::weakly_canonical(door.folder, error);
  const fs::path file = fs::weakly_canonical(door.folder / location, error);
  const auto inside = file.lexically_relative(folder);
  if (climbs || inside.empty() || *inside.begin() == "..") {
    fail(ErrorCode::invalid_model, "{} names external data outside the model's folder: '{}'", label(proto),
         location.string());
  }
  return file;
}

std::optional<std::uint64_t> parse_count(const std::string& text) {
  std::uint64_t value = 0;
  if (text.empty()) return std::nullopt;
  for (const char c : text) {
    if (c < '0' || c > '9' || __builtin_mul_overflow(value, 10, &value) ||
        __builtin_add_overflow(value, static_cast<std::uint64_t>(c - '0'), &value)) {
      return std::nullopt;
    }
  }
  return value;
}

/// REQUIRES: as many bytes as the shape needs.
Tensor read_bytes(const StoredRawData& stored, DType dtype, const Shape& shape) {
  Tensor tensor = Tensor::uninitialized(dtype, shape);
  stored.file.read_at(stored.at.offset,
                      {static_cast<std::byte*>(tensor.mutable_view().bytes), stored.at.bytes});
  return tensor;
}

/// `bytes`: what the shape needs. Nothing is allocated before the file is known to hold as many.
Tensor read_external(const onnx::TensorProto& proto, const ExternalDataDoor& door, DType dtype,
                     const Shape& shape, std::uint64_t bytes) {
  std::string location;
  std::uint64_t offset = 0;
  std::uint64_t length = bytes;
  for (const auto& entry : proto.external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() != "offset" && entry.key() != "length") continue;
    const auto count = parse_count(entry.value());
    if (!count)
      fail(ErrorCode::invalid_model, "{} has external {} '{}', which is no byte count", label(proto),
           entry.key(), entry.value());
    (entry.key() == "offset" ? offset : length) = *count;
  }
  if (length != bytes)
    fail(ErrorCode::invalid_model, "{} has {} bytes of external data, its shape needs {}", label(proto),
         length, bytes);
  const auto path = resolve_inside(door, location, proto);
  try {
    const InputFile file(path, InputFile::Kind::regular);
    if (offset > file.bytes() || bytes > file.bytes() - offset)
      fail(ErrorCode::invalid_model, "ends before byte {}", offset + bytes);
    return read_bytes({file, {offset, bytes}}, dtype, shape);
  } catch (const Error& error) {
    throw error.within(fmt::format("{}: its external data file '{}'", label(proto), path.string()));
  }
}

template <class T, class Field, class Convert>
void copy_field(const onnx::TensorProto& proto, const Field& field, MutableTensorView out, Convert convert,
                std::int64_t numbers_per_element = 1) {
  if (field.size() != out.elements() * numbers_per_element) {
    fail(ErrorCode::invalid_model, "{} holds {} values, its shape {} needs {}", label(proto), field.size(),
         to_string(out.shape), out.elements() * numbers_per_element);
  }
  T* target = static_cast<T*>(out.bytes);
  for (const auto& value : field) *target++ = convert(value);
}

void read_typed(const onnx::TensorProto& proto, MutableTensorView out) {
  const auto cast_to = []<class T>() { return [](auto value) { return static_cast<T>(value); }; };
  switch (out.dtype) {
    case DType::float32:
      return copy_field<float>(proto, proto.float_data(), out, cast_to.operator()<float>());
    case DType::complex64:
      return copy_field<float>(proto, proto.float_data(), out, cast_to.operator()<float>(), 2);
    case DType::float64:
      return copy_field<double>(proto, proto.double_data(), out, cast_to.operator()<double>());
    case DType::complex128:
      return copy_field<double>(proto, proto.double_data(), out, cast_to.operator()<double>(), 2);
    case DType::int64:
      return copy_field<std::int64_t>(proto, proto.int64_data(), out, cast_to.operator()<std::int64_t>());
    case DType::uint64:
      return copy_field<std::uint64_t>(proto, proto.uint64_data(), out, cast_to.operator()<std::uint64_t>());
    case DType::uint32:
      return copy_field<std::uint32_t>(proto, proto.uint64_data(), out, cast_to.operator()<std::uint32_t>());
    case DType::int32:
      return copy_field<std::int32_t>(proto, proto.int32_data(), out, cast_to.operator()<std::int32_t>());
    case DType::int16:
      return copy_field<std::int16_t>(proto, proto.int32_data(), out, cast_to.operator()<std::int16_t>());
    case DType::int8:
      return copy_field<std::int8_t>(proto, proto.int32_data(), out, cast_to.operator()<std::int8_t>());
    case DType::uint8:
      return copy_field<std::uint8_t>(proto, proto.int32_data(), out, cast_to.operator()<std::uint8_t>());
    case DType::uint16:
    case DType::float16:
    case DType::bfloat16:
      return copy_field<std::uint16_t>(proto, proto.int32_data(), out, cast_to.operator()<std::uint16_t>());
    case DType::boolean:
      return copy_field<bool>(proto, proto.int32_data(), out, [](auto value) { return value != 0; });
    case DType::string:
      return copy_field<std::string>(proto, proto.string_data(), out,
                                     [](const auto& value) { return value; });
    case DType::undefined:
      break;
  }
  fail(ErrorCode::internal, "{}: unhandled element type", label(proto));
}

std::uint64_t held_bytes(const onnx::TensorProto& proto) {
  return proto.raw_data().size() +
         4 * static_cast<std::uint64_t>(proto.float_data_size() + proto.int32_data_size()) +
         8 * static_cast<std::uint64_t>(proto.double_data_size() + proto.int64_data_size() +
                                        proto.uint64_data_size()) +
         sizeof(std::string) * static_cast<std::uint64_t>(proto.string_data_size());
}

/// Throws resource_limit for more than a file can hold beside the message, or the machine in its memory.
std::uint64_t bytes_of(const onnx::TensorProto& proto, DType dtype, const Shape& shape) {
  constexpr std::uint64_t kMostInMessage = 0x7fffffff;
  try {
    const std::uint64_t bytes = bnrun::bytes_of(shape.elements(), dtype);
    const bool inside = proto.data_location() != onnx::TensorProto::EXTERNAL;
    const std::uint64_t smallest = dtype == DType::string ? bytes / element_bytes(dtype) : bytes;
    if (inside && smallest > kMostInMessage)
      fail(ErrorCode::resource_limit, "shape {} needs {} bytes, and a message holds no more than {}",
           to_string(shape), smallest, kMostInMessage);
    return bytes;
  } catch (const Error& error) {
    throw error.within(label(proto));
  }
}

/// How many of its fields hold elements.
int data_fields(const onnx::TensorProto& proto) {
  return (proto.raw_data().empty() ? 0 : 1) + (proto.float_data_size() > 0 ? 1 : 0) +
         (proto.int32_data_size() > 0 ? 1 : 0) + (proto.string_data_size() > 0 ? 1 : 0) +
         (proto.int64_data_size() > 0 ? 1 : 0) + (proto.double_data_size() > 0 ? 1 : 0) +
         (proto.uint64_data_size() > 0 ? 1 : 0);
}

}  // namespace

Tensor read_tensor(onnx::TensorProto& proto, const ExternalDataDoor& door, const StoredRawData* stored) {
  const DType dtype = read_dtype(proto);
  const Shape shape = read_shape(proto);
  // Before anything else and before allocating: a few bytes of file cannot claim much memory.
  const std::uint64_t bytes = bytes_of(proto, dtype, shape);
  const bool external = proto.data_location() == onnx::TensorProto::EXTERNAL;
  const int fields = data_fields(proto) + (stored != nullptr ? 1 : 0);
  if (external && fields > 0)
    fail(ErrorCode::invalid_model, "{} holds data, though it names external data", label(proto));
  if (fields > 1)
    fail(ErrorCode::invalid_model, "{} holds its data twice, in {} fields", label(proto), fields);
  if (external && dtype == DType::string)
    fail(ErrorCode::invalid_model, "{}: strings cannot be external data", label(proto));
  const std::uint64_t smallest = dtype == DType::string ? bytes / element_bytes(dtype) : bytes;
  const std::uint64_t raw_bytes = stored != nullptr ? stored->at.bytes : proto.raw_data().size();
  if (!external && held_bytes(proto) + (stored != nullptr ? raw_bytes : 0) < smallest) {
    fail(ErrorCode::invalid_model, "{} holds less data than its shape {} needs", label(proto),
         to_string(shape));
  }
  const bool raw = (stored != nullptr || proto.has_raw_data()) && dtype != DType::string;
  if (!external && raw && raw_bytes != bytes) {
    fail(ErrorCode::invalid_model, "{} holds {} bytes, its shape {} needs {}", label(proto), raw_bytes,
         to_string(shape), bytes);
  }
  Tensor tensor;
  if (external) {
    tensor = read_external(proto, door, dtype, shape, bytes);
  } else if (raw && stored != nullptr) {
    tensor = read_bytes(*stored, dtype, shape);
  } else if (raw) {
    tensor = Tensor::copy_of({dtype, shape, proto.raw_data().data()});
  } else {
    tensor = Tensor(dtype, shape);
    read_typed(proto, tensor.mutable_view());
  }
  delete proto.release_raw_data();
  onnx::TensorProto emptied;
  emptied.set_name(proto.name());
  if (proto.has_doc_string()) emptied.set_doc_string(proto.doc_string());
  append(*emptied.mutable_unknown_fields(), proto.unknown_fields());
  proto.Swap(&emptied);
  return tensor;
}

void write_tensor_type(const Tensor& tensor, onnx::TensorProto& proto) {
  proto.set_data_type(static_cast<std::int32_t>(tensor.dtype()));
  proto.clear_dims();
  for (const auto extent : tensor.shape()) proto.add_dims(extent);
}

void write_tensor(const Tensor& tensor, onnx::TensorProto& proto) {
  write_tensor_type(tensor, proto);
  if (tensor.dtype() == DType::string) {
    for (const auto& text : tensor.span<std::string>()) proto.add_string_data(text);
  } else {
    proto.set_raw_data(tensor.view().bytes, tensor.bytes());
  }
}

Tensor read_tensor_file(const std::filesystem::path& path) {
  try {
    const InputFile file(path, InputFile::Kind::regular_or_pipe);
    onnx::TensorProto proto;
    google::protobuf::io::FileInputStream stream(file.descriptor());
    if (!proto.ParseFromZeroCopyStream(&stream))
      fail(ErrorCode::invalid_input, "is no serialised TensorProto");
    return read_tensor(proto, {});
  } catch (const Error& error) {
    // The tensor is data given to a model, not a part of one.
    const auto code = error.code() == ErrorCode::invalid_model ? ErrorCode::invalid_input : error.code();
    throw Error(code, error.what()).within(path.string());
  }
}

}  // namespace bnrun
