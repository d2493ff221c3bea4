#include "passes/fold/rewrite_linear.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "base/fail.h"
#include "base/scan.h"
#include "op/shape_rules.h"
#include "passes/fold/packed.h"

namespace bnrun {
namespace {

void raise(double& most, double magnitude) {
  most = std::max(most, magnitude);
}

/// The map on every element, in double.
Tensor applied(const ChannelAffine& map, const Tensor& constant) {
  Tensor result(constant.shape(), read_doubles(constant.view()));
  const Shape& shape = constant.shape();
  const auto axis = static_cast<std::size_t>(std::max(map.axis, 0));
  const std::int64_t inner = map.uniform() ? 1 : shape.elements(axis + 1, shape.rank());
  for (std::int64_t i = 0; double& x : result.mutable_span<double>()) {
    const std::size_t c = map.uniform() ? 0 : static_cast<std::size_t>(i / inner) % map.channels();
    x = map.scale[c] * x + map.shift[c];
    ++i;
  }
  return result;
}

class LinearRewriter {
 public:
  LinearRewriter(const FoldView& view, ConstantChanges& changes)
      : view_(view), graph_(view.graph()), changes_(changes) {}

  Rewrite make(std::span<const Candidate* const> candidates, std::span<const FoldedLinear> linears) {
    for (const Candidate* candidate : candidates) substitute(*candidate);
    for (const Candidate* candidate : candidates) {
      if (candidate->leaves_shift()) add_staying(*candidate);
      if (candidate->without != nullptr) add_without(*candidate);
      for (const Route::Step& step : candidate->route.steps) {
        if (step.role == Route::Role::passed) copy_node(step);
      }
    }
    for (const auto& [id, absorbed] : linears) add_linear(id, absorbed);
    for (const Candidate* candidate : candidates) {
      add_bystanders(candidate->chain->bystanders);
      add_bystanders(candidate->route.bystanders);
    }
    return std::move(rewrite_);
  }

  Rewrite make(const Chain& chain) {
    rewrite_.removed = chain.nodes;
    replace_within(chain, chain.input);
    add_affine(chain, chain.affine, Operand::of(chain.input), Operand::of(chain.output));
    add_bystanders(chain.bystanders);
    return std::move(rewrite_);
  }

 private:
  /// Records what replaces each value on the route, and removes the affine operators.
  void substitute(const Candidate& candidate) {
    const Chain& chain = *candidate.chain;
    const bool back = candidate.route.direction == FoldDirection::backward;
    rewrite_.removed.insert(rewrite_.removed.end(), chain.nodes.begin(), chain.nodes.end());
    replace_within(chain, back ? chain.output : chain.input);
    if (candidate.leaves_shift() || candidate.without != nullptr)
      changed_.insert(back ? chain.input : chain.output);
    else
      replace(back ? chain.input : chain.output, back ? chain.output : chain.input);
    for (const auto& [id, role, ports, constants] : candidate.route.steps) {
      const Node& node = graph_.node(id);
      if (role != Route::Role::linear) rewrite_.removed.push_back(id);
      for (const std::size_t port : ports) {
        const ValueId value = back ? node.inputs[port] : node.outputs[port];
        if (role == Route::Role::collected)
          collect(back, node.outputs[0], back ? value : data_of(candidate.route, node));
        if (role == Route::Role::passed || back) changed_.insert(value);
      }
    }
  }

  /// Takes an affine operator from `data` to `output` out of the way. Backward, the output may be the chain's
  /// input, which the chain's output has replaced already.
  void collect(bool back, ValueId output, ValueId data) {
    const auto known = replaced_by_.find(output);
    if (back && known != replaced_by_.end())
      replace(data, known->second);
    else
      replace(output, data);
  }

  /// What reads the dimensions of a value inside the chain reads those of `by`.
  void replace_within(const Chain& chain, ValueId by) {
    for (const NodeId id : chain.nodes) {
      const ValueId output = graph_.node(id).outputs[0];
      if (output != chain.output) replace(output, by);
    }
  }

  /// Lets these nodes, unless they are on the way themselves, read what takes the place of their inputs.
  void add_bystanders(const std::vector<NodeId>& nodes) {
    for (const NodeId id : nodes) {
      auto& removed = rewrite_.removed;
      if (std::find(removed.begin(), removed.end(), id) != removed.end()) continue;
      removed.push_back(id);
      rewrite_.nodes.push_back(copy_of(graph_.node(id)));
    }
  }

  Rewrite::NewNode copy_of(const Node& node) {
    Rewrite::NewNode copy{node, {}, {}};
    for (const ValueId input : node.inputs) copy.inputs.push_back(current(input));
    for (const ValueId output : node.outputs) copy.outputs.push_back(current(output));
    return copy;
  }

