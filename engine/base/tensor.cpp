#include "bnrun/tensor.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <type_traits>

#include "base/aligned_buffer.h"
#include "base/dispatch.h"
#include "base/fail.h"
#include "base/memory.h"

namespace bnrun {
namespace {

/// Strings are empty, other elements uninitialised.
std::shared_ptr<void> allocate_storage(DType dtype, std::size_t elements) {
  const std::size_t bytes = bytes_of(static_cast<std::int64_t>(elements), dtype);
  try {
    if (dtype == DType::string) {
      return {new std::string[elements], [](void* p) { delete[] static_cast<std::string*>(p); }};
    }
    return {allocate_aligned(bytes), [bytes](void* p) { free_aligned(p, bytes); }};
  } catch (const std::bad_alloc&) {
    fail(ErrorCode::resource_limit, "no memory for {} elements of {}", elements, name_of(dtype));
  }
}

void copy_elements(DType dtype, const void* from, void* to, std::size_t elements) {
  if (elements == 0) return;
  if (dtype == DType::string) {
    std::copy_n(static_cast<const std::string*>(from), elements, static_cast<std::string*>(to));
  } else {
    std::memcpy(to, from, elements * element_bytes(dtype));
  }
}

}  // namespace

// ---------------------------------------------------------------- fp16 and bf16

Half::Half(float value) {
  const auto x = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (x >> 16) & 0x8000u;
  const std::uint32_t magnitude = x & 0x7fffffffu;
  std::uint32_t half = 0;
  if (magnitude > 0x7f800000u) {  // NaN keeps the top of its payload and stays quiet
    half = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
  } else if (magnitude >= 0x477ff000u) {  // rounds to 65536 or more
    half = 0x7c00u;
  } else if (magnitude < 0x38800000u) {  // below 2^-14: the sum's rounding places the subnormal bits
    const float aligned = std::bit_cast<float>(magnitude) + 0.5f;
    half = std::bit_cast<std::uint32_t>(aligned) - std::bit_cast<std::uint32_t>(0.5f);
  } else {
    half = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  }
  bits = static_cast<std::uint16_t>(sign | half);
}

Half::operator float() const {
  const std::uint32_t sign = (bits & 0x8000u) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1fu;
  const std::uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t wide_exponent = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | (wide_exponent << 23) | (mantissa << 13));
}

BFloat16::BFloat16(float value) {
  const auto x = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = std::isnan(value) ? (x | 0x00400000u) : x + 0x7fffu + ((x >> 16) & 1u);
  bits = static_cast<std::uint16_t>(rounded >> 16);
}

