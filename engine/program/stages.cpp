#include "program/stages.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/memory.h"
#include "bnrun/error.h"
#include "program/fuse.h"
#include "program/memory_plan.h"

namespace bnrun {
namespace {

/// The smallest block that is worth another thread: work of some three microseconds, in multiply-adds, of which a
/// value that an operator writes counts as a few.
constexpr double kLeastWork = 150'000.0;
constexpr double kWorkOfValue = 8.0;
/// Rows that are not fewer: each block goes through all weights, which takes no time beside the multiply-adds of so
/// many while they are in the second-level cache. Larger ones want a whole tile of the packed kernels.
constexpr std::int64_t kLeastRows = 4;
constexpr std::int64_t kLeastRowsOfLargeWeights = 12;
constexpr std::size_t kLargeWeights = std::size_t{1} << 20;
/// What the values between the steps of one block may take, so that they stay in the second-level cache.
constexpr std::size_t kScratchBytes = std::size_t{1} << 19;
/// Weights that a row meets in fewer multiply-adds a byte take longer to read than to use: such steps want many rows in
/// a block, although the values between them then leave that cache.
constexpr double kLeastWorkOfByte = 64.0;
/// What those values may take: no more than a part of the weights, and no more than this.
constexpr std::size_t kMostScratchBytes = std::size_t{1} << 22;

/// Type of a value without axis 0.
struct RowType {
  DType dtype;
  Shape row;
};

std::optional<RowType> row_type(const ValueType& type) {
  if (type.dtype == DType::undefined || type.dtype == DType::string || !type.ranked() || type.rank() == 0)
    return std::nullopt;
  RowType result{type.dtype, {}};
  for (std::size_t i = 1; i < type.rank(); ++i) {
    if (!(*type.dims)[i].known()) return std::nullopt;
    result.row.push_back((*type.dims)[i].extent());
  }
  return result;
}

Shape block_shape(const RowType& type, std::int64_t rows) {
  Shape shape = type.row;
  shape.insert(0, rows);
  return shape;
}

/// The step's output for a block of rows of `input`, or nullopt when it does not keep the rows.
std::optional<RowType> infer_rows(const Values& values, const Step& step, const RowType& input) {
  std::optional<RowType> result;
  for (const std::int64_t rows : {1, 64}) {
    std::vector<ValueType> types{ValueType::of(input.dtype, block_shape(input, rows))};
    std::vector<TensorView> elements(1);
    for (std::size_t i = 1; i < step.inputs.size(); ++i) {
      const bool given = step.inputs[i].valid();
      types.push_back(given ? values.type(step.inputs[i]) : ValueType{});
      elements.push_back(given ? values.constant(step.inputs[i])->view() : TensorView{});
    }
    try {
      const ValueType output = step.op->infer({.inputs = types, .values = elements, .outputs = 1}).at(0);
      if (!output.static_shape() || output.rank() == 0 || !(output.dims->front() == Dim(rows)))
        return std::nullopt;
      result = row_type(output);
      if (!result) return std::nullopt;
    } catch (const Error&) {
      return std::nullopt;  // the error is reported when the step runs on the whole tensor
    }
  }
  return result;
}

class StageBuilder {
 public:
  StageBuilder(const Values& values, std::int64_t block_rows) : values_(values), block_rows_(block_rows) {}

  std::vector<Stage> build(std::vector<Step> steps) {
    for (const Step& step : steps) {
      for (const ValueId id : step.inputs) ++uses_[id];
      for (const ValueId id : step.captures) ++uses_[id];
    }
    std::vector<Stage> stages;
    std::vector<bool> placed(steps.size(), false);
    for (std::size_t i = 0; i < steps.size(); ++i) {
      if (placed[i]) continue;
      std::vector<std::size_t> members;
      if (start(steps[i])) {
        for (std::size_t j = i; j < steps.size(); ++j) {
          if (!placed[j] && join(steps[j])) members.push_back(j);
        }
      }
      const bool blocks = !members.empty();
      if (!blocks) members.push_back(i);
      Stage stage;
      for (const std::size_t j : members) {
        placed[j] = true;
        available_.insert(steps[j].outputs.begin(), steps[j].outputs.end());
        stage.steps.push_back(std::move(steps[j]));
      }
      if (blocks) stage.blocks = plan_blocks(stage.steps);
      stages.push_back(std::move(stage));
    }
    return stages;
  }