  /// Readers of `value` are to read `by`.
  void replace(ValueId value, ValueId by) { replaced_by_.emplace(value, by); }

  /// What replaces a value. A value that is not replaced but whose elements change gets a new name.
  Operand current(ValueId id) {
    if (!id.valid()) return Operand::absent();
    for (auto found = replaced_by_.find(id); found != replaced_by_.end(); found = replaced_by_.find(id))
      id = found->second;
    if (!changed_.contains(id)) return Operand::of(id);
    const auto known = fresh_.find(id);
    if (known != fresh_.end()) return known->second;
    return fresh_.emplace(id, rewrite_.add_value(folded_name(id), graph_.value(id).type)).first->second;
  }

  /// Forward: the input through which the map has reached an affine operator.
  static ValueId data_of(const Route& route, const Node& node) {
    return *std::find_if(node.inputs.begin(), node.inputs.end(),
                         [&](ValueId input) { return input.valid() && route.maps.contains(input); });
  }

  std::string folded_name(ValueId id) const { return graph_.value(id).name + "_folded"; }

  /// Rounded to storage, once; one number for each channel is remembered as it was, so that what folds into it later
  /// is rounded with it and not after it.
  Operand add_rounded(const std::string& stem, const ScaledTensor& scaled, DType storage) {
    auto [rounded, flushed, before, after] = round_to_storage(scaled, storage);
    changes_.flushed += flushed;
    made_of_.push_back({scaled.values, before.largest, after.largest});
    Tensor exact;
    if (scaled.values.shape().rank() <= 1 && is_floating(storage) && storage != DType::float64 &&
        flushed == 0) {
      exact = Tensor(DType::float64, scaled.values.shape());
      double* out = exact.mutable_data<double>();
      for_each_element(scaled, [&](std::size_t i, std::size_t j, double value) {
        *out++ = value * scaled.outer[i] * scaled.inner[j];
      });
    }
    const Operand constant = rewrite_.add_constant(stem, std::move(rounded), std::move(exact));
    rewrite_.constants.back().known_finite = after.finite;
    return constant;
  }

  /// Copies an operator that passes the map, with the map applied to the constant inputs that take it.
  void copy_node(const Route::Step& step) {
    const Node& node = graph_.node(step.node);
    Rewrite::NewNode copy = copy_of(node);
    const NodeArgs args = view_.args(step.node);
    for (const auto& [port, map] : step.constants) {
      const ValueId input = node.inputs[port];
      const ScaledTensor exact{applied(map, *args.get().constant(port))};
      copy.inputs[port] = add_rounded(folded_name(input), exact, graph_.value(input).type.dtype);
    }
    rewrite_.nodes.push_back(std::move(copy));
  }

  void add_linear(NodeId id, const Absorbed& absorbed) {
    const Node& old = graph_.node(id);
    rewrite_.removed.push_back(id);
    Rewrite::NewNode folded{old, {}, {}};
    for (const ValueId input : old.inputs) folded.inputs.push_back(current(input));
    const NodeArgs before = view_.unpacked_args(id);
    add_constants(id, absorbed, folded);
    for (const std::size_t i : {kWeights, kBias}) note_magnitudes(i, before.get().constant(i), folded);
    const Operand result = current(old.outputs[0]);
    const bool adds = !absorbed.remaining.is_identity();
    const ValueType& type = graph_.value(old.outputs[0]).type;
    for (const ValueId output : old.outputs) folded.outputs.push_back(current(output));
    if (adds) folded.outputs[0] = rewrite_.add_value(folded_name(old.outputs[0]), type);
    const Operand unshifted = folded.outputs[0];
    rewrite_.nodes.push_back(std::move(folded));
    if (!adds) return;
    add_arithmetic("Add", label_of(graph_, id) + "_bias", unshifted, absorbed.remaining,
                   absorbed.remaining.shift, type, result);
    raise(changes_.bias.after, made_of_.back().largest_after);
  }

  /// Gives a copy of node `id` the constants and attributes of `absorbed`.
  void add_constants(NodeId id, const Absorbed& absorbed, Rewrite::NewNode& copy) {
    const Node& old = graph_.node(id);
    for (const auto& [name, value] : absorbed.attributes) copy.node.set_attribute(name, value);
    for (const auto& [index, scaled] : absorbed.inputs) {
      if (copy.inputs.size() <= index) copy.inputs.resize(index + 1);
      const ValueId previous = index < old.inputs.size() ? old.inputs[index] : ValueId{};
      if (is_packed_constant(view_, id, index, scaled)) {
        copy.inputs[index] = rescaled(previous, scaled);
        continue;
      }
      const DType storage = graph_.value(previous.valid() ? previous : old.outputs[0]).type.dtype;
      const std::string stem =
          previous.valid() ? folded_name(previous) : fmt::format("{}_input_{}", label_of(graph_, id), index);
      copy.inputs[index] = add_rounded(stem, scaled, storage);
    }
  }

