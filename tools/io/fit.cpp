// Arrays that fit an input of a model, or almost.
#include <algorithm>
#include <cmath>
#include <limits>

#include "bnrun/dispatch.h"
#include "io/data.h"
#include "io/fail.h"

namespace bnrun::io {
namespace {

bool fits(const Shape& shape, const PortInfo& port) {
  if (!port.dims) return true;
  return std::equal(
      shape.begin(), shape.end(), port.dims->begin(), port.dims->end(),
      [](std::int64_t extent, const DimInfo& dim) { return !dim.extent || *dim.extent == extent; });
}

/// The shape under which the elements fit: as they are, row by row, or all of them as one row.
std::optional<Shape> fitting_shape(const Shape& shape, const PortInfo& port) {
  if (fits(shape, port)) return shape;
  if (shape.rank() > 0) {
    const auto rows = shape_of_rows(shape[0], shape.elements(1, shape.rank()), port);
    if (rows) return rows;
  }
  return shape_of_rows(1, shape.elements(), port);
}

/// What would make an array of this shape fit, as a clause behind the message; "" when nothing comes to mind.
std::string remedy_for(const Shape& shape, const PortInfo& port) {
  if (!port.dims || port.dims->empty()) return "";
  std::int64_t width = 1;
  std::string row;
  for (std::size_t axis = 1; axis < port.dims->size(); ++axis) {
    const auto& extent = (*port.dims)[axis].extent;
    if (!extent || *extent == 0) return "";
    width *= *extent;
    row += fmt::format(", {}", *extent);
  }
  const std::int64_t elements = shape.elements();
  if (elements == 0 || elements % width != 0) return "";
  const auto& batch = port.dims->front().extent;
  if (batch && elements != *batch * width)
    return fmt::format("; its batch is fixed at {}: give it {} row{} at a time", *batch, *batch,
                       *batch == 1 ? "" : "s");
  return fmt::format("; in NumPy .reshape(-1{}) makes {} rows of it", row, elements / width);
}

/// Every number of a plain type is exact in it: its significand has 64 bits or more.
using Wide = long double;

/// A number as an element of T: true when T holds it exactly; else `element` is the nearest number, or false is
/// returned with `possible` false where there is none.
template <class T>
bool store(Wide number, T& element, bool& possible) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    element = T(static_cast<float>(number));
    return std::isnan(number) || static_cast<Wide>(static_cast<float>(element)) == number;
  } else if constexpr (std::is_floating_point_v<T>) {
    element = static_cast<T>(number);
    return std::isnan(number) || static_cast<Wide>(element) == number;
  } else {
    const Wide rounded = std::nearbyint(number);
    possible = rounded >= static_cast<Wide>(std::numeric_limits<T>::min()) &&
               rounded <= static_cast<Wide>(std::numeric_limits<T>::max());
    if (possible) element = static_cast<T>(rounded);
    return possible && rounded == number;
  }
}

std::function<Wide(std::size_t)> reader_of(const Tensor& array) {
  std::function<Wide(std::size_t)> read;
  dispatch(PlainTypes{}, array.dtype(), [&]<class T>() {
    read = [data = array.data<T>()](std::size_t i) {
      if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>)
        return static_cast<Wide>(static_cast<float>(data[i]));
      else
        return static_cast<Wide>(data[i]);
    };
  });
  return read;
}

bool is_plain(DType dtype) {
  return is_floating(dtype) || is_integer(dtype) || dtype == DType::boolean;
}

/// `array` in another type; `refuse` hears of the first number that it does not hold, and whether rounding would help.
template <class Refuse>
Tensor converted(const Tensor& array, DType dtype, bool round, Refuse&& refuse) {
  Tensor result(dtype, array.shape());
  const auto read = reader_of(array);
  dispatch(PlainTypes{}, dtype, [&]<class T>() {
    auto out = result.mutable_span<T>();
    for (std::size_t i = 0; i < out.size(); ++i) {
      bool possible = true;
      const Wide number = read(i);
      if (!store(number, out[i], possible) && !(round && possible))
        refuse(static_cast<double>(number), i, possible);
    }
  });
  return result;
}

}  // namespace

std::string describe(const PortInfo& port) {
  std::string dims = "?";
  if (port.dims) {
    dims.clear();
    for (const auto& dim : *port.dims)
      dims += (dims.empty() ? "" : ",") + (dim.extent ? std::to_string(*dim.extent) : dim.symbol);
  }
  return fmt::format("input '{}' ({}[{}])", port.name, name_of(port.dtype), dims);
}

std::optional<Shape> shape_of_rows(std::int64_t rows, std::int64_t width, const PortInfo& port) {
  if (!port.dims) return Shape{rows, width};
  if (port.dims->empty()) return std::nullopt;
  Shape shape{rows};
  std::size_t unknown = 0;  // an axis that takes what is left
  for (std::size_t axis = 1; axis < port.dims->size(); ++axis) {
    const auto& extent = (*port.dims)[axis].extent;
    if (!extent && unknown != 0) return std::nullopt;
    if (!extent) unknown = axis;
    shape.push_back(extent.value_or(1));
  }
  const std::int64_t known = shape.elements(1, shape.rank());
  if (unknown != 0 && known != 0 && width % known == 0) shape[unknown] = width / known;
  return shape.elements(1, shape.rank()) == width && fits(shape, port) ? std::optional(shape) : std::nullopt;
}

Tensor to_tensor(const Tensor& array, bool untyped, const std::string& source, const PortInfo& port,
                 const TableRules& rules) {
  const auto mismatch = [&](const std::string& remedy) {
    fail(ErrorCode::invalid_input, "{}: {} does not fit {}{}", source, to_string(array.type()),
         describe(port), remedy);
  };
  const bool same_type = array.dtype() == port.dtype;
  if (!same_type && !(is_plain(array.dtype()) && is_plain(port.dtype))) mismatch("");
  const auto shape = fitting_shape(array.shape(), port);
  if (!shape) mismatch(remedy_for(array.shape(), port));
  Tensor tensor = *shape == array.shape() ? array : array.reshaped(*shape);
  if (!same_type && untyped) tensor = convert(tensor, port.dtype);
  if (!same_type && !untyped) {
    tensor = converted(tensor, port.dtype, rules.round, [&](double number, std::size_t i, bool possible) {
      mismatch(fmt::format(": {} (element {}) is not exact in {}{}", number, i, name_of(port.dtype),
                           possible ? "; --round rounds" : ""));
    });
  }
  if (rules.on_reading && tensor.type() != array.type())
    rules.on_reading(fmt::format("{}: {} is taken as {}{}", source, to_string(array.type()),
                                 to_string(tensor.type()),
                                 same_type || untyped ? ""
                                 : rules.round        ? ", rounded"
                                                      : ", every number exactly"));
  return tensor;
}

}  // namespace bnrun::io
