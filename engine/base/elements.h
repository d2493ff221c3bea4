// The elements of a tensor as plain vectors.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/dispatch.h"
#include "base/temporary.h"
#include "bnrun/tensor.h"

namespace bnrun {

/// All elements of an int32 or int64 tensor. Throws `unsupported` for another type.
std::vector<std::int64_t> read_ints(const TensorView& tensor);
/// All elements as double; any numeric type.
std::vector<double> read_doubles(const TensorView& tensor);

/// The same for the time of a run, without an allocation after the first: elements of that type where they lie, which is
/// to outlive this, others in temporary memory. T: std::int64_t for elements of int32 and int64, float or double
/// for any numbers.
template <class T>
class ElementsOf {
 public:
  /// Of an undefined tensor there are none.
  explicit ElementsOf(const TensorView& tensor) {
    if (!tensor.defined()) return;
    if (tensor.dtype == dtype_of<T>) {
      all_ = tensor.span<T>();
      return;
    }
    own_.reserve(static_cast<std::size_t>(tensor.elements()));
    using Types =
        std::conditional_t<std::is_floating_point_v<T>, NumericTypes, TypeList<std::int64_t, std::int32_t>>;
    dispatch(Types{}, tensor.dtype, [&]<class From>() {
      for (const From& x : tensor.span<From>())
        own_.push_back(static_cast<T>(static_cast<ComputeType<From>>(x)));
    });
    all_ = own_;
  }
  ElementsOf(const ElementsOf&) = delete;
  ElementsOf& operator=(const ElementsOf&) = delete;

  auto begin() const { return all_.begin(); }
  auto end() const { return all_.end(); }
  std::size_t size() const { return all_.size(); }
  const T& operator[](std::size_t i) const { return all_[i]; }
  const T* data() const { return all_.data(); }
  const T& front() const { return all_.front(); }

 private:
  TemporaryVector<T> own_;
  std::span<const T> all_;
};

using IntSpan = std::span<const std::int64_t>;

/// Of attributes that may be missing.
inline std::optional<IntSpan> span_of(const std::optional<std::vector<std::int64_t>>& ints) {
  return ints ? std::optional(IntSpan(*ints)) : std::nullopt;
}

/// One number of some type; 0 of strings is the empty one.
class Scalar {
 public:
  Scalar(double value, DType dtype) : dtype_(dtype) {
    if (value != 0.0 || std::signbit(value))
      convert(TensorView{DType::float64, {}, &value}, MutableTensorView{dtype, {}, bytes_});
  }

  TensorView view() const {
    return {dtype_, {}, dtype_ == DType::string ? static_cast<const void*>(&text_) : bytes_};
  }

 private:
  DType dtype_;
  alignas(16) std::byte bytes_[16] = {};
  std::string text_;
};

/// The first element. REQUIRES: there is one.
template <class T>
T first_element(const TensorView& tensor) {
  TensorView first = tensor;
  first.shape = {};
  return ElementsOf<T>(first).front();
}

}  // namespace bnrun
