#include "program/idioms.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>
#include <variant>

#include "base/elements.h"
#include "base/precision.h"
#include "graph/node_query.h"
#include "op/shape_rules.h"

namespace bnrun {
namespace {

using Kind = Formula::Kind;

bool is_power(const Graph& graph, NodeId id, double exponent) {
  const auto formula = formula_of(graph, id);
  return formula && formula->kind == Kind::power && formula->exponent == exponent;
}

bool reads(const Graph& graph, NodeId id, ValueId a, ValueId b) {
  const auto& inputs = graph.node(id).inputs;
  return inputs.size() == 2 && inputs[0] == a && inputs[1] == b;
}

bool combines(const Graph& graph, NodeId id, Kind kind, ValueId a, ValueId b) {
  return computes(graph, id, kind) && (reads(graph, id, a, b) || reads(graph, id, b, a));
}

bool is_square_of(const Graph& graph, NodeId id, ValueId x) {
  return (is_power(graph, id, 2.0) && graph.node(id).inputs[0] == x) ||
         (computes(graph, id, Kind::product) && reads(graph, id, x, x));
}

/// With it, a constant whose extents are 1 or those of the other operand made nothing larger.
bool same_rank(const ValueType& a, const ValueType& b) {
  return a.ranked() && b.ranked() && a.rank() == b.rank();
}

/// The nodes that read a value, each once; nothing where it is an output or a subgraph reads it.
std::vector<NodeId> readers(const Graph& graph, ValueId id) {
  const Value& value = graph.value(id);
  std::vector<NodeId> users = value.users;
  std::ranges::sort(users);
  const auto repeated = std::ranges::unique(users);
  users.erase(repeated.begin(), repeated.end());
  const bool all_by_input = std::ranges::all_of(users, [&](NodeId user) {
    const Node& node = graph.node(user);
    return std::ranges::find(node.inputs, id) != node.inputs.end() &&
           std::ranges::find(node.captures, id) == node.captures.end();
  });
  if (value.is_output || !all_by_input) users.clear();
  return users;
}

/// y = scale * x + shift, the same numbers for all elements.
struct Line {
  double scale = 1.0;
  double shift = 0.0;
};

std::optional<Line> line_of(const Graph& graph, NodeId id, ValueId x) {
  if (!id.valid()) return std::nullopt;
  const NodeArgs args(graph, id);
  const auto form = require_op(graph, id).as_affine(args.get());
  const auto* affine = std::get_if<AffineForm>(&form);
  const ValueType& from = graph.value(x).type;
  const ValueType& to = graph.value(output_of(graph, id)).type;
  if (affine == nullptr || graph.node(id).inputs[affine->input] != x || !affine->affine.uniform() ||
      !args.get().only_first_output_used() || from.dtype != to.dtype || !same_rank(from, to))
    return std::nullopt;
  return Line{affine->affine.scale[0], affine->affine.has_shift() ? affine->affine.shift[0] : 0.0};
}

/// A number that a model holds in `dtype` stands for `exact`.
bool stands_for(DType dtype, double number, double exact) {
  const double precision = dtype == DType::float64
                               ? std::numeric_limits<double>::epsilon()
                               : static_cast<double>(std::numeric_limits<float>::epsilon());
  return std::abs(number - exact) <= precision * std::abs(exact);
}

// ---- normalisation

std::size_t last_axes(const Formula& mean, std::size_t rank) {
  const std::size_t count = mean.axes.size();
  return mean.axes.back() + 1 == rank && mean.axes.front() + count == rank ? count : 0;
}

class NormalisationReader {
 public:
  NormalisationReader(const Graph& graph, NodeId first) : graph_(graph), first_(first) {}

  std::optional<WrittenNormalisation> read() {
    found_.x = graph_.node(first_).inputs[0];
    const ValueType& type = graph_.value(found_.x).type;
    if (!type.ranked() || (type.dtype != DType::float32 && type.dtype != DType::float64)) return std::nullopt;
    const bool whole = computes(graph_, first_, Kind::mean) ? centred() : reads_from_square(found_.x, first_);
    if (!whole) return std::nullopt;
    for (std::size_t i = type.rank() - found_.axes; i < type.rank(); ++i) {
      if (!(*type.dims)[i].known()) return std::nullopt;
    }
    found_.scale = take_parameter(Kind::product);
    found_.shift = take_parameter(Kind::sum);
    return std::move(found_);
  }