 private:
  /// Whether `step` can be the first of a stage, which then has the rows of its input.
  bool start(const Step& step) {
    rows_of_.clear();
    wants_many_rows_.reset();
    if (!is_row_wise(values_, step)) return false;
    const ValueType& type = values_.type(step.inputs[0]);
    const auto input = row_type(type);
    if (!input || !infer_rows(values_, step, *input)) return false;
    rows_ = type.dims->front();
    rows_of_.emplace(step.inputs[0], *input);
    return true;
  }

  /// Adds `step` to the stage when its input has the stage's rows and is there: inside it, or before it.
  bool join(const Step& step) {
    if (!is_row_wise(values_, step)) return false;
    const ValueId x = step.inputs[0];
    std::optional<RowType> input;
    if (const auto found = rows_of_.find(x); found != rows_of_.end()) {
      input = found->second;
    } else if (const ValueType& type = values_.type(x);
               type.ranked() && type.rank() > 0 && type.dims->front() == rows_ && exists(x)) {
      input = row_type(type);
    }
    if (!input) return false;
    const auto output = infer_rows(values_, step, *input);
    if (!output) return false;
    if (step.constant_bytes > 0) {
      const bool wants = wants_many_rows(step, *input, *output);
      if (wants_many_rows_.value_or(wants) != wants) return false;
      wants_many_rows_ = wants;
    }
    rows_of_.emplace(x, *input);
    rows_of_.emplace(step.outputs[0], *output);
    return true;
  }

  bool wants_many_rows(const Step& step, const RowType& input, const RowType& output) const {
    const ValueType outputs[] = {ValueType::of(output.dtype, block_shape(output, 1))};
    std::vector<ValueType> inputs{ValueType::of(input.dtype, block_shape(input, 1))};
    for (std::size_t i = 1; i < step.inputs.size(); ++i)
      inputs.push_back(step.inputs[i].valid() ? values_.type(step.inputs[i]) : ValueType{});
    const auto macs = step.op->macs({.inputs = inputs, .outputs = outputs}).number();
    return static_cast<double>(macs.value_or(0)) <
           kLeastWorkOfByte * static_cast<double>(step.constant_bytes);
  }

  bool exists(ValueId id) const { return available_.contains(id) || values_.is_given(id); }

  RowBlocks plan_blocks(const std::vector<Step>& steps) const {
    RowBlocks blocks;
    std::map<ValueId, std::int32_t> index;
    std::vector<Lifetime> lifetimes;
    const auto index_of = [&](ValueId id, std::size_t step) {
      const auto [found, is_new] = index.emplace(id, static_cast<std::int32_t>(blocks.values.size()));
      if (is_new) {
        const RowType& type = rows_of_.at(id);
        const auto bytes = bytes_of(type.row.elements(), type.dtype);
        blocks.values.push_back({id, type.dtype, type.row, bytes});
        lifetimes.push_back({0, step, step});
      }
      lifetimes[static_cast<std::size_t>(found->second)].last = step;
      return found->second;
    };
    std::set<ValueId> produced;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      for (std::size_t k = 0; k < steps[i].inputs.size(); ++k)
        blocks.inputs.push_back(k == 0 ? index_of(steps[i].inputs[0], i) : -1);
      blocks.outputs.push_back(index_of(steps[i].outputs[0], i));
      produced.insert(steps[i].outputs[0]);
    }
    for (auto& value : blocks.values) {
      const auto self = index.at(value.slot);
      if (!produced.contains(value.slot))
        blocks.sources.push_back(self);
      else if (leaves(value.slot, steps))
        blocks.results.push_back(self);
      else
        continue;
      value.whole = true;
    }
    plan_scratch(blocks, lifetimes, most_scratch(steps));
    blocks.step_scratch_bytes = step_scratch(steps, blocks.rows);
    blocks.least_rows = std::min(blocks.rows, least_rows(steps));
    return blocks;
  }

