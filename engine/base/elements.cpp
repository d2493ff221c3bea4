#include "base/elements.h"

#include "base/dispatch.h"

namespace bnrun {

std::vector<std::int64_t> read_ints(const TensorView& tensor) {
  std::vector<std::int64_t> values;
  dispatch(TypeList<std::int64_t, std::int32_t>{}, tensor.dtype, [&]<class T>() {
    const auto span = tensor.span<T>();
    values.assign(span.begin(), span.end());
  });
  return values;
}

std::vector<double> read_doubles(const TensorView& tensor) {
  std::vector<double> values;
  values.reserve(static_cast<std::size_t>(tensor.elements()));
  dispatch(NumericTypes{}, tensor.dtype, [&]<class T>() {
    for (const T& x : tensor.span<T>()) values.push_back(static_cast<double>(static_cast<ComputeType<T>>(x)));
  });
  return values;
}

}  // namespace bnrun