 private:
  ValueId take(NodeId id) {
    found_.nodes.push_back(id);
    return output_of(graph_, id);
  }

  bool centred() {
    const NodeId difference = sole_reader(graph_, take(first_));
    if (!computes(graph_, difference, Kind::difference) ||
        !reads(graph_, difference, found_.x, output_of(graph_, first_)))
      return false;
    const ValueId d = take(difference);
    const auto users = readers(graph_, d);
    if (users.size() != 2) return false;
    const std::size_t square = is_square_of(graph_, users[0], d) ? 0 : 1;
    const auto formula = formula_of(graph_, first_);
    return is_square_of(graph_, users[square], d) && reads_from_square(d, users[square]) &&
           found_.nodes.back() == users[1 - square] &&
           found_.axes == last_axes(*formula, graph_.value(found_.x).type.rank());
  }

  /// From the square of d on to what d is divided by.
  bool reads_from_square(ValueId d, NodeId square) {
    if (!is_square_of(graph_, square, d)) return false;
    found_.centred = d != found_.x;
    const NodeId mean = sole_reader(graph_, take(square));
    const auto formula = formula_of(graph_, mean);
    if (!formula || formula->kind != Kind::mean) return false;
    found_.axes = last_axes(*formula, graph_.value(d).type.rank());
    ValueId value = take(mean);
    NodeId next = sole_reader(graph_, value);
    if (const auto line = line_of(graph_, next, value)) {
      if (line->scale != 1.0 || !(line->shift >= 0.0)) return false;
      found_.epsilon = line->shift;
      value = take(next);
      next = sole_reader(graph_, value);
    }
    bool inverse = is_power(graph_, next, -0.5);
    if (!inverse && !is_power(graph_, next, 0.5)) return false;
    value = take(next);
    next = sole_reader(graph_, value);
    if (!inverse && inverts(next, value)) {
      inverse = true;
      value = take(next);
      next = sole_reader(graph_, value);
    }
    const bool last = inverse ? combines(graph_, next, Kind::product, d, value)
                              : computes(graph_, next, Kind::quotient) && reads(graph_, next, d, value);
    if (!last || found_.axes == 0) return false;
    take(next);
    return true;
  }

  /// Whether it computes 1/x.
  bool inverts(NodeId id, ValueId x) const {
    if (is_power(graph_, id, -1.0)) return graph_.node(id).inputs[0] == x;
    if (!computes(graph_, id, Kind::quotient) || graph_.node(id).inputs[1] != x) return false;
    const Tensor* numerator = graph_.value(graph_.node(id).inputs[0]).as_constant();
    return numerator != nullptr && numerator->elements() == 1 && read_doubles(numerator->view())[0] == 1.0 &&
           same_rank(graph_.value(x).type, graph_.value(output_of(graph_, id)).type);
  }

  /// The constant that the next node multiplies by or adds, if it lies along the last axes; the node is taken.
  const Tensor* take_parameter(Kind kind) {
    const ValueId y = output_of(graph_, found_.nodes.back());
    const NodeId next = sole_reader(graph_, y);
    if (!computes(graph_, next, kind)) return nullptr;
    const auto& inputs = graph_.node(next).inputs;
    const Tensor* parameter = graph_.value(inputs[inputs[0] == y ? 1 : 0]).as_constant();
    const ValueType& type = graph_.value(found_.x).type;
    if (parameter == nullptr || !same_rank(type, graph_.value(output_of(graph_, next)).type)) return nullptr;
    if (parameter->elements() != 1) {
      const Shape& shape = parameter->shape();
      for (std::size_t i = 0; i < std::max(shape.rank(), found_.axes); ++i) {
        const Dim wanted = i < found_.axes ? (*type.dims)[type.rank() - 1 - i] : Dim(1);
        const std::int64_t extent = i < shape.rank() ? shape[shape.rank() - 1 - i] : 1;
        if (!(wanted == Dim(extent))) return nullptr;
      }
    }
    take(next);
    return parameter;
  }

  const Graph& graph_;
  NodeId first_;
  WrittenNormalisation found_;
};

// ---- activation

/// post(core(pre(x))), where core may be missing.
struct Branch {
  std::vector<NodeId> nodes;
  Line pre;
  Line post;
  std::optional<Activation> activation;
  bool erf = false;
  ValueId end;  ///< what the last node computes
  NodeId next;  ///< what alone reads that

