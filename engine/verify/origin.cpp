#include "verify/origin.h"

#include <cmath>
#include <map>

#include "base/fail.h"
#include "passes/fold/chain.h"
#include "passes/prepare.h"

namespace bnrun {
namespace {

/// What a scaler or a BatchNormalization makes of its data.
constexpr double kDeviations = 3.0;
/// Images come as bytes, divided by 255, or by 127.5 or 128 around their middle.
constexpr double kByte = 255.0;

/// A map to what is expected to lie within +-kDeviations, and who says so.
struct Normaliser {
  ChannelAffine map;
  std::string origin;
};

bool is_about(double value, double expected) {
  return std::abs(value - expected) <= 0.005 * expected;
}

/// u in [-1, 1] -> the bytes that the map was made for; nullopt when it was made for something else.
std::optional<ChannelAffine> image_bytes(const ChannelAffine& map) {
  if (!map.uniform() || map.scale[0] == 0.0) return std::nullopt;
  const double divisor = 1.0 / std::abs(map.scale[0]);
  const double centre = -map.shift[0] / map.scale[0];
  const bool whole = is_about(divisor, kByte) && centre == 0.0;
  const bool half = is_about(divisor, kByte / 2) && is_about(centre, kByte / 2);
  if (!whole && !half) return std::nullopt;
  return ChannelAffine{ChannelAffine::kUniform, {kByte / 2}, {kByte / 2}};
}

/// Where data lie that `map` brings to +-kDeviations.
ChannelAffine spread_of(const ChannelAffine& map) {
  ChannelAffine spread = map;
  for (std::size_t c = 0; c < map.channels(); ++c) {
    const double half = kDeviations / std::abs(map.scale[c]);
    const double centre = -map.shift[c] / map.scale[c];
    const bool tells = std::isfinite(half) && std::isfinite(centre);
    spread.scale[c] = tells ? half : kDeviations;
    spread.shift[c] = tells ? centre : 0.0;
  }
  return spread;
}

class SourceFinder {
 public:
  explicit SourceFinder(Graph graph) : graph_(std::move(graph)), view_(graph_, prepared(graph_)) {
    for (const NodeId id : view_.order()) {
      if (sources_.size() == graph_.inputs().size()) break;
      visit(id);
    }
  }

  /// Of an input of the graph; nullptr when no operator tells.
  const InputSource* find(const std::string& name) const {
    const auto found = sources_.find(name);
    return found == sources_.end() ? nullptr : &found->second;
  }

 private:
  static ExactConstants prepared(Graph& graph) {
    ExactConstants exact;
    prepare(graph, {}, &exact);
    return exact;
  }

  /// A chain of affine operators tells as a whole, up to and with a BatchNormalization.
  void visit(NodeId first) {
    const AffineForm* form = view_.affine(first);
    if (form == nullptr && standardisation(first) == std::nullopt) return;
    const ValueId data = graph_.node(first).inputs[form == nullptr ? 0 : form->input];
    ChannelAffine map;
    NodeId last = first;
    for (NodeId id = first; id.valid(); id = sole_reader(graph_, graph_.node(id).outputs[0])) {
      const AffineForm* step = view_.affine(id);
      const auto normal = standardisation(id);
      if (!normal && step == nullptr) break;
      const auto both = compose(map, normal ? *normal : step->affine);
      if (std::holds_alternative<Declined>(both)) break;
      map = std::get<ChannelAffine>(both);
      last = id;
      if (normal) {
        offer(data, {map, "mean +- 3 deviations of " + describe(graph_, id)});
        return;
      }
      if (const auto bytes = image_bytes(map)) {
        offer_bytes(data, *bytes, id);
        return;
      }
    }
    if (!map.is_identity()) offer(data, {map, "what " + describe(graph_, last) + " scales to +-3"});
  }

  std::optional<ChannelAffine> standardisation(NodeId id) const {
    if (view_.op(id) == nullptr) return std::nullopt;
    const NodeArgs args = view_.args(id);
    return view_.op(id)->standardisation(args.get());
  }

  void offer_bytes(ValueId value, const ChannelAffine& bytes, NodeId id) {
    for (const ValueId input : inputs_behind(value))
      sources_.try_emplace(graph_.value(input).name,
                           InputSource{"0:255, for " + describe(graph_, id) + " scales bytes", bytes});
  }

  /// The graph's inputs from which `value` is only moved.
  std::vector<ValueId> inputs_behind(ValueId value) {
    std::vector<ValueId> found;
    carry(value, ChannelAffine{}, [&](ValueId input, const ChannelAffine&) { found.push_back(input); });
    return found;
  }

  void offer(ValueId value, const Normaliser& normaliser) {
    carry(value, normaliser.map, [&](ValueId input, const ChannelAffine& map) {
      sources_.try_emplace(graph_.value(input).name, InputSource{normaliser.origin, spread_of(map)});
    });
  }

  /// Moves the map up to the inputs of the graph, each operator after all those that read it.
  template <class Visit>
  void carry(ValueId from, const ChannelAffine& map, const Visit& visit) {
    std::map<ValueId, ChannelAffine> maps;
    std::map<std::size_t, NodeId> agenda;  // by position
    const auto reach = [&](ValueId id, const ChannelAffine& reached) {
      if (!maps.emplace(id, reached).second) return;
      const Value& value = graph_.value(id);
      if (value.producer.valid())
        agenda.emplace(view_.position(value.producer), value.producer);
      else if (value.as_constant() == nullptr && !value.captured)
        visit(id, reached);
    };
    reach(from, map);
    while (!agenda.empty()) {
      const NodeId id = std::prev(agenda.end())->second;
      agenda.erase(std::prev(agenda.end()));
      if (view_.op(id) == nullptr) continue;
      const Node& node = graph_.node(id);
      const NodeArgs args = view_.args(id);
      std::vector<ChannelAffine> behind(node.outputs.size());
      for (std::size_t i = 0; i < behind.size(); ++i) {
        if (const auto found = maps.find(node.outputs[i]); found != maps.end()) behind[i] = found->second;
      }
      const auto passed = view_.op(id)->pass_affines(Side::output, behind, args.get());
      const auto* before = std::get_if<std::vector<ChannelAffine>>(&passed);
      for (std::size_t i = 0; before != nullptr && i < before->size(); ++i) {
        if (node.inputs[i].valid()) reach(node.inputs[i], (*before)[i]);
      }
    }
  }

  Graph graph_;
  FoldView view_;
  std::map<std::string, InputSource> sources_;
};

ChannelAffine covering(const InputRange& range) {
  return {ChannelAffine::kUniform, {(range.high - range.low) / 2}, {(range.high + range.low) / 2}};
}

InputSource covered(const InputRange& range) {
  return {fmt::format("{:g}:{:g}", range.low, range.high), covering(range)};
}

}  // namespace

std::vector<InputSource> sources_of(const Graph& graph, const std::optional<InputRange>& range) {
  std::vector<InputSource> sources;
  std::optional<SourceFinder> finder;
  for (const ValueId id : graph.inputs()) {
    const Value& value = graph.value(id);
    if (value.constant.defined()) {
      sources.emplace_back();
      continue;
    }
    if (range) {
      sources.push_back(covered(*range));
      continue;
    }
    if (!finder) finder.emplace(graph);
    const InputSource* told = finder->find(value.name);
    if (told != nullptr && is_floating(value.type.dtype))
      sources.push_back(*told);
    else
      sources.push_back(covered(value.type.dtype == DType::uint8 ? InputRange{0.0, kByte} : InputRange{}));
  }
  return sources;
}

}  // namespace bnrun
