// Tensors: element types, shapes, owning tensors and borrowed views.
#pragma once

#include <algorithm>
#include <array>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bnrun/export.h"

namespace bnrun {

/// Element types, numbered as ONNX's TensorProto.DataType.
enum class DType : std::uint8_t {
  undefined = 0,
  float32 = 1,
  uint8 = 2,
  int8 = 3,
  uint16 = 4,
  int16 = 5,
  int32 = 6,
  int64 = 7,
  string = 8,
  boolean = 9,
  float16 = 10,
  float64 = 11,
  uint32 = 12,
  uint64 = 13,
  complex64 = 14,
  complex128 = 15,
  bfloat16 = 16,
};

/// IEEE binary16 as stored; arithmetic goes through float.
struct Half {
  std::uint16_t bits = 0;
  Half() = default;
  BNRUN_API explicit Half(float value);
  BNRUN_API explicit operator float() const;
};

/// bfloat16 as stored; arithmetic goes through float. Rounds to nearest even.
struct BFloat16 {
  std::uint16_t bits = 0;
  BFloat16() = default;
  BNRUN_API explicit BFloat16(float value);
  BNRUN_API explicit operator float() const;
};

BNRUN_API std::string_view name_of(DType dtype);
/// Bytes of one element; for strings, of the std::string object.
BNRUN_API std::size_t element_bytes(DType dtype);
BNRUN_API bool is_floating(DType dtype);  ///< float16, bfloat16, float32, float64
BNRUN_API bool is_integer(DType dtype);   ///< signed and unsigned, not boolean

template <class T>
inline constexpr DType dtype_of = DType::undefined;
template <>
inline constexpr DType dtype_of<float> = DType::float32;
template <>
inline constexpr DType dtype_of<double> = DType::float64;
template <>
inline constexpr DType dtype_of<Half> = DType::float16;
template <>
inline constexpr DType dtype_of<BFloat16> = DType::bfloat16;
template <>
inline constexpr DType dtype_of<std::uint8_t> = DType::uint8;
template <>
inline constexpr DType dtype_of<std::int8_t> = DType::int8;
template <>
inline constexpr DType dtype_of<std::uint16_t> = DType::uint16;
template <>
inline constexpr DType dtype_of<std::int16_t> = DType::int16;
template <>
inline constexpr DType dtype_of<std::uint32_t> = DType::uint32;
template <>
inline constexpr DType dtype_of<std::int32_t> = DType::int32;
template <>
inline constexpr DType dtype_of<std::uint64_t> = DType::uint64;
template <>
inline constexpr DType dtype_of<std::int64_t> = DType::int64;
template <>
inline constexpr DType dtype_of<bool> = DType::boolean;
template <>
inline constexpr DType dtype_of<std::string> = DType::string;
template <>
inline constexpr DType dtype_of<std::complex<float>> = DType::complex64;
template <>
inline constexpr DType dtype_of<std::complex<double>> = DType::complex128;

/// Extents of a tensor, outermost first, stored in place so that shapes never allocate.
class BNRUN_API Shape {
 public:
  static constexpr std::size_t kMaxRank = 16;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const std::int64_t> dims);
  /// `rank` dimensions, each `extent`.
  static Shape filled(std::size_t rank, std::int64_t extent);

  std::size_t rank() const { return rank_; }
  std::int64_t operator[](std::size_t axis) const { return dims_[axis]; }
  std::int64_t& operator[](std::size_t axis) { return dims_[axis]; }
  const std::int64_t* begin() const { return dims_.data(); }
  const std::int64_t* end() const { return dims_.data() + rank_; }
  std::int64_t back() const { return dims_[rank_ - 1]; }
  void push_back(std::int64_t extent);
  void insert(std::size_t axis, std::int64_t extent);
  void erase(std::size_t axis);

  /// Product of all extents (1 at rank 0). Throws resource_limit on overflow.
  std::int64_t elements() const { return elements(0, rank_); }
  /// Product of the extents of axes [first, last).
  std::int64_t elements(std::size_t first, std::size_t last) const;

  friend bool operator==(const Shape& a, const Shape& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  std::array<std::int64_t, kMaxRank> dims_{};
  std::size_t rank_ = 0;
};

/// "[2,3]"
BNRUN_API std::string to_string(const Shape& shape);

/// What a tensor is, without its elements.
struct TensorType {
  DType dtype = DType::undefined;
  Shape shape;

