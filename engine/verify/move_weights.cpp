#include "verify/move_weights.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>
#include <type_traits>

#include "base/dispatch.h"
#include "graph/node_query.h"
#include "op/op.h"

namespace bnrun {
namespace {

bool varies_along_two_axes(const Shape& shape) {
  std::size_t axes = 0;
  for (std::size_t i = 0; i < shape.rank(); ++i) axes += shape[i] > 1 ? 1 : 0;
  return axes >= 2;
}

/// The elements of an initializer or of a Constant; nullptr for other values.
const Tensor* elements_of(const Graph& graph, ValueId id) {
  const Value& value = graph.value(id);
  if (value.constant.defined()) return &value.constant;
  const Op* op = value.producer.valid() ? graph.node(value.producer).op.get() : nullptr;
  return op != nullptr ? op->held_output() : nullptr;
}

/// Whether folding may round the constant otherwise: it belongs to a linear operator or an affine map. Not the
/// constants of a map that reads an input of the graph: of data far from 0 the unit in the last place of their mean is
/// no small matter, and must not excuse a fold that loses it.
bool is_folded_by(const Graph& graph, NodeId id, ValueId constant) {
  const Node& node = graph.node(id);
  if (node.op == nullptr) return false;
  if (node.op->linear()) return node.inputs[0] != constant;
  const bool reads_input = std::ranges::any_of(
      node.inputs, [&](ValueId input) { return input.valid() && graph.value(input).is_input; });
  if (reads_input) return false;
  const NodeArgs args(graph, id);
  const auto form = node.op->as_affine(args.get());
  const auto* map = std::get_if<AffineForm>(&form);
  return map != nullptr && !map->affine.is_identity();  // a Resize by 1 is no arithmetic
}

bool is_weight(const Graph& graph, ValueId id, const Tensor& elements) {
  if (!is_floating(elements.dtype())) return false;
  if (varies_along_two_axes(elements.shape())) return true;
  return std::ranges::any_of(graph.value(id).users,
                             [&](NodeId user) { return is_folded_by(graph, user, id); });
}

/// Unsigned integers of the size of T.
template <class T>
using BitsOf = std::conditional_t<sizeof(T) == 8, std::uint64_t,
                                  std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint16_t>>;

/// Neighbouring numbers of one sign have neighbouring bit patterns (IEEE 754).
Tensor moved(const Tensor& weights, std::mt19937_64& random) {
  Tensor result = Tensor::copy_of(weights);
  dispatch(FloatTypes{}, weights.dtype(), [&]<class T>() {
    using Bits = BitsOf<T>;
    const auto infinity = std::bit_cast<Bits>(T(HUGE_VALF));
    const auto magnitude = static_cast<Bits>(~(Bits{1} << (8 * sizeof(Bits) - 1)));
    std::uint64_t coins = 0;
    std::size_t left = 0;
    for (T& x : result.mutable_span<T>()) {
      if (left == 0) {
        coins = random();
        left = 32;
      }
      const std::uint64_t coin = coins & 3;
      coins >>= 2;
      --left;
      const auto bits = std::bit_cast<Bits>(x);
      const auto size = static_cast<Bits>(bits & magnitude);
      if (coin > 1 || size == 0 || size + 1 >= infinity) continue;
      x = std::bit_cast<T>(static_cast<Bits>(coin == 0 ? bits + 1 : bits - 1));
    }
  });
  return result;
}

}  // namespace

OtherConstants moved_weights(const Graph& graph, const Graph& wide, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  OtherConstants others;
  for (const ValueId id : wide.live_values()) {
    const Value& value = wide.value(id);
    const Tensor* same = elements_of(wide, id);
    const ValueId original = graph.find_value(value.name);
    const Tensor* stored = same != nullptr && original.valid() ? elements_of(graph, original) : nullptr;
    if (stored == nullptr || !is_weight(graph, original, *stored)) continue;
    others.emplace(id, convert(moved(*stored, random), same->dtype()));
  }
  return others;
}

}  // namespace bnrun
