#include "exec/run_plan.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/elements.h"
#include "base/fail.h"
#include "base/memory.h"
#include "op/evaluate.h"
#include "program/memory_plan.h"

namespace bnrun {
namespace {

std::string describe_given(const TensorView& view) {
  return std::string(name_of(view.dtype)) + to_string(view.shape);
}

std::size_t index_of(SlotId id) {
  return static_cast<std::size_t>(id.index);
}

class Planner {
 public:
  Planner(const Program& program, std::span<const TensorView> inputs) : program_(program) {
    plan_.slots.resize(program.constants.size());
    plan_.on_heap.resize(program.stages.size(), 0);
    lifetimes_.resize(program.constants.size());
    for (std::size_t i = 0; i < program.constants.size(); ++i) {
      const Tensor& constant = program.constants[i];
      if (constant.defined()) plan_.slots[i] = known(ValueType::of(constant.view()), Place::constant, i);
    }
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      plan_.inputs.push_back({inputs[i].dtype, inputs[i].shape, nullptr});
      if (inputs[i].defined())
        slot(program.inputs[i].slot) =
            known(ValueType::of(inputs[i].dtype, inputs[i].shape), Place::input, i);
    }
  }

  RunPlan plan() && {
    for (std::size_t i = 0; i < program_.stages.size(); ++i) {
      const Stage& stage = program_.stages[i];
      if (stage.blocks)
        type_blocks(stage, i);
      else
        type_step(stage.steps[0], i);
    }
    place_outputs();
    place_in_arena();
    return std::move(plan_);
  }

 private:
  RunPlan::Slot& slot(SlotId id) { return plan_.slots[index_of(id)]; }

  static RunPlan::Slot known(ValueType type, Place place, std::size_t offset) {
    const Shape shape = type.shape();
    return {std::move(type), shape, place, offset};
  }

  void set_type(SlotId id, ValueType type, std::size_t stage) {
    const bool has_shape = type.dtype != DType::undefined && type.static_shape();
    if (!has_shape || type.dtype == DType::string) plan_.on_heap[stage] = 1;
    slot(id) = {std::move(type)};
    if (has_shape) slot(id).shape = slot(id).type.shape();
    lifetimes_[index_of(id)] = {0, stage, stage};
  }

  void type_blocks(const Stage& stage, std::size_t number) {
    const RowBlocks& blocks = *stage.blocks;
    Dim rows;
    for (const auto source : blocks.sources) {
      const RowValue& value = blocks.values[static_cast<std::size_t>(source)];
      lifetimes_[index_of(value.slot)].last = number;
      const ValueType& type = slot(value.slot).type;
      if (type.ranked() && type.rank() > 0 && type.dims->front().known()) rows = type.dims->front();
    }
    for (const auto result : blocks.results) {
      const RowValue& value = blocks.values[static_cast<std::size_t>(result)];
      ValueType type = ValueType::of(value.dtype, value.row);
      type.dims->insert(type.dims->begin(), rows);
      set_type(value.slot, std::move(type), number);
    }
    for (const Step& step : stage.steps) {
      try {
        compute(step, {});
      } catch (const Error& error) {
        throw_as_input(error, step);
      }
    }
    plan_.scratch_bytes = std::max(plan_.scratch_bytes, blocks.step_scratch_bytes);
    settle(number, blocks);
  }

  /// The model itself has passed shape inference, so that the extents of these inputs are at fault.
  [[noreturn]] static void throw_as_input(const Error& error, const Step& step) {
    const auto code = error.code() == ErrorCode::invalid_model ? ErrorCode::invalid_input : error.code();
    throw Error(code, error.what()).within(step.where);
  }

