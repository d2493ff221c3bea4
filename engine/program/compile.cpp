#include "program/compile.h"

#include <set>
#include <utility>

#include "base/fail.h"
#include "graph/rewrite.h"
#include "program/fuse.h"
#include "program/layouts.h"
#include "program/prologues.h"
#include "program/stages.h"

namespace bnrun {
namespace {

/// A step writes all outputs that its node lists. One without a name gets a place behind those of the
/// graph's values, which nobody reads. Returns how many places there are.
std::size_t give_places_to_unnamed(std::vector<Stage>& stages, std::size_t places) {
  for (Stage& stage : stages) {
    for (Step& step : stage.steps) {
      for (SlotId& output : step.outputs) {
        if (!output.valid()) output = {static_cast<std::int32_t>(places++)};
      }
    }
  }
  return places;
}

}  // namespace

Program compile(Graph graph, const CompileOptions& options) {
  Program program;
  Values values(graph);
  auto steps = fuse_steps(graph, {options.backend, options.fast, options.on_bytes});
  auto laid_out = take_in_prologues(choose_layouts(std::move(steps), graph, values), values);
  program.stages = group_stages(values, std::move(laid_out), options.block_rows);
  for (Stage& stage : program.stages) {
    for (Step& step : stage.steps) step.parts = dynamic_cast<const WorksInParts*>(step.op.get());
  }
  if (options.backend == MatrixBackend::blas) {
    // The last bits of BLAS depend on the number of rows, which must not depend on the number of threads.
    for (Stage& stage : program.stages) {
      if (stage.blocks) stage.blocks->least_rows = stage.blocks->most_rows = stage.blocks->rows;
    }
  }
  const auto ports_of = [&](const std::vector<ValueId>& ids) {
    std::vector<Program::Port> ports;
    for (const ValueId id : ids) ports.push_back({graph.value(id).name, graph.value(id).type, id});
    return ports;
  };
  program.inputs = ports_of(graph.inputs());
  for (const ValueId id : graph.live_values()) {
    if (graph.value(id).captured) program.inputs.push_back({graph.value(id).name, graph.value(id).type, id});
  }
  program.outputs = ports_of(graph.outputs());

  // Weights that went into packed panels are read by nobody any more and not kept.
  // Defaults of inputs stay: they tell that an input may be left out.
  std::set<ValueId> read(graph.outputs().begin(), graph.outputs().end());
  read.insert(graph.inputs().begin(), graph.inputs().end());
  for (const Stage& stage : program.stages) {
    for (const Step& step : stage.steps) {
      read.insert(step.inputs.begin(), step.inputs.end());
      read.insert(step.captures.begin(), step.captures.end());
    }
  }
  program.constants.resize(give_places_to_unnamed(program.stages, values.count()));
  for (const ValueId id : graph.outputs()) {
    const Value& value = graph.value(id);
    if (!value.producer.valid() && !value.is_input && !value.captured && !value.constant.defined())
      fail(ErrorCode::invalid_model, "output '{}' is computed by no node", value.name);
  }
  for (const ValueId id : read) {
    if (id.valid()) program.constants[static_cast<std::size_t>(id.index)] = values.held(id);
  }
  return program;
}

}  // namespace bnrun