  std::int64_t least_rows(const std::vector<Step>& steps) const {
    double work = 1.0;  // of one row
    std::size_t weights = 0;
    for (const Step& step : steps) {
      const ValueType outputs[] = {type_of_rows(step.outputs[0], 1)};
      const auto inputs = types_of_rows(step, 1);
      const auto macs = step.op->macs({.inputs = inputs, .outputs = outputs}).number();
      work += static_cast<double>(macs.value_or(0)) +
              kWorkOfValue * static_cast<double>(rows_of_.at(step.outputs[0]).row.elements());
      weights += step.constant_bytes;
    }
    const std::int64_t fewest = weights > kLargeWeights ? kLeastRowsOfLargeWeights : kLeastRows;
    return std::max(fewest, static_cast<std::int64_t>(kLeastWork / work));
  }

  ValueType type_of_rows(ValueId id, std::int64_t rows) const {
    const RowType& type = rows_of_.at(id);
    return ValueType::of(type.dtype, block_shape(type, rows));
  }

  /// Types of the inputs of `step` for a block of so many rows.
  std::vector<ValueType> types_of_rows(const Step& step, std::int64_t rows) const {
    std::vector<ValueType> types{type_of_rows(step.inputs[0], rows)};
    for (std::size_t i = 1; i < step.inputs.size(); ++i)
      types.push_back(step.inputs[i].valid() ? values_.type(step.inputs[i]) : ValueType{});
    return types;
  }

  /// Read by a step outside the stage, or an output of the graph.
  bool leaves(ValueId id, const std::vector<Step>& steps) const {
    std::size_t inside = 0;
    for (const Step& step : steps) inside += step.inputs[0] == id ? 1 : 0;
    const auto uses = uses_.find(id);
    return values_.is_output(id) || (uses != uses_.end() && uses->second != inside);
  }

  /// What the values between `steps` may take for one block.
  std::size_t most_scratch(const std::vector<Step>& steps) const {
    if (!wants_many_rows_.value_or(false)) return kScratchBytes;
    std::size_t weights = 0;
    for (const Step& step : steps) weights += step.constant_bytes;
    return std::clamp(weights / 2, kScratchBytes, kMostScratchBytes);
  }

  void plan_scratch(RowBlocks& blocks, std::vector<Lifetime>& lifetimes, std::size_t most) const {
    for (blocks.rows = block_rows_;; blocks.rows = std::max<std::int64_t>(1, blocks.rows / 2)) {
      for (std::size_t i = 0; i < lifetimes.size(); ++i) {
        const bool whole = blocks.values[i].whole;
        lifetimes[i].bytes = whole ? 0 : blocks.values[i].row_bytes * static_cast<std::size_t>(blocks.rows);
      }
      const MemoryPlan plan = plan_memory(lifetimes);
      if (plan.bytes > most && blocks.rows > 1) continue;
      for (std::size_t i = 0; i < lifetimes.size(); ++i) blocks.values[i].offset = plan.offsets[i];
      blocks.scratch_bytes = plan.bytes;
      break;
    }
  }

  /// What the step that wants most of it wants for a block of so many rows.
  std::size_t step_scratch(const std::vector<Step>& steps, std::int64_t rows) const {
    std::size_t most = 0;
    for (const Step& step : steps) most = std::max(most, step.op->scratch_bytes(types_of_rows(step, rows)));
    return most;
  }

  const Values& values_;
  std::int64_t block_rows_;
  std::map<ValueId, std::size_t> uses_;  ///< by all steps
  std::set<ValueId> available_;
  Dim rows_;
  std::map<ValueId, RowType> rows_of_;
  std::optional<bool> wants_many_rows_;  ///< of the stage's steps that have weights, all of one mind
};

}  // namespace

std::vector<Stage> group_stages(const Values& values, std::vector<Step> steps, std::int64_t block_rows) {
  return StageBuilder(values, block_rows).build(std::move(steps));
}

}  // namespace bnrun
