#include "program/fuse.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <ranges>
#include <set>
#include <utility>
#include <variant>

#include "graph/node_query.h"
#include "op/prepared.h"
#include "op/shape_rules.h"
#include "program/byte_layers.h"
#include "program/fused_ops.h"
#include "program/idioms.h"
#include "program/lowering.h"

namespace bnrun {
namespace {

class Fuser {
 public:
  Fuser(Graph& graph, const FuseOptions& options)
      : graph_(graph), backend_(options.backend), fast_(options.fast), on_bytes_(options.on_bytes) {}

  std::vector<FusedStep> steps() {
    if (backend_ != MatrixBackend::blas) bytes_ = find_byte_layers(graph_, on_bytes_);
    taken_ = std::move(bytes_.unread);
    std::vector<FusedStep> steps;
    for (const NodeId id : graph_.topological_order()) {
      if (taken_.contains(id)) continue;
      require_op(graph_, id);
      auto step = lower(id);
      if (!step) step = unfused(id);
      computed_.insert(step->step.outputs.begin(), step->step.outputs.end());
      steps.push_back(std::move(*step));
    }
    drop_unread(steps);
    return steps;
  }

 private:
  /// Those that only nodes wanted which are in fused steps, and these do not, such as the shape that a Reshape is given.
  void drop_unread(std::vector<FusedStep>& steps) const {
    std::set<ValueId> read(graph_.outputs().begin(), graph_.outputs().end());
    std::vector<FusedStep> kept;
    for (FusedStep& fused : steps | std::views::reverse) {
      const Step& step = fused.step;
      if (std::ranges::none_of(step.outputs, [&](ValueId id) { return id.valid() && read.contains(id); }))
        continue;
      read.insert(step.inputs.begin(), step.inputs.end());
      read.insert(step.captures.begin(), step.captures.end());
      kept.push_back(std::move(fused));
    }
    std::ranges::reverse(kept);
    steps = std::move(kept);
  }

  FusedStep unfused(NodeId id) const {
    const Node& node = graph_.node(id);
    const NodeArgs args(graph_, id);
    std::shared_ptr<const Op> packed;
    if (const auto* packs = dynamic_cast<const PacksConstants*>(node.op.get()))
      packed = packs->packed(args.get());
    const auto* prefers = dynamic_cast<const PrefersChannelsLast*>(node.op.get());
    return {.step = {.op = packed != nullptr ? std::move(packed) : node.op,
                     .inputs = node.inputs,
                     .outputs = node.outputs,
                     .captures = node.captures,
                     .where = describe(graph_, id)},
            .prefers_channels_last = prefers != nullptr && backend_ != MatrixBackend::blas &&
                                     prefers->prefers_channels_last(args.get())};
  }

  /// The node, and what follows it, as the first kernel that can.
  std::optional<FusedStep> lower(NodeId id) {
    if (const auto sum = bytes_.sums.find(id); sum != bytes_.sums.end()) return lower_sum(sum->second);
    if (auto step = idiom_from(id)) return step;
    const Node& node = graph_.node(id);
    const NodeArgs args(graph_, id);
    const auto product = bytes_.products.find(id);
    for (const KernelRow& row : kernel_table()) {
      if (row.channels_last && backend_ == MatrixBackend::blas) continue;
      if (row.fast && !fast_) continue;
      auto form =
          row.begin(*node.op, args.get(), product != bytes_.products.end() ? &product->second : nullptr);
      if (!form) continue;
      const ValueId x = form->integers ? form->integers->x : node.inputs[form->input];
      if (std::ranges::find(row.types, graph_.value(node.outputs[0]).type.dtype) == row.types.end()) continue;
      if (auto step = extend(row, id, x, std::move(*form))) return step;
    }
    return std::nullopt;
  }

