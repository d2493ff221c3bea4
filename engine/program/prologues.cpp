#include "program/prologues.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "op/prepared.h"

namespace bnrun {
namespace {

class Prologues {
 public:
  Prologues(std::vector<Step> steps, const Values& values) : steps_(std::move(steps)), values_(values) {
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      for (const ValueId id : steps_[i].outputs) writer_[id] = i;
      for (const auto* ids : {&steps_[i].inputs, &steps_[i].captures}) {
        for (const ValueId id : *ids) ++readers_[id];
      }
    }
  }

  std::vector<Step> taken_in() && {
    for (Step& step : steps_) {
      while (extend(step)) continue;
    }
    std::erase_if(steps_, [](const Step& step) { return step.op == nullptr; });
    return std::move(steps_);
  }

 private:
  /// Makes the step before one of the parts of `reader` a part of it, where there is one.
  bool extend(Step& reader) {
    const auto* in_parts = dynamic_cast<const ReadsInParts*>(reader.op.get());
    if (in_parts == nullptr) return false;
    for (std::size_t i = 0; i < in_parts->parts(); ++i) {
      Step* before = only_written_for(reader.inputs[i]);
      if (before == nullptr) continue;
      std::vector<ValueId> inputs = before->inputs;
      auto op = behind(*in_parts, *before);
      if (op != nullptr)
        inputs.resize(1);
      else if (joins_channels(*before))
        op = in_parts->of_parts(in_parts->parts() - 1 + inputs.size());
      if (op == nullptr) continue;
      reader.op = std::move(op);
      const auto at = reader.inputs.erase(reader.inputs.begin() + static_cast<std::ptrdiff_t>(i));
      reader.inputs.insert(at, inputs.begin(), inputs.end());
      if (std::exchange(gathers_, &reader) != &reader) reader.where += ", which gathers its input";
      *before = {};
      return true;
    }
    return false;
  }

  /// The step that writes `id` alone and for one reader; nullptr if there is none.
  Step* only_written_for(ValueId id) {
    const auto found = writer_.find(id);
    if (found == writer_.end() || readers_.at(id) != 1 || values_.is_output(id)) return nullptr;
    Step& step = steps_[found->second];
    return step.op != nullptr && step.outputs.size() == 1 && step.captures.empty() ? &step : nullptr;
  }

  std::shared_ptr<const Op> behind(const ReadsInParts& reader, const Step& step) const {
    const auto prologue = prologue_of(step);
    return prologue ? reader.behind(*prologue) : nullptr;
  }

  std::optional<ChannelPrologue> prologue_of(const Step& step) const {
    if (const auto* is_prologue = dynamic_cast<const IsPrologue*>(step.op.get()))
      return is_prologue->prologue();
    const auto activation = step.op->as_activation(StepArgs(values_, step).get());
    return activation ? std::optional(ChannelPrologue{{}, *activation}) : std::nullopt;
  }

  bool joins_channels(const Step& step) const {
    const auto* joins = dynamic_cast<const JoinsInputs*>(step.op.get());
    const ValueType& type = values_.type(step.outputs[0]);
    return joins != nullptr && type.ranked() && joins->joins_along(type.rank() - 1, type.rank()) &&
           std::ranges::none_of(step.inputs, [&](ValueId id) { return values_.constant(id) != nullptr; });
  }

  std::vector<Step> steps_;  ///< without `op`: taken in
  const Values& values_;
  std::map<ValueId, std::size_t> writer_;
  std::map<ValueId, std::size_t> readers_;  ///< how often it is read
  const Step* gathers_ = nullptr;           ///< the last that took in another
};

}  // namespace

std::vector<Step> take_in_prologues(std::vector<Step> steps, const Values& values) {
  return Prologues(std::move(steps), values).taken_in();
}

}  // namespace bnrun