  friend bool operator==(const TensorType&, const TensorType&) = default;
};

/// "float32[2,3]"
BNRUN_API std::string to_string(const TensorType& type);

/// A borrowed, read-only tensor in row-major order. Valid as long as what it was made from.
struct BNRUN_API TensorView {
  DType dtype = DType::undefined;
  Shape shape;
  const void* bytes = nullptr;

  /// False for an absent optional input.
  bool defined() const { return dtype != DType::undefined; }
  TensorType type() const { return {dtype, shape}; }
  std::int64_t elements() const { return shape.elements(); }
  /// Throws `internal` when T is not the element type.
  template <class T>
  const T* data() const {
    check_type(dtype_of<T>);
    return static_cast<const T*>(bytes);
  }
  template <class T>
  std::span<const T> span() const {
    return {data<T>(), static_cast<std::size_t>(elements())};
  }

 private:
  void check_type(DType wanted) const;
};

/// A borrowed, writable tensor.
struct BNRUN_API MutableTensorView {
  DType dtype = DType::undefined;
  Shape shape;
  void* bytes = nullptr;

  bool defined() const { return dtype != DType::undefined; }
  TensorType type() const { return {dtype, shape}; }
  std::int64_t elements() const { return shape.elements(); }
  operator TensorView() const { return {dtype, shape, bytes}; }
  template <class T>
  T* data() const {
    check_type(dtype_of<T>);
    return static_cast<T*>(bytes);
  }
  template <class T>
  std::span<T> span() const {
    return {data<T>(), static_cast<std::size_t>(elements())};
  }

 private:
  void check_type(DType wanted) const;
};

/// An owning tensor: element type, shape and 64-byte aligned, row-major elements. Copies share their bytes;
/// writing through a shared copy makes it unique first, so a Tensor behaves as a value. Distinct Tensor
/// objects may be used from distinct threads; one object follows the rules of any standard container.
class BNRUN_API Tensor {
 public:
  Tensor() = default;
  /// Zero-filled (empty strings for DType::string). Throws resource_limit when memory does not suffice.
  Tensor(DType dtype, const Shape& shape);
  explicit Tensor(const TensorType& type) : Tensor(type.dtype, type.shape) {}
  /// Copies `values`, whose number must be the number of elements.
  template <class T>
  Tensor(const Shape& shape, const std::vector<T>& values) : Tensor(dtype_of<T>, shape) {
    check_count(values.size());
    T* out = mutable_data<T>();
    for (const auto& value : values) *out++ = value;
  }
  /// The same without the zeros: elements are written before they are read. (Strings are empty.)
  static Tensor uninitialized(DType dtype, const Shape& shape);
  /// A deep copy of what `view` shows.
  static Tensor copy_of(const TensorView& view);

  bool defined() const { return dtype_ != DType::undefined; }
  TensorType type() const { return {dtype_, shape_}; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  std::int64_t elements() const { return shape_.elements(); }
  std::size_t bytes() const { return static_cast<std::size_t>(elements()) * element_bytes(dtype_); }

  TensorView view() const { return {dtype_, shape_, storage_.get()}; }
  operator TensorView() const { return view(); }
  /// Makes shared bytes unique first (see above). That invalidates views taken before.
  MutableTensorView mutable_view();
  template <class T>
  const T* data() const {
    return view().data<T>();
  }
  template <class T>
  std::span<const T> span() const {
    return view().span<T>();
  }
  template <class T>
  T* mutable_data() {
    return mutable_view().data<T>();
  }
  template <class T>
  std::span<T> mutable_span() {
    return mutable_view().span<T>();
  }

  /// No copy shares the bytes, so that writing copies nothing.
  bool unique() const { return storage_.use_count() == 1; }

  /// The same elements under another shape of equal size; shares the bytes.
  Tensor reshaped(const Shape& shape) const;

 private:
  void check_count(std::size_t count) const;

  DType dtype_ = DType::undefined;
  Shape shape_;
  std::shared_ptr<void> storage_;
};

/// An input or output of a model by its name.
struct NamedTensor {
  std::string name;
  Tensor tensor;
};

/// Same type, shape and bytes (strings compare by content).
BNRUN_API bool identical(const TensorView& a, const TensorView& b);

/// Converts between numeric types and boolean as ONNX Cast does: rounds to nearest, and truncates from
/// floating-point to integer types.
BNRUN_API Tensor convert(const TensorView& tensor, DType dtype);
/// The same into elements that exist already. REQUIRES: as many of them.
BNRUN_API void convert(const TensorView& in, const MutableTensorView& out);

}  // namespace bnrun
