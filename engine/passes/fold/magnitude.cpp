#include "passes/fold/magnitude.h"

#include <algorithm>
#include <cmath>

#include "base/dispatch.h"

namespace bnrun {
namespace {

double largest(const Tensor* tensor) {
  double most = 0.0;
  if (tensor == nullptr || !is_floating(tensor->dtype())) return most;
  dispatch(FloatTypes{}, tensor->dtype(), [&]<class T>() {
    for (const T& x : tensor->span<T>())
      most = std::max(most, static_cast<double>(std::abs(static_cast<ComputeType<T>>(x))));
  });
  return most;
}

const Tensor* constant_of(const Graph& graph, const Rewrite& rewrite, const Operand& operand) {
  switch (operand.kind) {
    case Operand::Kind::constant:
      return &rewrite.constants[static_cast<std::size_t>(operand.index)].tensor;
    case Operand::Kind::existing:
      return graph.value({operand.index}).as_constant();
    default:
      return nullptr;
  }
}

/// Y = Op(X, W, b) everywhere.
constexpr std::size_t kWeights = 1;
constexpr std::size_t kBias = 2;

}  // namespace

Magnitudes measure(const Graph& graph, std::span<const FoldedLinear> linears, const Rewrite& rewrite) {
  Magnitudes result;
  const auto raise = [](double& most, double magnitude) { most = std::max(most, magnitude); };
  for (const auto& [id, absorbed] : linears) {
    const auto& inputs = graph.node(id).inputs;
    const auto magnitude_of = [&](std::size_t i) {
      return i < inputs.size() && inputs[i].valid() ? largest(graph.value(inputs[i]).as_constant()) : 0.0;
    };
    raise(result.weights.before, magnitude_of(kWeights));
    raise(result.bias.before, magnitude_of(kBias));
  }
  const auto is_linear = [&](const Node& node) {
    return std::ranges::any_of(linears, [&](const FoldedLinear& linear) {
      return graph.node(linear.first).op_type == node.op_type;
    });
  };
  for (const auto& made : rewrite.nodes) {
    const auto magnitude_of = [&](std::size_t i) {
      return i < made.inputs.size() ? largest(constant_of(graph, rewrite, made.inputs[i])) : 0.0;
    };
    if (is_linear(made.node)) {
      raise(result.weights.after, magnitude_of(kWeights));
      raise(result.bias.after, magnitude_of(kBias));
    } else if (made.node.op_type == "Add") {
      raise(result.bias.after, magnitude_of(1));
    }
  }
  return result;
}

}  // namespace bnrun
