#include "op/value_type.h"

#include "base/fail.h"

namespace bnrun {

namespace {
constexpr std::int64_t kMaxContentElements = 64;
}

Dim Dim::symbol(std::string name) {
  Dim dim;
  dim.symbol_ = std::move(name);
  return dim;
}

std::int64_t Dim::extent() const {
  if (!known()) fail(ErrorCode::internal, "dimension '{}' read as a number", symbol_.empty() ? "?" : symbol_);
  return extent_;
}

bool operator==(const Dim& a, const Dim& b) {
  if (a.symbolic() || b.symbolic()) return a.symbol_ == b.symbol_;
  return a.known() && a.extent_ == b.extent_;
}

Content Content::of(const Dim& dim) {
  if (dim.known()) return of(dim.extent());
  return {std::nullopt, dim.name()};
}

Dim Content::as_dim() const {
  if (number) return *number >= 0 ? Dim(*number) : Dim();
  return symbol.empty() ? Dim() : Dim::symbol(symbol);
}

bool ValueType::static_shape() const {
  if (!dims) return false;
  for (const auto& dim : *dims) {
    if (!dim.known()) return false;
  }
  return true;
}

Shape ValueType::shape() const {
  Shape shape;
  for (const auto& dim : *dims) shape.push_back(dim.extent());
  return shape;
}

ValueType ValueType::of(DType dtype, const Shape& shape) {
  return {dtype, Dims(shape.begin(), shape.end())};
}

ValueType ValueType::of(const TensorView& tensor) {
  ValueType type = of(tensor.dtype, tensor.shape);
  const bool integral = tensor.dtype == DType::int64 || tensor.dtype == DType::int32;
  if (integral && tensor.shape.rank() <= 1 && tensor.elements() <= kMaxContentElements &&
      tensor.bytes != nullptr) {
    type.content.emplace();
    for (std::int64_t i = 0; i < tensor.elements(); ++i) {
      type.content->push_back(Content::of(tensor.dtype == DType::int64
                                              ? tensor.data<std::int64_t>()[i]
                                              : std::int64_t{tensor.data<std::int32_t>()[i]}));
    }
  }
  return type;
}

std::string to_string(const Dims& dims) {
  std::string text = "[";
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (i != 0) text += ',';
    if (dims[i].known())
      text += std::to_string(dims[i].extent());
    else
      text += dims[i].symbolic() ? dims[i].name() : "?";
  }
  return text + ']';
}

std::string to_string(const ValueType& type) {
  return fmt::format("{}{}", type.dtype == DType::undefined ? "?" : name_of(type.dtype),
                     type.dims ? to_string(*type.dims) : "[...]");
}

std::optional<ValueType> merge(const ValueType& a, const ValueType& b) {
  ValueType result = a;
  if (a.dtype == DType::undefined)
    result.dtype = b.dtype;
  else if (b.dtype != DType::undefined && a.dtype != b.dtype)
    return std::nullopt;
  if (!a.dims) {
    result.dims = b.dims;
  } else if (b.dims) {
    if (a.dims->size() != b.dims->size()) return std::nullopt;
    for (std::size_t i = 0; i < a.dims->size(); ++i) {
      const Dim& x = (*a.dims)[i];
      const Dim& y = (*b.dims)[i];
      if (x.known() && y.known() && !(x == y)) return std::nullopt;
      if (y.known() || (!x.known() && !x.symbolic())) (*result.dims)[i] = y;
    }
  }
  if (!a.content) result.content = b.content;
  return result;
}

}  // namespace bnrun
