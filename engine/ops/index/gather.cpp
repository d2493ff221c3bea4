// Gather, GatherElements, GatherND: elements or blocks selected by indices.
// Negative indices count from the end.
#include <algorithm>
#include <numeric>

#include "base/fail.h"
#include "base/strided_copy.h"
#include "op/op.h"
#include "op/passing.h"
#include "op/shape_rules.h"
#include "ops/index/indices.h"

namespace bnrun {
namespace {

/// Y[a..., i..., b...] = data[a..., indices[i...], b...], a... being the axes in front of `axis`.
class Gather final : public Op {
 public:
  explicit Gather(AttributeReader& node) : axis_(node.get_int("axis", 0)) { check_inputs(node, 2, 2); }

  bool copies() const override { return true; }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& data = args.inputs[0];
    const ValueType& indices = args.inputs[1];
    std::vector<ValueType> outputs{{data.dtype, std::nullopt}};
    if (data.ranked()) {
      const std::size_t axis = normalize_axis(axis_, data.rank());
      if (indices.ranked()) {
        Dims dims = *data.dims;
        const auto at = dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(axis));
        dims.insert(at, indices.dims->begin(), indices.dims->end());
        outputs[0].dims = std::move(dims);
      }
    }
    move_content(*this, args, 1, outputs);
    return outputs;
  }

  void run(const RunArgs& args) const override {
    const TensorView& data = args.in(0);
    const std::size_t axis = normalize_axis(axis_, data.shape.rank());
    const ElementsOf<std::int64_t> indices(args.in(1));
    const std::int64_t extent = data.shape[axis];
    const std::int64_t outer = data.shape.elements(0, axis);
    const std::int64_t block = data.shape.elements(axis + 1, data.shape.rank());
    dispatch_moved(data.dtype, [&]<class T>() {
      T* out = moved<T>(args.out(0));
      for (std::int64_t i = 0; i < outer; ++i) {
        for (const std::int64_t index : indices) {
          const std::int64_t row = i * extent + checked_index(index, extent);
          out = std::copy_n(moved<T>(data) + row * block, block, out);
        }
      }
    });
  }

  /// Every entry in its place.
  OrDeclined<AffineForm> as_affine(const FoldArgs& args) const override {
    if (const auto copies = known_copies(args); copies && same_dimensions(args.inputs[0], args.outputs[0])) {
      std::vector<std::int64_t> all(copies->originals);
      std::iota(all.begin(), all.end(), std::int64_t{0});
      if (copies->sources == all) return AffineForm{0, {}};
    }
    return Declined{Decline::not_affine, {}};
  }

  /// Other axes keep their extents; behind `axis` they move, as the indices may have any rank.
  OrDeclined<ChannelAffine> pass_affine(Side from, const ChannelAffine& affine,
                                        const FoldArgs& args) const override {
    const auto copies = known_copies(args);
    if (affine.uniform()) {
      if (from == Side::output && args.to_part_only && copies) return map_of_copied(affine, *copies);
      return affine;
    }
    const Declined unproven{Decline::axis_unproven, "which channels it takes is unknown"};
    if (!args.inputs[0].ranked() || !args.inputs[1].ranked()) return unproven;
    const std::size_t axis = normalize_axis(axis_, args.inputs[0].rank());
    const std::size_t index_rank = args.inputs[1].rank();
    const auto at = static_cast<std::size_t>(affine.axis);
    ChannelAffine moved = affine;
    if (at < axis) return moved;
    if (from == Side::input && at > axis) {
      moved.axis = static_cast<int>(at + index_rank - 1);
      return moved;
    }
    if (from == Side::output && at >= axis + index_rank) {
      moved.axis = static_cast<int>(at + 1 - index_rank);
      return moved;
    }
    if (!copies || index_rank > 1) return unproven;
    if (index_rank == 1) return carried(affine, from, *copies);
    // From the input: one channel is taken and its axis goes.
    if (affine.channels() != copies->originals) return unproven;
    const auto channel = static_cast<std::size_t>(copies->sources[0]);
    return ChannelAffine{ChannelAffine::kUniform, {affine.scale[channel]}, {affine.shift[channel]}};
  }

 private:
  std::optional<AxisCopies> known_copies(const FoldArgs& args) const {
    const auto indices = known_ints(args, 1);
    if (!indices || !args.inputs[0].ranked() || !args.inputs[1].ranked()) return std::nullopt;
    const std::size_t axis = normalize_axis(axis_, args.inputs[0].rank());
    const Dim& dim = (*args.inputs[0].dims)[axis];
    if (!dim.known()) return std::nullopt;
    AxisCopies copies{axis, axis, static_cast<std::size_t>(dim.extent()), {}};
    for (const std::int64_t index : *indices) {
      if (index < -dim.extent() || index >= dim.extent()) return std::nullopt;
      copies.sources.push_back(index < 0 ? index + dim.extent() : index);
    }
    return copies;
  }

  std::int64_t axis_;
};