  void type_step(const Step& step, std::size_t number) {
    std::vector<ValueType> types;
    std::vector<TensorView> values;
    for (const SlotId id : step.inputs) {
      types.push_back(id.valid() ? slot(id).type : ValueType{});
      values.push_back(value_of(id));
      if (id.valid()) lifetimes_[index_of(id)].last = number;
    }
    for (const SlotId id : step.captures) lifetimes_[index_of(id)].last = number;
    std::vector<ValueType> outputs;
    const bool all_known = std::none_of(step.inputs.begin(), step.inputs.end(), [&](SlotId id) {
      return id.valid() && slot(id).type.dtype == DType::undefined;
    });
    if (all_known) {
      try {
        outputs = step.op->infer({.inputs = types, .values = values, .outputs = step.outputs.size()});
        plan_.scratch_bytes = std::max(plan_.scratch_bytes, step.op->scratch_bytes(types));
        for (std::size_t i = 0; i < std::min(outputs.size(), step.outputs.size()); ++i) {
          auto value = step.outputs[i].valid() ? tensor_of(outputs[i]) : std::nullopt;
          if (value) values_[index_of(step.outputs[i])] = std::move(*value);
        }
        compute(step, outputs);
      } catch (const Error& error) {
        throw_as_input(error, step);
      }
    }
    outputs.resize(step.outputs.size());
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (step.outputs[i].valid()) set_type(step.outputs[i], std::move(outputs[i]), number);
    }
    // Extents that depend on data meet others when they are known: `evaluate` looks at them.
    const bool told = std::ranges::all_of(
        step.inputs, [&](SlotId id) { return !id.valid() || slot(id).type.static_shape(); });
    if (!told) plan_.on_heap[number] = 1;
    if (plan_.on_heap[number] != 0) {
      for (const SlotId id : step.outputs) {
        if (id.valid()) slot(id).place = Place::heap;
      }
    }
  }

  /// The elements of a constant, or of what follows from constants and shapes.
  TensorView value_of(SlotId id) const {
    if (!id.valid()) return {};
    if (plan_.slots[index_of(id)].place == Place::constant) return program_.constants[index_of(id)].view();
    const auto found = values_.find(index_of(id));
    return found != values_.end() ? found->second.view() : TensorView{};
  }

