#include "passes/fold/packed.h"

#include <algorithm>
#include <optional>

#include "base/fail.h"
#include "op/evaluate.h"
#include "op/shape_rules.h"

namespace bnrun {
namespace {

/// As many are kept in double, as constants are that were computed ahead.
constexpr std::int64_t kMaxInDouble = 1 << 16;

bool all_equal(std::span<const double> numbers) {
  return std::ranges::all_of(numbers, [&](double number) { return number == numbers[0]; });
}

ChannelAffine scaling(int axis, std::vector<double> scale) {
  ChannelAffine map{axis, std::move(scale), {}};
  map.shift.assign(map.channels(), 0.0);
  return map.channels() == 1 || all_equal(map.scale)
             ? ChannelAffine{ChannelAffine::kUniform, {map.scale[0]}, {0.0}}
             : map;
}

/// The factors as a map of the values, where one axis alone tells them: axis 0, to which those of `outer` belong, or
/// axis 1.
std::optional<ChannelAffine> map_of(const ScaledTensor& tensor) {
  const std::size_t columns = tensor.inner.size() / tensor.groups;
  const auto of_group = [&](std::size_t g) { return std::span(tensor.inner).subspan(g * columns, columns); };
  bool by_row = true;  // the columns of a group have one factor
  bool by_column = all_equal(tensor.outer);
  for (std::size_t g = 0; g < tensor.groups; ++g) {
    by_row = by_row && all_equal(of_group(g));
    by_column = by_column && std::ranges::equal(of_group(g), of_group(0));
  }
  if (by_row) {
    std::vector<double> factors = tensor.outer;
    const std::size_t rows = factors.size() / tensor.groups;
    for (std::size_t i = 0; i < factors.size(); ++i) factors[i] *= of_group(i / rows)[0];
    return scaling(0, std::move(factors));
  }
  if (!by_column) return std::nullopt;
  std::vector<double> factors(of_group(0).begin(), of_group(0).end());
  for (double& factor : factors) factor *= tensor.outer[0];
  return scaling(1, std::move(factors));
}

}  // namespace

Tensor unpacked(const Graph& graph, ValueId packed) {
  const NodeId producer = graph.value(packed).producer;
  const Node& node = graph.node(producer);
  std::vector<Tensor> inputs;
  for (const ValueId id : node.inputs) {
    const Tensor input = !id.valid()            ? Tensor()
                         : is_packed(graph, id) ? unpacked(graph, id)
                                                : graph.value(id).constant;
    const bool few = inputs.empty() ? input.elements() <= kMaxInDouble : inputs[0].elements() <= kMaxInDouble;
    const bool widens = few && input.defined() && is_floating(input.dtype());
    inputs.push_back(widens ? convert(input, DType::float64) : input);
  }
  const bool wanted[] = {true};
  return at_node(graph, producer, [&] {
    return evaluate(*node.op, {std::vector<TensorView>(inputs.begin(), inputs.end())}, wanted)[0];
  });
}

bool stays_packed(const FoldView& view, NodeId id, std::size_t input, const ScaledTensor& scaled) {
  const auto& inputs = view.graph().node(id).inputs;
  if (input >= inputs.size() || !is_packed(view.graph(), inputs[input])) return false;
  const NodeArgs args = view.unpacked_args(id);
  const Tensor& before = *args.get().constant(input);
  if (!(before.shape() == scaled.values.shape())) return false;
  bool same = true;
  const auto numbers = read_doubles(before.view());
  for_each_element(scaled, [&, next = numbers.begin()](std::size_t i, std::size_t j, double value) mutable {
    same = same && value * scaled.outer[i] * scaled.inner[j] == *next++;
  });
  return same;
}

bool is_packed_constant(const FoldView& view, NodeId id, std::size_t input, const ScaledTensor& scaled) {
  const auto& inputs = view.graph().node(id).inputs;
  if (input >= inputs.size() || !is_packed(view.graph(), inputs[input])) return false;
  const NodeArgs args = view.unpacked_args(id);
  return args.get().constant(input)->view().bytes == scaled.values.view().bytes;
}

OrDeclined<RescaledIntegers> rescale_integers(const FoldView& view, ValueId packed,
                                              const ScaledTensor& scaled) {
  auto map = map_of(scaled);
  if (!map) return Declined{Decline::axis_unproven, "its weights are integers with a scale for one axis"};
  RescaledIntegers result;
  for (ValueId value = packed;;) {
    const NodeId id = view.graph().value(value).producer;
    const NodeArgs args = view.args(id);
    if (is_packed(view.graph(), view.graph().node(id).inputs[0])) {
      auto passed = view.op(id)->pass_affine(Side::output, *map, args.get());
      if (auto* declined = std::get_if<Declined>(&passed)) return std::move(*declined);
      map = std::get<ChannelAffine>(std::move(passed));
      result.rearranging.push_back(id);
      value = view.graph().node(id).inputs[0];
      continue;
    }
    auto absorbed = view.op(id)->absorb_affine({}, *map, args.get());
    if (auto* declined = std::get_if<Declined>(&absorbed)) {
      declined->detail = "of its integer weights, " + describe(view.graph(), id) + ": " + declined->detail;
      return std::move(*declined);
    }
    result.unpacking = id;
    result.absorbed = std::get<Absorbed>(std::move(absorbed));
    return result;
  }
}

}  // namespace bnrun
