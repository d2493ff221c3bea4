#include "support/random_graph.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <numeric>

#include "op/shape_rules.h"
#include "support/random_pieces.h"

namespace bnrun::testing {
namespace {

constexpr std::uint64_t kRecipeStream = ~std::uint64_t{1};

template <Flow (*piece)(Sketch&, const Flow&)>
Flows one(Sketch& net, const Flow& x) {
  return {piece(net, x)};
}
Flows affine_behind_layer(Sketch& net, const Flow& x) {
  return {affine(net, linear(net, x))};
}
Flows affine_before_layer(Sketch& net, const Flow& x) {
  return {linear(net, affine(net, x))};
}
Flows rearrangement(Sketch& net, const Flow& x) {
  return {x.rank() > 2 && net.random.chance(0.5) ? pool(net, x) : move(net, x)};
}
Flows meeting(Sketch& net, const Flow& x) {
  return meet(net, x, net.random.pick(net.flows));
}
Flows fork(Sketch& net, const Flow& x);

struct Piece {
  PieceKind kind;
  double weight;
  Flows (*add)(Sketch&, const Flow&);
};

const Piece kPieces[] = {
    {{"layer"}, 14, one<linear>},
    {{"affine", 0.3}, 14, one<affine>},
    {{"affine behind layer", 0.7}, 11, affine_behind_layer},
    {{"affine before layer", 0.6}, 8, affine_before_layer},
    {{"activation"}, 9, one<activation>},
    {{"identity"}, 5, one<identity>},
    {{"rearrangement", 0.25}, 10, rearrangement},
    {{"meeting"}, 4, meeting},
    {{"fork"}, 5, fork},
    {{"affine chain", 0.2}, 2, affine_chain},
    {{"ill-conditioned", 0.3}, 1, ill_conditioned},
    {{"training"}, 1, training},
    {{"concat affine", 0.5}, 2, concat_affine},
    {{"affine concat", 0.6}, 2, affine_concat},
    {{"concat constant", 0.4}, 1, concat_constant},
    {{"dense block", 0.3}, 1, dense_block},
    {{"split affine", 0.75}, 2, split_affine},
    {{"affine split", 0.6}, 2, affine_split},
    {{"concat split", 0.7}, 1, concat_split},
    {{"merge affine", 0.5}, 2, merge_affine},
    {{"affine merge", 0.75}, 2, affine_merge},
    {{"residual", 0.5}, 2, residual},
    {{"affine route", 0.4}, 3, affine_route},
    {{"route affine", 0.4}, 3, route_affine},
    {{"parts affine", 0.6}, 2, parts_affine},
    {{"shared weights", 0.75}, 2, shared_weights},
    {{"several readers", 0.4}, 2, several_readers},
    {{"output midway", 0.5}, 2, output_midway},
    {{"unknown rank", 0.1}, 1, unknown_rank},
};

Flows add_piece(Sketch& net, const Flow& x) {
  double total = 0.0;
  for (const Piece& piece : kPieces) total += piece.weight;
  double left = net.random.real(0.0, total);
  const Piece* piece = kPieces;
  while (left >= piece->weight && piece + 1 != std::end(kPieces)) left -= (piece++)->weight;
  net.begin_piece(piece->kind.name);
  return piece->add(net, x);
}

/// Two ways from x, which meet at once if they can.
Flows fork(Sketch& net, const Flow& x) {
  Flows ends = add_piece(net, x);
  if (ends.empty()) return {};
  const Flow left = ends.back();
  const Flows others = net.random.chance(0.4) ? Flows{x} : add_piece(net, x);
  if (others.empty()) return ends;
  const Flow right = others.back();
  if (right.id != x.id) ends.insert(ends.end(), others.begin(), others.end());
  net.begin_piece("fork");
  const Flows met = meet(net, left, right);
  ends.insert(ends.end(), met.begin(), met.end());
  return ends;
}

void add_step(Sketch& net) {
  const Flow x = net.random.chance(0.85) ? net.flows.back() : net.random.pick(net.flows);
  const Flows ends = add_piece(net, x);
  net.flows.insert(net.flows.end(), ends.begin(), ends.end());
  if (net.random.chance(0.03)) net.declare_output(net.flows.back());
}

std::string to_string(const Tensor& tensor) {
  std::string text = std::string(name_of(tensor.dtype())) + bnrun::to_string(tensor.shape());
  if (tensor.elements() <= 40 && tensor.dtype() != DType::string)
    text += fmt::format(" {:.9g}", fmt::join(read_doubles(convert(tensor, DType::float64)), " "));
  return text;
}

std::string to_string(const AttributeValue& value) {
  return std::visit(
      []<class T>(const T& v) -> std::string {
        if constexpr (std::is_same_v<T, Tensor>)
          return to_string(v);
        else if constexpr (std::is_same_v<T, std::shared_ptr<const Graph>>)
          return fmt::format("{{{}}}", listing(*v));
        else if constexpr (std::is_same_v<T, OpaqueAttribute> || std::is_same_v<T, std::vector<Tensor>>)
          return "...";
        else
          return fmt::format("{}", v);
      },
      value);
}

}  // namespace

Recipe Recipe::of(std::uint64_t seed) {
  Recipe recipe{seed, {}};
  recipe.steps.resize(static_cast<std::size_t>(Random(seed, kRecipeStream).integer(2, 9)));
  std::iota(recipe.steps.begin(), recipe.steps.end(), 0U);
  return recipe;
}

RandomNetwork random_network(const Recipe& recipe) {
  Sketch net(recipe.seed);
  for (const std::uint32_t step : recipe.steps) {
    net.begin_step(step);
    add_step(net);
  }
  return net.finish();
}

std::vector<PieceKind> piece_kinds() {
  std::vector<PieceKind> kinds;
  for (const Piece& piece : kPieces) kinds.push_back(piece.kind);
  return kinds;
}

std::string listing(const Graph& graph) {
  std::string text = fmt::format("opset {}\n", graph.opset(""));
  const auto names = [&](const std::vector<ValueId>& ids) {
    std::vector<std::string> list;
    for (const ValueId id : ids) list.push_back(id.valid() ? graph.value(id).name : "-");
    return list;
  };
  for (const ValueId id : graph.live_values()) {
    const Value& value = graph.value(id);
    if (value.is_input) text += fmt::format("input {}: {}\n", value.name, to_string(value.type));
    if (value.constant.defined())
      text += fmt::format("constant {}: {}\n", value.name, to_string(value.constant));
  }
  for (const NodeId id : graph.topological_order()) {
    const Node& node = graph.node(id);
    text += fmt::format("{} = {}({})", fmt::join(names(node.outputs), ", "), node.op_type,
                        fmt::join(names(node.inputs), ", "));
    for (const auto& [name, value] : node.attributes) text += fmt::format(" {}={}", name, to_string(value));
    text += fmt::format("  # {}\n", node.name);
  }
  text += fmt::format("outputs {}\n", fmt::join(names(graph.outputs()), ", "));
  return text;
}

}  // namespace bnrun::testing