BFloat16::operator float() const {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

// ---------------------------------------------------------------- element types

std::string_view name_of(DType dtype) {
  constexpr std::string_view kNames[] = {
      "undefined", "float32", "uint8",   "int8",   "uint16", "int16",     "int32",      "int64",   "string",
      "bool",      "float16", "float64", "uint32", "uint64", "complex64", "complex128", "bfloat16"};
  const auto index = static_cast<std::size_t>(dtype);
  return index < std::size(kNames) ? kNames[index] : "unknown";
}

std::size_t element_bytes(DType dtype) {
  switch (dtype) {
    case DType::undefined:
      return 0;
    case DType::uint8:
    case DType::int8:
    case DType::boolean:
      return 1;
    case DType::uint16:
    case DType::int16:
    case DType::float16:
    case DType::bfloat16:
      return 2;
    case DType::float32:
    case DType::int32:
    case DType::uint32:
      return 4;
    case DType::int64:
    case DType::uint64:
    case DType::float64:
    case DType::complex64:
      return 8;
    case DType::complex128:
      return 16;
    case DType::string:
      return sizeof(std::string);
  }
  return 0;
}

bool is_floating(DType dtype) {
  return dtype == DType::float32 || dtype == DType::float64 || dtype == DType::float16 ||
         dtype == DType::bfloat16;
}

bool is_integer(DType dtype) {
  switch (dtype) {
    case DType::uint8:
    case DType::int8:
    case DType::uint16:
    case DType::int16:
    case DType::uint32:
    case DType::int32:
    case DType::uint64:
    case DType::int64:
      return true;
    default:
      return false;
  }
}

// ---------------------------------------------------------------- Shape

Shape::Shape(std::span<const std::int64_t> dims) {
  for (const auto extent : dims) push_back(extent);
}

Shape Shape::filled(std::size_t rank, std::int64_t extent) {
  Shape shape;
  for (std::size_t i = 0; i < rank; ++i) shape.push_back(extent);
  return shape;
}

void Shape::push_back(std::int64_t extent) {
  insert(rank_, extent);
}

void Shape::insert(std::size_t axis, std::int64_t extent) {
  if (rank_ == kMaxRank)
    fail(ErrorCode::resource_limit, "tensors of more than {} dimensions are not supported", kMaxRank);
  for (std::size_t i = rank_; i > axis; --i) dims_[i] = dims_[i - 1];
  dims_[axis] = extent;
  ++rank_;
}

void Shape::erase(std::size_t axis) {
  for (std::size_t i = axis; i + 1 < rank_; ++i) dims_[i] = dims_[i + 1];
  --rank_;
}

std::int64_t Shape::elements(std::size_t first, std::size_t last) const {
  std::int64_t product = 1;
  bool empty = false;
  for (std::size_t i = first; i < last; ++i) {
    if (dims_[i] < 0) fail(ErrorCode::internal, "shape {} has a negative dimension", to_string(*this));
    empty = empty || dims_[i] == 0;
  }
  if (empty) return 0;
  for (std::size_t i = first; i < last; ++i) {
    if (__builtin_mul_overflow(product, dims_[i], &product)) {
      fail(ErrorCode::resource_limit, "shape {} has more elements than memory can address", to_string(*this));
    }
  }
  return product;
}

std::string to_string(const Shape& shape) {
  return fmt::format("[{}]", fmt::join(shape.begin(), shape.end(), ","));
}

std::string to_string(const TensorType& type) {
  return std::string(name_of(type.dtype)) + to_string(type.shape);
}

// ---------------------------------------------------------------- views and Tensor

void TensorView::check_type(DType wanted) const {
  if (dtype != wanted) fail(ErrorCode::internal, "{} elements read as {}", name_of(dtype), name_of(wanted));
}

void MutableTensorView::check_type(DType wanted) const {
  if (dtype != wanted)
    fail(ErrorCode::internal, "{} elements written as {}", name_of(dtype), name_of(wanted));
}

Tensor::Tensor(DType dtype, const Shape& shape) : Tensor(uninitialized(dtype, shape)) {
  if (dtype != DType::string) std::memset(storage_.get(), 0, bytes());
}

Tensor Tensor::uninitialized(DType dtype, const Shape& shape) {
  Tensor tensor;
  tensor.storage_ = allocate_storage(dtype, static_cast<std::size_t>(shape.elements()));
  tensor.dtype_ = dtype;
  tensor.shape_ = shape;
  return tensor;
}

Tensor Tensor::copy_of(const TensorView& view) {
  Tensor tensor = uninitialized(view.dtype, view.shape);
  copy_elements(view.dtype, view.bytes, tensor.storage_.get(), static_cast<std::size_t>(view.elements()));
  return tensor;
}

MutableTensorView Tensor::mutable_view() {
  if (storage_.use_count() > 1) *this = copy_of(view());
  return {dtype_, shape_, storage_.get()};
}

Tensor Tensor::reshaped(const Shape& shape) const {
  if (shape.elements() != elements()) {
    fail(ErrorCode::internal, "cannot reshape {} to {}", to_string(shape_), to_string(shape));
  }
  Tensor result = *this;
  result.shape_ = shape;
  return result;
}

void Tensor::check_count(std::size_t count) const {
  if (count != static_cast<std::size_t>(elements())) {
    fail(ErrorCode::internal, "{} values given for shape {}", count, to_string(shape_));
  }
}

bool identical(const TensorView& a, const TensorView& b) {
  if (a.dtype != b.dtype || !(a.shape == b.shape)) return false;
  const auto elements = static_cast<std::size_t>(a.elements());
  if (elements == 0) return true;
  if (a.dtype == DType::string) {
    return std::equal(a.data<std::string>(), a.data<std::string>() + elements, b.data<std::string>());
  }
  return std::memcmp(a.bytes, b.bytes, elements * element_bytes(a.dtype)) == 0;
}

namespace {

/// value as a float whose last bit is set where digits were cut off ("round to odd"): rounding it to a type
/// of fewer digits then gives what rounding `value` itself would.
float sticky_float(double value) {
  auto rounded = static_cast<float>(value);
  if (static_cast<double>(rounded) == value || !std::isfinite(rounded)) return rounded;
  if (std::abs(static_cast<double>(rounded)) > std::abs(value)) rounded = std::nextafter(rounded, 0.0F);
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(rounded) | 1U);
}

// Integers of 64 bits must not pass through float on their way to other integers; every other pair may go
// through the wider of the two compute types without a second rounding.
template <class To, class From>
To convert_element(From value) {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (std::is_same_v<From, Half> || std::is_same_v<From, BFloat16>) {
    return convert_element<To>(static_cast<float>(value));
  } else if constexpr (std::is_same_v<To, Half> || std::is_same_v<To, BFloat16>) {
    if constexpr (std::is_same_v<From, double>) return To(sticky_float(value));
    return To(static_cast<float>(value));
  } else if constexpr (std::is_same_v<To, bool>) {
    return value != From(0);
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    // ONNX does not define the result for NaN and for numbers out of range, and in C++ the cast would be
    // undefined behaviour: NaN becomes 0, other numbers saturate.
    if (std::isnan(value)) return To(0);
    const auto truncated = static_cast<double>(std::trunc(value));
    if (truncated <= static_cast<double>(std::numeric_limits<To>::min()))
      return std::numeric_limits<To>::min();
    if (truncated >= static_cast<double>(std::numeric_limits<To>::max()))
      return std::numeric_limits<To>::max();
    return static_cast<To>(truncated);
  } else {
    return static_cast<To>(value);
  }
}

}  // namespace

void convert(const TensorView& in, const MutableTensorView& out) {
  dispatch(PlainTypes{}, in.dtype, [&]<class From>() {
    dispatch(PlainTypes{}, out.dtype, [&]<class To>() {
      const From* x = in.data<From>();
      for (To& y : out.span<To>()) y = convert_element<To>(*x++);
    });
  });
}

Tensor convert(const TensorView& tensor, DType dtype) {
  if (tensor.dtype == dtype) return Tensor::copy_of(tensor);
  Tensor result(dtype, tensor.shape);
  convert(tensor, result.mutable_view());
  return result;
}

}  // namespace bnrun
