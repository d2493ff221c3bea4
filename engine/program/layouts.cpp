#include "program/layouts.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "op/layout.h"
#include "program/layout_op.h"

namespace bnrun {
namespace {

class Layouts {
 public:
  explicit Layouts(Values& values) : values_(values) {}

  std::vector<Step> steps() && { return std::move(steps_); }

  void take(FusedStep fused) {
    Step& step = fused.step;
    if (turns_over(step)) return;
    if (fused.channels_last) return take_with_channels_last(std::move(step), {});
    const bool wanted = fused.prefers_channels_last ||
                        std::ranges::any_of(step.inputs, [&](ValueId id) { return moved_.contains(id); });
    if (wanted && step.captures.empty()) {
      if (auto form = step.op->channels_last(StepArgs(values_, step).get()))
        return take_with_channels_last(std::move(step), std::move(*form));
    }
    for (const ValueId id : step.inputs) put_back(id);
    for (const ValueId id : step.captures) put_back(id);
    for (const ValueId id : step.outputs) there_.insert(id);
    steps_.push_back(std::move(step));
  }

  /// Sees to it that a value lies as its type says.
  void put_back(ValueId id) {
    const auto found = moved_.find(id);
    if (found == moved_.end() || there_.contains(id)) return;
    there_.insert(id);
    steps_.push_back(conversion(false, found->second, id));
  }

 private:
  static Step conversion(bool to_channels_last, ValueId from, ValueId to) {
    return {.op = make_layout_op(to_channels_last),
            .inputs = {from},
            .outputs = {to},
            .where = to_channels_last ? "conversion to channels last" : "conversion from channels last",
            .kernel = "layout"};
  }

  /// Whether the step, a transpose, gives a value that there is already: of x with its channels last, or of what its
  /// output is with its channels last.
  bool turns_over(const Step& step) {
    const auto axes = step.captures.empty() ? step.op->axes(StepArgs(values_, step).get()) : std::nullopt;
    if (!axes || axes->elements != AxisMap::Elements::moved || axes->from.size() < 3) return false;
    const std::size_t rank = axes->from.size();
    const ValueType& type = values_.type(step.inputs[0]);
    if (!type.ranked() || type.rank() != rank) return false;
    bool to_last = true;
    bool from_last = true;
    for (std::size_t axis = 0; axis < rank; ++axis) {
      const auto& from = axes->from[axis];
      to_last = to_last && from && axis_with_channels_last(*from, rank) == axis;
      from_last = from_last && from == axis_with_channels_last(axis, rank);
    }
    const ValueId x = step.inputs[0];
    const ValueId y = step.outputs[0];
    const auto found = moved_.find(x);
    if (to_last && found != moved_.end() && own_.erase(found->second) != 0) {
      rename(found->second, y);
      found->second = y;
      there_.insert(y);
      return true;
    }
    if (!from_last || (found != moved_.end() && !there_.contains(x))) return false;
    moved_.emplace(y, x);
    return true;
  }

  /// Everywhere so far.
  void rename(ValueId from, ValueId to) {
    for (Step& step : steps_) {
      std::ranges::replace(step.inputs, from, to);
      std::ranges::replace(step.outputs, from, to);
    }
  }

  void take_with_channels_last(Step step, ChannelsLast form) {
    if (form.op != nullptr) step.op = std::move(form.op);
    for (std::size_t i = 0; i < step.inputs.size(); ++i) {
      ValueId& id = step.inputs[i];
      const auto changed = std::ranges::find(form.constants, i, [](const auto& c) { return c.first; });
      if (changed != form.constants.end() && !changed->second.defined()) {
        id = {};
      } else if (changed != form.constants.end()) {
        const ValueType type = ValueType::of(changed->second.view());
        id = values_.add(type, std::move(changed->second));
      } else if (id.valid() && values_.constant(id) == nullptr) {
        id = moved(id);
      }
    }
    for (ValueId& id : step.outputs) {
      if (id.valid()) id = add_moved(id);
    }
    steps_.push_back(std::move(step));
  }

  ValueId add_moved(ValueId id) {
    const ValueType type = with_channels_last(values_.type(id));
    const ValueId last = values_.add(type);
    moved_.emplace(id, last);
    own_.insert(last);
    return last;
  }

  /// The value with its channels last.
  ValueId moved(ValueId id) {
    const auto found = moved_.find(id);
    if (found != moved_.end()) return found->second;
    const ValueId last = add_moved(id);
    there_.insert(id);
    steps_.push_back(conversion(true, id, last));
    return last;
  }

  Values& values_;
  std::vector<Step> steps_;
  std::map<ValueId, ValueId> moved_;  ///< values that lie somewhere with channels last, and where
  std::set<ValueId> there_;           ///< those that lie as their types say as well
  std::set<ValueId> own_;             ///< of the moved ones, those that the graph does not have
};

}  // namespace

std::vector<Step> choose_layouts(std::vector<FusedStep> steps, const Graph& graph, Values& values) {
  Layouts layouts(values);
  for (FusedStep& step : steps) layouts.take(std::move(step));
  for (const ValueId id : graph.outputs()) layouts.put_back(id);
  return std::move(layouts).steps();
}

}  // namespace bnrun