  bool has_core() const { return activation || erf; }
};

Line operator*(const Line& outer, const Line& inner) {
  return {outer.scale * inner.scale, outer.scale * inner.shift + outer.shift};
}

/// What leads on from `x` by way of `first`.
Branch branch_from(const Graph& graph, ValueId x, NodeId first) {
  Branch branch{.nodes = {}, .pre = {}, .post = {}, .activation = {}, .erf = false, .end = x, .next = first};
  while (branch.next.valid()) {
    const NodeArgs args(graph, branch.next);
    if (const auto line = line_of(graph, branch.next, branch.end)) {
      Line& side = branch.has_core() ? branch.post : branch.pre;
      side = *line * side;
    } else if (branch.has_core() || graph.node(branch.next).inputs[0] != branch.end) {
      break;
    } else if (computes(graph, branch.next, Kind::erf)) {
      branch.erf = true;
    } else if (args.get().only_first_output_used() &&
               (branch.activation = require_op(graph, branch.next).as_activation(args.get()))) {
    } else {
      break;
    }
    branch.nodes.push_back(branch.next);
    branch.end = output_of(graph, branch.next);
    branch.next = sole_reader(graph, branch.end);
  }
  return branch;
}

class ActivationReader {
 public:
  ActivationReader(const Graph& graph, ValueId x)
      : graph_(graph), x_(x), dtype_(graph.value(x).type.dtype), users_(readers(graph, x)) {}

  std::optional<WrittenActivation> read() {
    if (users_.size() != 2 && users_.size() != 3) return std::nullopt;
    std::ranges::sort(users_);
    do {
      auto found =
          users_.size() == 2 ? of_gate(branch_from(graph_, x_, users_[0]), users_[1], {}) : of_cubic();
      if (found) return found;
    } while (std::ranges::next_permutation(users_).found);
    return std::nullopt;
  }

 private:
  /// sqrt(2/pi) * (x + 0.044715*x^3) and what follows.
  std::optional<WrittenActivation> of_cubic() {
    const auto [cube, sum, factor] = std::array{users_[0], users_[1], users_[2]};
    if (!is_power(graph_, cube, 3.0)) return std::nullopt;
    const ValueId cubed = output_of(graph_, cube);
    const NodeId scaled = sole_reader(graph_, cubed);
    const auto line = line_of(graph_, scaled, cubed);
    if (!line || line->shift != 0.0 || !stands_for(dtype_, line->scale, 0.044715) ||
        !combines(graph_, sum, Kind::sum, x_, output_of(graph_, scaled)) ||
        sole_reader(graph_, output_of(graph_, scaled)) != sum)
      return std::nullopt;
    const ValueId inner = output_of(graph_, sum);
    return of_gate(branch_from(graph_, inner, sole_reader(graph_, inner)), factor, {cube, scaled, sum});
  }

  /// x * gate, or line(x) * gate. `before`: nodes between x and the gate's argument.
  std::optional<WrittenActivation> of_gate(Branch gate, NodeId factor, std::vector<NodeId> before) {
    if (!gate.has_core() || !gate.next.valid()) return std::nullopt;
    WrittenActivation found{std::move(before), {}};
    const bool cubic = !found.nodes.empty();
    found.nodes.insert(found.nodes.end(), gate.nodes.begin(), gate.nodes.end());
    const NodeId product = gate.next;
    ValueId other = x_;
    double scale = 1.0;
    if (factor != product) {
      const auto line = line_of(graph_, factor, x_);
      other = output_of(graph_, factor);
      if (!line || line->shift != 0.0 || sole_reader(graph_, other) != product) return std::nullopt;
      scale = line->scale;
      found.nodes.push_back(factor);
    }
    if (!combines(graph_, product, Kind::product, gate.end, other)) return std::nullopt;
    found.nodes.push_back(product);

    if (gate.erf || cubic) {
      const bool right_core =
          cubic ? gate.activation && *gate.activation == Activation{Activation::Kind::tanh} &&
                      stands_for(dtype_, gate.pre.scale, std::numbers::sqrt2 * std::numbers::inv_sqrtpi)
                : stands_for(dtype_, gate.pre.scale, 1.0 / std::numbers::sqrt2);
      if (!right_core || gate.pre.shift != 0.0 || gate.post.scale != gate.post.shift) return std::nullopt;
      scale *= gate.post.scale;
      const ValueId y = output_of(graph_, product);
      const NodeId half = sole_reader(graph_, y);
      const auto line = line_of(graph_, half, y);
      if (scale != 0.5 && line && line->shift == 0.0 && scale * line->scale == 0.5) {
        found.nodes.push_back(half);
        scale = 0.5;
      }
      using Function = Activation::Kind;
      if (scale == 0.5)
        found.function = {cubic ? Function::gelu_tanh : Function::gelu};
      else if (scale == 1.0)
        found.function = {cubic ? Function::gelu_tanh_twice : Function::gelu_twice};
      else
        return std::nullopt;
      return found;
    }
    auto gated = gated_by(*gate.activation);
    // of hard_sigmoid an attribute tells 1/6, to the precision of floats
    if (gated && gated->kind == Activation::Kind::hard_swish && dtype_ == DType::float64) return std::nullopt;
    if (!gated || scale != 1.0 || gate.pre.shift != 0.0 || gate.post.scale != 1.0 || gate.post.shift != 0.0)
      return std::nullopt;
    if (gate.pre.scale != 1.0) {
      gated->alpha *= gate.pre.scale;
      const double largest = precision_of(dtype_).largest;
      if (gated->kind != Activation::Kind::swish || !(std::abs(gated->alpha) <= largest)) return std::nullopt;
    }
    found.function = *gated;
    return found;
  }