  /// A shape that the model computes (Shape, Gather, Concat, ...) is known with the shapes of the inputs, and with it
  /// those of all that is reshaped by it. This notes what a step makes of known values.
  void compute(const Step& step, std::span<const ValueType> types) {
    constexpr std::int64_t kMaxElements = 256;
    const bool small = std::ranges::all_of(types, [](const ValueType& type) {
      return type.static_shape() && type.shape().elements() <= kMaxElements;
    });
    if (!small) return;
    if (step.inputs.empty() || !step.captures.empty() || !step.op->deterministic()) return;
    std::vector<TensorView> inputs;
    for (const SlotId id : step.inputs) {
      inputs.push_back(value_of(id));
      if (id.valid() && (!inputs.back().defined() || inputs.back().elements() > kMaxElements)) return;
    }
    const std::unique_ptr<bool[]> wanted(new bool[step.outputs.size()]);
    for (std::size_t i = 0; i < step.outputs.size(); ++i) wanted[i] = step.outputs[i].valid();
    auto results = evaluate(*step.op, inputs, {wanted.get(), step.outputs.size()});
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (results[i].defined()) values_[index_of(step.outputs[i])] = std::move(results[i]);
    }
  }

  /// The elements that a type tells, if it tells all.
  static std::optional<Tensor> tensor_of(const ValueType& type) {
    if (!type.content || !type.static_shape()) return std::nullopt;
    std::vector<std::int64_t> numbers;
    for (const Content& element : *type.content) {
      if (!element.number) return std::nullopt;
      numbers.push_back(*element.number);
    }
    return convert(Tensor(type.shape(), numbers), type.dtype);
  }

  void settle(std::size_t number, const RowBlocks& blocks) {
    if (plan_.on_heap[number] == 0) return;
    for (const auto result : blocks.results)
      slot(blocks.values[static_cast<std::size_t>(result)].slot).place = Place::heap;
  }

  /// A computed value that is an output of the program is written straight into the caller's
  /// buffer. Outputs that are constants, inputs or listed twice are copied after the run.
  void place_outputs() {
    for (std::size_t i = 0; i < program_.outputs.size(); ++i) {
      RunPlan::Slot& output = slot(program_.outputs[i].slot);
      if (output.place == Place::none) {
        output.place = Place::output;
        output.offset = i;
      }
    }
  }

  void place_in_arena() {
    std::vector<std::size_t> in_arena;
    std::vector<Lifetime> lifetimes;
    for (std::size_t stage = 0; stage < program_.stages.size(); ++stage) {
      const auto add = [&](SlotId id) {
        RunPlan::Slot& value = slot(id);
        if (value.place != Place::none) return;
        value.place = Place::arena;
        Lifetime lifetime = lifetimes_[index_of(id)];
        lifetime.bytes = bytes_of(value.shape.elements(), value.type.dtype);
        lifetimes.push_back(lifetime);
        in_arena.push_back(index_of(id));
      };
      const auto& blocks = program_.stages[stage].blocks;
      if (blocks) {
        for (const auto result : blocks->results) add(blocks->values[static_cast<std::size_t>(result)].slot);
      } else {
        for (const SlotId id : program_.stages[stage].steps[0].outputs) {
          if (id.valid()) add(id);
        }
      }
    }
    const MemoryPlan memory = plan_memory(lifetimes);
    for (std::size_t i = 0; i < in_arena.size(); ++i) plan_.slots[in_arena[i]].offset = memory.offsets[i];
    plan_.arena_bytes = memory.bytes;
  }

  const Program& program_;
  RunPlan plan_;
  std::vector<Lifetime> lifetimes_;       ///< by slot, in stages
  std::map<std::size_t, Tensor> values_;  ///< by slot
};

}  // namespace

bool RunPlan::fits(std::span<const TensorView> given) const {
  return std::equal(
      given.begin(), given.end(), inputs.begin(), inputs.end(),
      [](const TensorView& a, const TensorView& b) { return a.dtype == b.dtype && a.shape == b.shape; });
}

void check_inputs(const Program& program, std::span<const TensorView> inputs) {
  if (inputs.size() != program.inputs.size()) {
    fail(ErrorCode::invalid_input, "{} inputs given, the model has {}", inputs.size(), program.inputs.size());
  }
  std::map<std::string, std::pair<std::int64_t, std::string>> symbols;  // extent and the input that set it
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto& [name, type, slot] = program.inputs[i];
    const TensorView& given = inputs[i];
    if (!given.defined()) {
      if (program.constants[index_of(slot)].defined()) continue;
      fail(ErrorCode::invalid_input, "input '{}' ({}) is missing", name, to_string(type));
    }
    const bool has_sizes = std::ranges::all_of(given.shape, [](std::int64_t extent) { return extent >= 0; });
    if (!has_sizes || !merge(type, ValueType::of(given.dtype, given.shape))) {
      fail(ErrorCode::invalid_input, "input '{}' must be {}, given is {}", name, to_string(type),
           describe_given(given));
    }
    for (std::size_t axis = 0; type.ranked() && axis < type.rank(); ++axis) {
      const Dim& dim = (*type.dims)[axis];
      if (!dim.symbolic()) continue;
      const auto [found, is_new] = symbols.try_emplace(dim.name(), given.shape[axis], name);
      if (!is_new && found->second.first != given.shape[axis]) {
        fail(ErrorCode::invalid_input, "input '{}' must be {}, given is {}: {} is {} in input '{}'", name,
             to_string(type), describe_given(given), dim.name(), found->second.first, found->second.second);
      }
    }
  }
}

RunPlan plan_run(const Program& program, std::span<const TensorView> inputs) {
  return Planner(program, inputs).plan();
}

}  // namespace bnrun