  /// A packed constant times the factors of `scaled`, whose integers stay.
  Operand rescaled(ValueId packed, const ScaledTensor& scaled) {
    const auto found = rescale_integers(view_, packed, scaled);
    const auto& way = std::get<RescaledIntegers>(found);
    const auto add_copy = [&](NodeId id, Operand data) {
      Rewrite::NewNode copy{graph_.node(id), {}, {}};
      for (const ValueId input : copy.node.inputs) copy.inputs.push_back(Operand::of(input));
      if (data.kind != Operand::Kind::absent) copy.inputs[0] = data;
      const ValueId output = copy.node.outputs[0];
      copy.outputs.push_back(rewrite_.add_value(folded_name(output), graph_.value(output).type));
      return copy;
    };
    Rewrite::NewNode unpacking = add_copy(way.unpacking, Operand::absent());
    add_constants(way.unpacking, way.absorbed, unpacking);
    Operand last = unpacking.outputs[0];
    rewrite_.nodes.push_back(std::move(unpacking));
    for (auto id = way.rearranging.rbegin(); id != way.rearranging.rend(); ++id) {
      rewrite_.nodes.push_back(add_copy(*id, last));
      last = rewrite_.nodes.back().outputs[0];
    }
    for_each_element(scaled, [&](std::size_t i, std::size_t j, double value) {
      changes_.weights.after =
          std::max(changes_.weights.after, std::abs(value * scaled.outer[i] * scaled.inner[j]));
    });
    return last;
  }

  // Y = Op(X, W, b) everywhere.
  static constexpr std::size_t kWeights = 1;
  static constexpr std::size_t kBias = 2;

  Magnitude& magnitude(std::size_t input) { return input == kWeights ? changes_.weights : changes_.bias; }

  /// Of an input that was `before`, or nullptr, and what it is now. A large constant is not read again for it.
  void note_magnitudes(std::size_t input, const Tensor* before, const Rewrite::NewNode& made) {
    const Operand now = input < made.inputs.size() ? made.inputs[input] : Operand::absent();
    const MadeOf* rounded =
        now.kind == Operand::Kind::constant ? &made_of_[static_cast<std::size_t>(now.index)] : nullptr;
    Magnitude& noted = magnitude(input);
    if (before != nullptr) {
      const bool same = rounded != nullptr && rounded->values.view().bytes == before->view().bytes;
      raise(noted.before, same ? rounded->largest_before : reach_of(*before).largest);
    }
    if (rounded != nullptr) {
      raise(noted.after, rounded->largest_after);
    } else if (now.kind == Operand::Kind::existing) {
      const Tensor* constant = graph_.value({now.index}).as_constant();
      if (constant != nullptr) raise(noted.after, reach_of(*constant).largest);
    }
  }

  /// data * values, data + values or data - values, one value per channel of `map`.
  void add_arithmetic(const char* op_type, std::string name, Operand data, const ChannelAffine& map,
                      const std::vector<double>& values, const ValueType& type, Operand result) {
    const bool names_axis = graph_.opset("") < 7;  // operands did not yet align at the last axis
    Node node;
    node.name = std::move(name);
    node.op_type = op_type;
    if (names_axis) node.attributes["broadcast"] = std::int64_t{1};
    Shape shape;
    if (!map.uniform()) {
      shape.push_back(static_cast<std::int64_t>(map.channels()));
      if (names_axis) node.attributes["axis"] = std::int64_t{map.axis};
      for (auto axis = static_cast<std::size_t>(map.axis) + 1; axis < type.rank() && !names_axis; ++axis)
        shape.push_back(1);
    }
    const ScaledTensor exact{Tensor(shape, values)};
    const Operand constant = add_rounded(node.name, exact, type.dtype);
    rewrite_.nodes.push_back({std::move(node), {data, constant}, {result}});
  }

