#include "ops/binary_affine.h"

#include "graph/fail.h"
#include "ops/common.h"

namespace bnrun {

OrDeclined<AffineForm> affine_of_constant(const Tensor& constant, const ValueType& data,
                                          const std::function<std::pair<double, double>(double)>& of,
                                          std::size_t data_input) {
  if (!data.ranked()) return Declined{Decline::axis_unproven, "the rank of the data is unknown"};
  const Shape& shape = constant.shape();
  if (shape.rank() > data.rank()) {
    // Leading 1s beyond the data's rank raise the rank of the result.
    return Declined{Decline::shape_would_change, "the constant has a higher rank than the data"};
  }
  int axis = ChannelAffine::kUniform;
  for (std::size_t i = 0; i < shape.rank(); ++i) {
    if (shape[i] == 1) continue;
    const std::size_t data_axis = data.rank() - shape.rank() + i;
    const Dim& dim = (*data.dims)[data_axis];
    if (dim == Dim(1))
      return Declined{Decline::shape_would_change, fmt::format("axis {} would be stretched", data_axis)};
    if (!dim.known())
      return Declined{Decline::axis_unproven, fmt::format("the extent of axis {} is unknown", data_axis)};
    if (axis != ChannelAffine::kUniform)
      return Declined{Decline::axis_unproven, "the constant varies along two axes"};
    axis = static_cast<int>(data_axis);
  }
  const auto values = read_doubles(constant.view());
  AffineForm form{data_input, {axis, {}, {}}};
  form.affine.scale.reserve(values.size());
  form.affine.shift.reserve(values.size());
  for (const double c : values) {
    const auto [scale, shift] = of(c);
    form.affine.scale.push_back(scale);
    form.affine.shift.push_back(shift);
  }
  if (values.empty()) return Declined{Decline::not_affine, "the constant is empty"};
  return form;
}

}  // namespace bnrun