  /// What several nodes do, of which this is the first.
  std::optional<FusedStep> idiom_from(NodeId id) {
    if (const auto found = normalisation_from(graph_, id)) {
      const ValueType& type = graph_.value(found->x).type;
      std::int64_t width = 1;
      for (std::size_t i = type.rank() - found->axes; i < type.rank(); ++i) width *= (*type.dims)[i].extent();
      auto op = make_normalisation_op(
          type.dtype, {found->axes, width, found->epsilon, found->centred, found->scale, found->shift});
      Step step = take(std::move(op), {found->x}, found->nodes);
      step.kernel = "normalisation";
      return FusedStep{std::move(step)};
    }
    if (const auto found = shuffle_from(graph_, id))
      return FusedStep{take(make_channel_shuffle_op(found->rows), {found->x}, found->nodes)};
    for (const ValueId x : graph_.node(id).inputs) {
      if (!x.valid() || graph_.value(x).as_constant() != nullptr) continue;
      const DType dtype = graph_.value(x).type.dtype;
      if (dtype != DType::float32 && dtype != DType::float64) continue;
      const auto written = activation_of(graph_, x);
      if (!written || std::ranges::find(written->nodes, id) == written->nodes.end()) continue;
      Step step = take(make_channel_affine_op({}, written->function), {x}, written->nodes);
      step.kernel = "activation";
      return FusedStep{std::move(step)};
    }
    return std::nullopt;
  }

  std::optional<FusedStep> extend(const KernelRow& row, NodeId id, ValueId x, KernelForm form) {
    if (!row.fits(form)) return std::nullopt;
    std::vector<NodeId> path{id};
    std::vector<ValueId> inputs{x};
    while (form.activation == Activation{} && !form.output) {
      const ValueId y = output_of(graph_, path.back());
      std::vector<NodeId> next{sole_reader(graph_, y)};
      ValueId addend;
      KernelForm longer = form;
      if (!next[0].valid()) {
        auto written = row.takes_activation ? activation_of(graph_, y) : std::nullopt;
        if (!written) break;
        longer.activation = written->function;
        next = std::move(written->nodes);
      } else if (const auto map =
                     row.takes_affine && inputs.size() == 1 ? affine_behind(next[0], y) : std::nullopt) {
        auto composed = compose(form.affine, *map);
        if (!std::holds_alternative<ChannelAffine>(composed)) break;
        longer.affine = std::get<ChannelAffine>(std::move(composed));
      } else if (const auto function = row.takes_activation ? activation_behind(next[0]) : std::nullopt) {
        longer.activation = *function;
      } else if (row.takes_addend && inputs.size() == 1) {
        addend = addend_behind(next[0], y);
        if (!addend.valid()) break;
      } else {
        break;
      }
      if (!row.fits(longer)) break;
      form = std::move(longer);
      if (addend.valid()) inputs.push_back(addend);
      path.insert(path.end(), next.begin(), next.end());
    }
    if (row.takes_affine_behind && form.activation != Activation{}) add_map_behind(row, form, path);
    if (row.takes_output && !form.output && is_bound(form.activation)) {
      form.output = output_behind(graph_, path.back());
      if (form.output) path.push_back(sole_reader(graph_, output_of(graph_, path.back())));
    }
    const Tensor& weights = form.integers      ? form.integers->W()
                            : form.convolution ? form.convolution->W
                                               : form.W;
    Step step = take(row.make(form, backend_), std::move(inputs), path);
    // BLAS knows no bfloat16
    const bool blas =
        form.W.defined() && form.W.dtype() != DType::bfloat16 && backend_ == MatrixBackend::blas;
    step.kernel = blas ? std::string_view("dense, BLAS") : row.name;
    if (weights.defined())
      step.constant_bytes = static_cast<std::size_t>(row.weights * static_cast<double>(weights.bytes()));
    return FusedStep{std::move(step), row.channels_last};
  }

  /// Makes the affine map behind the activation a part of the form, if there is one that fits.
  void add_map_behind(const KernelRow& row, KernelForm& form, std::vector<NodeId>& path) const {
    const ValueId y = output_of(graph_, path.back());
    const NodeId next = sole_reader(graph_, y);
    const auto map = next.valid() ? affine_behind(next, y) : std::nullopt;
    if (!map || map->is_identity()) return;
    auto on_axis = compose(ChannelAffine{}.on_axis(form.affine.axis, form.affine.channels()), *map);
    if (!std::holds_alternative<ChannelAffine>(on_axis)) return;
    KernelForm longer = form;
    longer.behind = std::get<ChannelAffine>(std::move(on_axis));
    if (!row.fits(longer)) return;
    form = std::move(longer);
    path.push_back(next);
  }