  void add_affine(const Chain& chain, const ChannelAffine& affine, Operand data, Operand result) {
    const ValueType& type = graph_.value(chain.output).type;
    const NodeId scaling = scaling_node(view_, chain.nodes);
    const std::string name = label_of(graph_, scaling.valid() ? scaling : chain.nodes.front());
    if (const NodeId id = normalisation_of(view_, chain); id.valid()) {
      add_normalisation(id, affine, data, result);
    } else if (affine.is_identity()) {
      rewrite_.nodes.push_back({Node{.name = name, .op_type = "Identity"}, {data}, {result}});
    } else if (!affine.has_shift()) {
      add_arithmetic("Mul", name, data, affine, affine.scale, type, result);
    } else if (!affine.has_scale()) {
      add_arithmetic("Add", name, data, affine, affine.shift, type, result);
    } else {
      const Operand scaled = rewrite_.add_value(folded_name(chain.output), type);
      add_arithmetic("Mul", name, data, affine, affine.scale, type, scaled);
      add_arithmetic("Add", name + "_shift", scaled, affine, affine.shift, type, result);
    }
  }

  void add_staying(const Candidate& candidate) {
    const Chain& chain = *candidate.chain;
    const StayingShift& stays = candidate.stays;
    const bool back = candidate.route.direction == FoldDirection::backward;
    const ChannelAffine shift{stays.axis, std::vector<double>(stays.c.size(), 1.0), stays.c};
    const NodeId scaling = scaling_node(view_, chain.nodes);
    const std::string name = label_of(graph_, scaling.valid() ? scaling : chain.nodes.front());
    const ValueType& type = graph_.value(chain.output).type;
    if (back)
      add_arithmetic("Add", name + "_shift", current(chain.input), shift, shift.shift, type,
                     Operand::of(chain.output));
    else
      add_arithmetic("Sub", name + std::string(kCentreSuffix), Operand::of(chain.input), shift, shift.shift,
                     type, current(chain.output));
  }

  void add_without(const Candidate& candidate) {
    const NodeId id = candidate.chain->nodes.front();
    Rewrite::NewNode copy{graph_.node(id), {}, {}};
    for (const ValueId input : copy.node.inputs) copy.inputs.push_back(Operand::of(input));
    for (const ValueId output : copy.node.outputs) copy.outputs.push_back(current(output));
    add_constants(id, *candidate.without, copy);
    rewrite_.nodes.push_back(std::move(copy));
  }

  void add_normalisation(NodeId id, const ChannelAffine& affine, Operand data, Operand result) {
    const NodeArgs args = view_.args(id);
    Rewrite::NewNode node{graph_.node(id), {data}, {result}};
    node.node.name = label_of(graph_, id);
    add_constants(id, *view_.op(id)->as_holder_of(affine, args.get()), node);
    rewrite_.nodes.push_back(std::move(node));
  }

  /// What a constant of the rewrite was rounded from, and how large its elements are.
  struct MadeOf {
    Tensor values;
    double largest_before = 0.0;
    double largest_after = 0.0;
  };

  const FoldView& view_;
  const Graph& graph_;
  ConstantChanges& changes_;
  std::vector<MadeOf> made_of_;  ///< for each of the rewrite's constants
  Rewrite rewrite_;
  std::map<ValueId, ValueId> replaced_by_;
  std::set<ValueId> changed_;  ///< their elements are others than before
  std::map<ValueId, Operand> fresh_;
};

}  // namespace

Rewrite rewrite_linears(const FoldView& view, std::span<const Candidate* const> candidates,
                        std::span<const FoldedLinear> linears, ConstantChanges& changes) {
  return LinearRewriter(view, changes).make(candidates, linears);
}

NodeId normalisation_of(const FoldView& view, const Chain& chain) {
  const auto found = std::find_if(chain.nodes.rbegin(), chain.nodes.rend(),
                                  [&](NodeId id) { return view.op(id)->is_normalisation(); });
  return found == chain.nodes.rend() ? NodeId{} : *found;
}

std::optional<int> cost_of_replacement(const FoldView& view, const Chain& chain,
                                       const ChannelAffine& affine) {
  if (const NodeId id = normalisation_of(view, chain); id.valid()) {
    const NodeArgs args = view.args(id);
    return view.op(id)->as_holder_of(affine, args.get()) ? std::optional(cost_of(affine)) : std::nullopt;
  }
  if (view.graph().opset("") == 0) return std::nullopt;  // no Mul and no Add
  return affine.is_identity() ? 1 : (affine.has_scale() ? 2 : 0) + (affine.has_shift() ? 1 : 0);
}

Rewrite rewrite_chain(const FoldView& view, const Chain& chain, ConstantChanges& changes) {
  return LinearRewriter(view, changes).make(chain);
}

NodeId scaling_node(const FoldView& view, const std::vector<NodeId>& nodes) {
  const auto found = std::find_if(nodes.begin(), nodes.end(),
                                  [&](NodeId id) { return view.affine(id)->affine.has_scale(); });
  return found == nodes.end() ? NodeId{} : *found;
}

}  // namespace bnrun