  const Graph& graph_;
  ValueId x_;
  DType dtype_;
  std::vector<NodeId> users_;
};

}  // namespace

std::optional<WrittenNormalisation> normalisation_from(const Graph& graph, NodeId first) {
  if (!formula_of(graph, first)) return std::nullopt;
  return NormalisationReader(graph, first).read();
}

std::optional<WrittenActivation> activation_of(const Graph& graph, ValueId x) {
  constexpr std::size_t kMostUses = 6;  // three nodes, each of which may read x twice
  if (graph.value(x).users.size() > kMostUses) return std::nullopt;
  return ActivationReader(graph, x).read();
}

std::optional<WrittenShuffle> shuffle_from(const Graph& graph, NodeId first) {
  using Elements = AxisMap::Elements;
  WrittenShuffle found{{}, graph.node(first).inputs.empty() ? ValueId{} : graph.node(first).inputs[0]};
  /// The next node, where it does nothing but move elements so.
  const auto moves = [&](NodeId id, Elements how) -> std::optional<AxisMap> {
    if (!id.valid()) return std::nullopt;
    const NodeArgs args(graph, id);
    auto axes = require_op(graph, id).axes(args.get());
    if (!axes || axes->elements != how || !args.get().only_first_output_used()) return std::nullopt;
    found.nodes.push_back(id);
    return axes;
  };
  const auto next = [&] { return sole_reader(graph, output_of(graph, found.nodes.back())); };
  if (!found.x.valid() || !moves(first, Elements::in_order)) return std::nullopt;
  const ValueType& x = graph.value(found.x).type;
  const ValueType& matrix = graph.value(output_of(graph, first)).type;
  if (!x.ranked() || x.rank() < 3 || !matrix.ranked() || matrix.rank() != x.rank() + 1) return std::nullopt;
  const Dim& rows = (*matrix.dims)[1];
  const Dim& columns = (*matrix.dims)[2];
  const Dim& channels = (*x.dims)[1];
  if (!rows.known() || !columns.known() || !channels.known() || rows.extent() == 0 ||
      channels.extent() % rows.extent() != 0 || channels.extent() / rows.extent() != columns.extent())
    return std::nullopt;
  for (std::size_t axis = 0; axis < x.rank(); ++axis) {
    if (axis != 1 && !((*x.dims)[axis] == (*matrix.dims)[axis + (axis > 1 ? 1 : 0)])) return std::nullopt;
  }
  const auto turned = moves(next(), Elements::moved);
  if (!turned) return std::nullopt;
  for (std::size_t axis = 0; axis < turned->from.size(); ++axis) {
    if (turned->from[axis] != (axis == 1 ? 2 : axis == 2 ? 1 : axis)) return std::nullopt;
  }
  if (!moves(next(), Elements::in_order)) return std::nullopt;
  if (!same_dimensions(graph.value(output_of(graph, found.nodes.back())).type, x)) return std::nullopt;
  found.rows = rows.extent();
  return found;
}

}  // namespace bnrun
