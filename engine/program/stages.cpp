#include "program/stages.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "base/memory.h"
#include "bnrun/error.h"
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
constexpr std::size_t kScratchBytes = std::size_t{1} << 20;
/// Weights that a block meets in fewer multiply-adds a byte take longer to read than to use: a step wants so many rows
/// in a block that they do not, although the values between the steps then leave that cache.
constexpr double kLeastWorkOfByte = 64.0;
/// Weights that are still in that cache when the next block comes: any number of rows will do.
constexpr std::size_t kSmallWeights = std::size_t{1} << 17;
/// What those values may take then: no more than a part of the weights, and no more than this.
constexpr std::size_t kMostScratchBytes = std::size_t{1} << 24;
/// A block may have so much more rows: one for each so many.
constexpr std::int64_t kPartMore = 4;
/// Steps of one stage want one row, or no more than this, or more.
constexpr double kSomeRows = 4.0;

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

/// Row i of the step's outputs depends on row i of those of its inputs that are no constants.
bool is_row_wise(const Values& values, const Step& step) {
  const bool all_named = std::ranges::all_of(step.outputs, [](ValueId output) { return output.valid(); });
  return all_named && step.captures.empty() && step.op->keeps_rows(StepArgs(values, step).get());
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
      std::vector<std::size_t> members{i};
      const bool blocks = start(steps[i]);
      for (std::size_t j = i + 1; blocks && j < steps.size(); ++j) {
        if (!placed[j] && join(steps[j])) members.push_back(j);
      }
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
  /// Begins a stage with `step`, if that goes row by row. The stage has the rows of its inputs.
  bool start(const Step& step) {
    rows_of_.clear();
    wanted_rows_.reset();
    const auto first = std::ranges::find_if(step.inputs, [&](ValueId id) { return varies(id); });
    if (first == step.inputs.end()) return false;
    const ValueType& type = values_.type(*first);
    const auto row = row_type(type);
    if (!row) return false;
    rows_ = type.dims->front();
    rows_of_.emplace(*first, *row);
    return join(step);
  }

  /// Adds `step` to the stage when its inputs have the stage's rows and are there: inside it, or before it.
  bool join(const Step& step) {
    if (!is_row_wise(values_, step)) return false;
    for (const ValueId id : step.inputs) {
      if (varies(id) && !has_rows(id)) return false;
    }
    const auto outputs = infer_rows(step);
    if (!outputs) return false;
    if (const auto wanted = wanted_rows(step, *outputs)) {
      if (wanted_rows_ && kind_of(*wanted_rows_) != kind_of(*wanted)) return false;
      wanted_rows_ = std::max(wanted_rows_.value_or(0.0), *wanted);
    }
    for (std::size_t i = 0; i < outputs->size(); ++i) rows_of_.emplace(step.outputs[i], (*outputs)[i]);
    return true;
  }

  bool varies(ValueId id) const { return id.valid() && values_.constant(id) == nullptr; }

  /// Whether a value has the stage's rows and is there.
  bool has_rows(ValueId id) {
    if (rows_of_.contains(id)) return true;
    const ValueType& type = values_.type(id);
    if (!exists(id) || !type.ranked() || type.rank() == 0 || !(type.dims->front() == rows_)) return false;
    const auto row = row_type(type);
    if (row) rows_of_.emplace(id, *row);
    return row.has_value();
  }

  /// The step's outputs for a block of rows of its inputs, or nullopt when it does not keep the rows.
  std::optional<std::vector<RowType>> infer_rows(const Step& step) const {
    std::vector<TensorView> elements;
    for (const ValueId id : step.inputs)
      elements.push_back(id.valid() && !varies(id) ? values_.constant(id)->view() : TensorView{});
    std::vector<RowType> rows_of_outputs;
    for (const std::int64_t rows : {1, 64}) {
      rows_of_outputs.clear();
      try {
        const auto types = types_of_rows(step, rows);
        const auto outputs =
            step.op->infer({.inputs = types, .values = elements, .outputs = step.outputs.size()});
        if (outputs.size() != step.outputs.size()) return std::nullopt;
        for (const ValueType& output : outputs) {
          const auto row = row_type(output);
          if (!row || !(output.dims->front() == Dim(rows))) return std::nullopt;
          rows_of_outputs.push_back(*row);
        }
      } catch (const Error&) {
        return std::nullopt;  // the error is reported when the step runs on the whole tensor
      }
    }
    return rows_of_outputs;
  }

  /// Rows that a step wants in a block; nullopt where that is all the same.
  std::optional<double> wanted_rows(const Step& step, std::span<const RowType> outputs) const {
    if (step.constant_bytes == 0) return std::nullopt;
    std::vector<ValueType> types;
    for (const RowType& output : outputs)
      types.push_back(ValueType::of(output.dtype, block_shape(output, 1)));
    const double work = kLeastWorkOfByte * static_cast<double>(step.constant_bytes);
    const double wanted = work / std::max(1.0, macs_of_row(step, types));
    return wanted > 1.0 && step.constant_bytes <= kSmallWeights ? std::nullopt : std::optional(wanted);
  }

  static int kind_of(double wanted_rows) { return wanted_rows <= 1.0 ? 0 : wanted_rows <= kSomeRows ? 1 : 2; }

  double macs_of_row(const Step& step, std::span<const ValueType> outputs) const {
    const auto inputs = types_of_rows(step, 1);
    return static_cast<double>(step.op->macs({.inputs = inputs, .outputs = outputs}).number().value_or(0));
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
      for (const ValueId id : steps[i].inputs) blocks.inputs.push_back(varies(id) ? index_of(id, i) : -1);
      for (const ValueId id : steps[i].outputs) blocks.outputs.push_back(index_of(id, i));
      produced.insert(steps[i].outputs.begin(), steps[i].outputs.end());
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
    std::size_t weights = 0;
    for (const Step& step : steps) weights += step.constant_bytes;
    plan_scratch(blocks, lifetimes, weights);
    blocks.step_scratch_bytes = step_scratch(steps, blocks.most_rows);
    blocks.least_rows = std::min(blocks.rows, least_rows(steps, weights));
    return blocks;
  }

  std::int64_t least_rows(const std::vector<Step>& steps, std::size_t weights) const {
    double work = 1.0;  // of one row
    for (const Step& step : steps) {
      std::vector<ValueType> outputs;
      for (const ValueId id : step.outputs) {
        outputs.push_back(type_of_rows(id, 1));
        work += kWorkOfValue * static_cast<double>(rows_of_.at(id).row.elements());
      }
      work += macs_of_row(step, outputs);
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
    std::vector<ValueType> types;
    for (const ValueId id : step.inputs) {
      if (varies(id))
        types.push_back(type_of_rows(id, rows));
      else
        types.push_back(id.valid() ? values_.type(id) : ValueType{});
    }
    return types;
  }

  /// Read by a step outside the stage, or an output of the graph.
  bool leaves(ValueId id, const std::vector<Step>& steps) const {
    std::size_t inside = 0;
    for (const Step& step : steps) inside += static_cast<std::size_t>(std::ranges::count(step.inputs, id));
    const auto uses = uses_.find(id);
    return values_.is_output(id) || (uses != uses_.end() && uses->second != inside);
  }

  /// As many rows as leave the values between the steps in cache, or as many as the steps want.
  void plan_scratch(RowBlocks& blocks, std::vector<Lifetime>& lifetimes, std::size_t weights) const {
    const std::size_t most = std::clamp(weights / 2, kScratchBytes, kMostScratchBytes);
    for (blocks.rows = block_rows_;; blocks.rows = std::max<std::int64_t>(1, blocks.rows / 2)) {
      blocks.most_rows = blocks.rows + blocks.rows / kPartMore;
      for (std::size_t i = 0; i < lifetimes.size(); ++i) {
        const bool whole = blocks.values[i].whole;
        lifetimes[i].bytes =
            whole ? 0 : blocks.values[i].row_bytes * static_cast<std::size_t>(blocks.most_rows);
      }
      const MemoryPlan plan = plan_memory(lifetimes);
      const bool wanted = static_cast<double>(blocks.rows) / 2 < wanted_rows_.value_or(0.0);
      const std::size_t usual =
          plan.bytes / static_cast<std::size_t>(blocks.most_rows) * static_cast<std::size_t>(blocks.rows);
      if (usual > (wanted ? most : kScratchBytes) && blocks.rows > 1) continue;
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
  std::optional<double> wanted_rows_;  ///< of the stage's steps the most, all of one kind
};

}  // namespace

std::vector<Stage> group_stages(const Values& values, std::vector<Step> steps, std::int64_t block_rows) {
  return StageBuilder(values, block_rows).build(std::move(steps));
}

}  // namespace bnrun