/// Y[i] = data[i with coordinate `axis` replaced by indices[i]].
class GatherElements final : public Op {
 public:
  explicit GatherElements(AttributeReader& node) : axis_(node.get_int("axis", 0)) {
    check_inputs(node, 2, 2);
  }

  bool copies() const override { return true; }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    if (args.inputs[0].ranked()) normalize_axis(axis_, args.inputs[0].rank());
    return {{args.inputs[0].dtype, args.inputs[1].dims}};
  }

  void run(const RunArgs& args) const override {
    const TensorView& data = args.in(0);
    const std::size_t axis = normalize_axis(axis_, data.shape.rank());
    const auto positions = positions_along(data.shape, args.in(1), axis);
    dispatch_moved(data.dtype, [&]<class T>() {
      std::transform(positions.begin(), positions.end(), moved<T>(args.out(0)),
                     [&](std::int64_t at) { return moved<T>(data)[at]; });
    });
  }

  /// Along other axes an element stays in its slice, of which the indices may leave some out.
  OrDeclined<ChannelAffine> pass_affine(Side, const ChannelAffine& affine,
                                        const FoldArgs& args) const override {
    if (affine.uniform()) return affine;
    const ValueType& data = args.inputs[0];
    const auto at = static_cast<std::size_t>(affine.axis);
    const Dim channels(static_cast<std::int64_t>(affine.channels()));
    if (data.ranked() && args.outputs[0].ranked() && at != normalize_axis(axis_, data.rank()) &&
        (*data.dims)[at] == channels && (*args.outputs[0].dims)[at] == channels)
      return affine;
    return Declined{Decline::axis_unproven, "which channels it takes is unknown"};
  }

 private:
  std::int64_t axis_;
};

/// Y[b..., i...] = data[b..., indices[b..., i..., :]], b... being `batch_dims` common leading axes.
class GatherND final : public Op {
 public:
  explicit GatherND(AttributeReader& node)
      : batch_dims_(node.version() < 12 ? 0 : node.get_int("batch_dims", 0)) {
    check_inputs(node, 2, 2);
    if (batch_dims_ < 0) fail(ErrorCode::invalid_model, "batch_dims is {}", batch_dims_);
  }

  bool copies() const override { return true; }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& data = args.inputs[0];
    const ValueType& indices = args.inputs[1];
    ValueType Y{data.dtype, std::nullopt};
    if (!data.ranked() || !indices.ranked()) return {Y};
    const auto batch = static_cast<std::size_t>(batch_dims_);
    if (data.rank() == 0 || indices.rank() == 0 || batch >= std::min(data.rank(), indices.rank()))
      fail(ErrorCode::invalid_model, "batch_dims is {} for {} and indices {}", batch, to_string(data),
           to_string(indices));
    if (!indices.dims->back().known()) return {Y};
    const auto depth = static_cast<std::size_t>(indices.dims->back().extent());
    if (depth > data.rank() - batch)
      fail(ErrorCode::invalid_model, "an index has {} coordinates, the data {}", depth, data.rank() - batch);
    Y.dims = Dims(indices.dims->begin(), indices.dims->end() - 1);
    Y.dims->insert(Y.dims->end(), data.dims->begin() + static_cast<std::ptrdiff_t>(batch + depth),
                   data.dims->end());
    return {Y};
  }

  void run(const RunArgs& args) const override {
    const TensorView& data = args.in(0);
    const auto blocks = block_positions(data.shape, args.in(1), static_cast<std::size_t>(batch_dims_));
    const std::int64_t block =
        blocks.empty() ? 0 : args.out(0).elements() / static_cast<std::int64_t>(blocks.size());
    dispatch_moved(data.dtype, [&]<class T>() {
      T* out = moved<T>(args.out(0));
      for (const std::int64_t at : blocks) out = std::copy_n(moved<T>(data) + at, block, out);
    });
  }

  /// The batch axes stay in front, and the axes that an index does not name stay behind.
  OrDeclined<ChannelAffine> pass_affine(Side from, const ChannelAffine& affine,
                                        const FoldArgs& args) const override {
    if (affine.uniform()) return affine;
    ChannelAffine moved = affine;
    if (affine.axis < batch_dims_) return moved;
    const ValueType& indices = args.inputs[1];
    if (indices.ranked() && indices.dims->back().known()) {
      const auto named = static_cast<int>(batch_dims_ + indices.dims->back().extent());
      const int in_front = static_cast<int>(indices.rank()) - 1;
      const int behind = affine.axis - (from == Side::input ? named : in_front);
      moved.axis = behind + (from == Side::input ? in_front : named);
      if (behind >= 0) return moved;
    }
    return Declined{Decline::axis_unproven, "which channels it takes is unknown"};
  }

 private:
  std::int64_t batch_dims_;
};

}  // namespace

std::unique_ptr<const Op> make_gather(AttributeReader& node) {
  return std::make_unique<Gather>(node);
}
std::unique_ptr<const Op> make_gather_elements(AttributeReader& node) {
  return std::make_unique<GatherElements>(node);
}
std::unique_ptr<const Op> make_gather_nd(AttributeReader& node) {
  return std::make_unique<GatherND>(node);
}

}  // namespace bnrun