  FusedStep lower_sum(const ByteSum& found) {
    const auto& [a, b] = found.sum.terms;
    Step step =
        take(make_byte_sum_op(found.sum, found.activation, found.output), {a.bytes, b.bytes}, found.nodes);
    step.kernel = "sum, bytes";
    return FusedStep{std::move(step)};
  }

  /// The node as an affine map of `x`, of the same type and rank.
  std::optional<ChannelAffine> affine_behind(NodeId id, ValueId x) const {
    const Node& node = graph_.node(id);
    const NodeArgs args(graph_, id);
    auto form = require_op(graph_, id).as_affine(args.get());
    if (!std::holds_alternative<AffineForm>(form) || !args.get().only_first_output_used())
      return std::nullopt;
    auto& [input, affine] = std::get<AffineForm>(form);
    const ValueType& from = graph_.value(x).type;
    const ValueType& to = graph_.value(node.outputs[0]).type;
    if (node.inputs[input] != x || from.dtype != to.dtype || !to.ranked() || from.rank() != to.rank())
      return std::nullopt;
    return std::move(affine);
  }

  std::optional<Activation> activation_behind(NodeId id) const {
    const NodeArgs args(graph_, id);
    const Op& op = require_op(graph_, id);
    return args.get().only_first_output_used() ? op.as_activation(args.get()) : std::nullopt;
  }

  /// What the node adds to `x`: a value of the same type that there is already.
  ValueId addend_behind(NodeId id, ValueId x) const {
    const Node& node = graph_.node(id);
    if (!computes(graph_, id, Formula::Kind::sum)) return {};
    const ValueId other = node.inputs[node.inputs[0] == x ? 1 : 0];
    const bool there = computed_.contains(other) || !graph_.value(other).producer.valid();
    if (!there || other == x || graph_.value(other).as_constant() != nullptr) return {};
    const ValueType& a = graph_.value(x).type;
    const ValueType& b = graph_.value(other).type;
    return a.dtype == b.dtype && same_dimensions(a, b) ? other : ValueId{};
  }

  Step take(std::shared_ptr<const Op> op, std::vector<ValueId> inputs, const std::vector<NodeId>& path) {
    std::string where = describe(graph_, path[0]);
    for (std::size_t i = 1; i < path.size(); ++i) where += " + " + graph_.node(path[i]).op_type;
    taken_.insert(path.begin(), path.end());
    read_.insert(inputs.begin(), inputs.end());
    for (const NodeId id : path) drop_constants(graph_.node(id).inputs);
    if (bytes_.products.erase(path[0]) != 0) drop_packed(graph_.node(path[0]).inputs);
    return {.op = std::move(op),
            .inputs = std::move(inputs),
            .outputs = {output_of(graph_, path.back())},
            .where = std::move(where)};
  }

  /// Those that the packed ones of `ids` are made of.
  void drop_packed(const std::vector<ValueId>& ids) {
    for (const ValueId id : ids) {
      if (!id.valid() || !is_packed(graph_, id)) continue;
      const auto& inputs = graph_.node(graph_.value(id).producer).inputs;
      drop_packed(inputs);
      drop_constants(inputs);
    }
  }

  /// Those of `ids` that only nodes in fused steps read, whose steps do not.
  void drop_constants(const std::vector<ValueId>& ids) {
    for (const ValueId id : ids) {
      if (!id.valid() || read_.contains(id)) continue;
      const Value& value = graph_.value(id);
      const bool all_taken =
          std::ranges::all_of(value.users, [&](NodeId user) { return taken_.contains(user); });
      if (all_taken && !value.is_output && !value.is_input) graph_.drop_constant(id);
    }
  }

  Graph& graph_;
  MatrixBackend backend_;
  bool fast_;
  bool on_bytes_;
  ByteLayers bytes_;
  std::set<NodeId> taken_;
  std::set<ValueId> computed_;  ///< by the steps so far
  std::set<ValueId> read_;      ///< by the fused steps so far
};

}  // namespace

std::vector<FusedStep> fuse_steps(Graph& graph, const FuseOptions& options) {
  return Fuser(graph, options).steps();
}

}  // namespace bnrun
