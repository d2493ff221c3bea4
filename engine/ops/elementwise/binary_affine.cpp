#include "ops/elementwise/binary_affine.h"

#include <algorithm>
#include <optional>

#include "base/fail.h"
#include "op/shape_rules.h"

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

bool has_channels_of(const ChannelAffine& map, std::span<const ValueType> operands, const ValueType& result) {
  if (map.uniform()) return true;
  const auto axis = static_cast<std::size_t>(map.axis);
  const Dim channels(static_cast<std::int64_t>(map.channels()));
  return std::all_of(operands.begin(), operands.end(), [&](const ValueType& operand) {
    return operand.ranked() && result.ranked() && operand.rank() == result.rank() && axis < operand.rank() &&
           (*operand.dims)[axis] == channels;
  });
}

OrDeclined<std::vector<ChannelAffine>> pass_sum(Side from, std::span<const ChannelAffine> maps,
                                                std::span<const double> weights, const FoldArgs& args) {
  for (const ChannelAffine& map : maps) {
    if (!has_channels_of(map, args.inputs, args.outputs[0]))
      return Declined{Decline::axis_unproven, "its operands are not proven to have the same channels"};
  }
  if (from == Side::output) {
    std::vector<ChannelAffine> parts(weights.size(), maps[0]);
    const std::size_t taker = args.shift_to_last ? parts.size() - 1 : 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      for (double& t : parts[i].shift) t = i == taker ? t / weights[taker] : 0.0;
    }
    return parts;
  }
  const auto shaped = std::find_if(maps.begin(), maps.end(), [](const auto& map) { return !map.uniform(); });
  ChannelAffine sum = shaped == maps.end() ? maps[0] : *shaped;
  std::fill(sum.shift.begin(), sum.shift.end(), 0.0);
  for (std::size_t i = 0; i < maps.size(); ++i) {
    if (!maps[i].uniform() && maps[i].axis != sum.axis)
      return Declined{Decline::axis_unproven, "its operands carry maps on different axes"};
    const ChannelAffine part = sum.uniform() ? maps[i] : maps[i].on_axis(sum.axis, sum.channels());
    if (part.scale != sum.scale)
      return Declined{Decline::activation_between, "only some operands are scaled"};
    for (std::size_t c = 0; c < sum.channels(); ++c) sum.shift[c] += weights[i] * part.shift[c];
  }
  return std::vector{std::move(sum)};
}

namespace {

/// 1/s, or nullopt where an s is 0.
std::optional<ChannelAffine> inverse_scale(ChannelAffine map) {
  for (double& s : map.scale) {
    if (s == 0.0) return std::nullopt;
    s = 1.0 / s;
  }
  return map;
}

}  // namespace

OrDeclined<std::vector<ChannelAffine>> pass_product(Side from, std::span<const ChannelAffine> maps,
                                                    bool divides, const FoldArgs& args) {
  constexpr std::size_t kFactors = 2;
  const auto at_factor = [&](std::size_t i, const ChannelAffine& map) -> OrDeclined<ChannelAffine> {
    if (map.has_shift()) return Declined{Decline::activation_between, {}};
    // Neither may the factor be stretched to the channels of the result, nor its one channel to many.
    const ValueType both[] = {args.inputs[i], args.outputs[0]};
    if (!has_channels_of(map, both, args.outputs[0]))
      return Declined{Decline::axis_unproven, "the factor is not proven to have the same channels"};
    if (!divides || i == 0) return map;
    auto inverse = inverse_scale(map);
    if (!inverse) return Declined{Decline::activation_between, "a scale of 0 in a divisor"};
    return std::move(*inverse);
  };
  if (from == Side::output) {
    const std::size_t taker = args.shift_to_last ? kFactors - 1 : 0;
    auto taken = at_factor(taker, maps[0]);
    if (auto* declined = std::get_if<Declined>(&taken)) return std::move(*declined);
    std::vector<ChannelAffine> parts(kFactors);
    parts[taker] = std::get<ChannelAffine>(std::move(taken));
    return parts;
  }
  ChannelAffine product;
  for (std::size_t i = 0; i < kFactors; ++i) {
    auto factor = at_factor(i, maps[i]);
    if (auto* declined = std::get_if<Declined>(&factor)) return std::move(*declined);
    auto both = compose(product, std::get<ChannelAffine>(factor));
    if (auto* declined = std::get_if<Declined>(&both)) return std::move(*declined);
    product = std::get<ChannelAffine>(std::move(both));
  }
  return std::vector{std::move(product)};
}

}  // namespace bnrun
