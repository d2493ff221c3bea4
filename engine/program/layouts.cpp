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
};

}  // namespace

std::vector<Step> choose_layouts(std::vector<FusedStep> steps, const Graph& graph, Values& values) {
  Layouts layouts(values);
  for (FusedStep& step : steps) layouts.take(std::move(step));
  for (const ValueId id : graph.outputs()) layouts.put_back(id);
  return std::move(layouts).steps();
}

}  // namespace bnrun
