#include "program/values.h"

#include <utility>

namespace bnrun {

ValueId Values::add(ValueType type, Tensor constant) {
  const ValueId id{static_cast<std::int32_t>(count())};
  added_.push_back({std::move(type), std::move(constant)});
  return id;
}

const ValueType& Values::type(ValueId id) const {
  return of_graph(id) ? graph_.value(id).type : added(id).type;
}

const Tensor* Values::constant(ValueId id) const {
  if (of_graph(id)) return graph_.value(id).as_constant();
  return added(id).constant.defined() ? &added(id).constant : nullptr;
}

Tensor Values::held(ValueId id) const {
  return of_graph(id) ? graph_.value(id).constant : added(id).constant;
}

bool Values::is_given(ValueId id) const {
  return of_graph(id) ? !graph_.value(id).producer.valid() : added(id).constant.defined();
}

StepArgs::StepArgs(const Values& values, const Step& step) : used_(new bool[step.outputs.size()]) {
  for (const ValueId input : step.inputs) {
    inputs_.push_back(input.valid() ? values.type(input) : ValueType{});
    constants_.push_back(input.valid() ? values.constant(input) : nullptr);
  }
  for (std::size_t i = 0; i < step.outputs.size(); ++i) {
    const ValueId output = step.outputs[i];
    outputs_.push_back(output.valid() ? values.type(output) : ValueType{});
    used_[i] = output.valid();
  }
}

FoldArgs StepArgs::get() const {
  return {.inputs = inputs_,
          .outputs = outputs_,
          .constants = constants_,
          .output_used = {used_.get(), outputs_.size()}};
}

}  // namespace bnrun
