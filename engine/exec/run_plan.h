// Where every value lies when a program runs on inputs of given types and shapes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "bnrun/tensor.h"
#include "program/program.h"

namespace bnrun {

enum class Place : std::uint8_t {
  none,      ///< inside a stage, or never computed
  constant,  ///< in the program
  input,     ///< the caller's
  output,    ///< the caller's
  arena,     ///< at an offset of the arena's memory
  heap,      ///< a tensor of its own: its shape depends on data, or its elements are strings
};

/// Types, shapes and places of all values for one set of input shapes.
struct RunPlan {
  struct Slot {
    ValueType type;
    Shape shape{};  ///< that of `type`, where all of it is known
    Place place = Place::none;
    std::size_t offset = 0;  ///< in the arena, or index of the input or output
  };
  std::vector<TensorView> inputs;  ///< what the plan was made for, without elements
  std::vector<Slot> slots;
  /// Per stage: its outputs are allocated when it runs, after a look at what it reads.
  std::vector<char> on_heap;
  std::size_t arena_bytes = 0;
  std::size_t scratch_bytes = 0;  ///< that one thread wants for the step that wants most

  const Slot& slot(SlotId id) const { return slots[static_cast<std::size_t>(id.index)]; }
  /// Output `index` of the program is computed right where the caller wants it.
  bool is_target(SlotId id, std::size_t index) const {
    return slot(id).place == Place::output && slot(id).offset == index;
  }
  bool fits(std::span<const TensorView> given) const;
};

/// Throws invalid_input, naming the input, when one is missing or differs in type or shape from what the
/// model declares, or when a named dimension has two extents.
void check_inputs(const Program& program, std::span<const TensorView> inputs);

/// REQUIRES: check_inputs. Throws invalid_input when the shapes do not fit together inside the model.
RunPlan plan_run(const Program& program, std::span<const TensorView> inputs);

}  // namespace bnrun
