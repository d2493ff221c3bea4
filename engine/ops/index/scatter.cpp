// ScatterElements (once Scatter) and ScatterND: a copy of the data with updates written, or combined by
// `reduction`, at indices. The order of updates to one element is that of the indices.
#include <algorithm>
#include <map>

#include "base/dispatch.h"
#include "base/fail.h"
#include "base/strided_copy.h"
#include "op/op.h"
#include "op/passing.h"
#include "op/shape_rules.h"
#include "ops/index/indices.h"

namespace bnrun {
namespace {

enum class ScatterReduction { none, add, mul, max, min };

ScatterReduction read_reduction(AttributeReader& node) {
  if (node.version() < 16) return ScatterReduction::none;
  static const std::map<std::string, ScatterReduction> kNames = {{"none", ScatterReduction::none},
                                                                 {"add", ScatterReduction::add},
                                                                 {"mul", ScatterReduction::mul},
                                                                 {"max", ScatterReduction::max},
                                                                 {"min", ScatterReduction::min}};
  const auto found = kNames.find(node.get_string("reduction", "none"));
  if (found == kNames.end()) fail(ErrorCode::unsupported, "this reduction is not known");
  return found->second;
}

template <class T>
T reduce(ScatterReduction reduction, T old, T update) {
  // Integers wrap around.
  using Sum = std::conditional_t<std::is_integral_v<T>, std::uint64_t, ComputeType<T>>;
  const auto a = static_cast<ComputeType<T>>(old);
  const auto b = static_cast<ComputeType<T>>(update);
  switch (reduction) {
    case ScatterReduction::add:
      return T(static_cast<ComputeType<T>>(static_cast<Sum>(a) + static_cast<Sum>(b)));
    case ScatterReduction::mul:
      return T(static_cast<ComputeType<T>>(static_cast<Sum>(a) * static_cast<Sum>(b)));
    case ScatterReduction::max:
      return b > a || b != b ? update : old;
    case ScatterReduction::min:
      return b < a || b != b ? update : old;
    case ScatterReduction::none:
      break;
  }
  return update;
}

/// Block k of the updates, of `block` elements, goes to positions[k].
void scatter(ScatterReduction reduction, std::span<const std::int64_t> positions, std::int64_t block,
             const TensorView& updates, const MutableTensorView& out) {
  if (updates.elements() != static_cast<std::int64_t>(positions.size()) * block)
    fail(ErrorCode::invalid_model, "the updates are {}, which does not fit the indices",
         to_string(updates.shape));
  if (reduction == ScatterReduction::none) {
    dispatch_moved(out.dtype, [&]<class T>() {
      const T* update = moved<T>(updates);
      for (const std::int64_t at : positions) {
        std::copy_n(update, block, moved<T>(out) + at);
        update += block;
      }
    });
    return;
  }
  dispatch(NumericTypes{}, out.dtype, [&]<class T>() {
    const T* update = updates.data<T>();
    for (const std::int64_t at : positions) {
      T* target = out.data<T>() + at;
      for (std::int64_t i = 0; i < block; ++i) target[i] = reduce(reduction, target[i], *update++);
    }
  });
}

class ScatterBase : public Op {
 public:
  explicit ScatterBase(AttributeReader& node) : reduction_(read_reduction(node)) { check_inputs(node, 3, 3); }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& data = args.inputs[0];
    if (args.inputs[2].dtype != data.dtype)
      fail(ErrorCode::invalid_model, "the data is {}, the updates are {}", name_of(data.dtype),
           name_of(args.inputs[2].dtype));
    return {{data.dtype, data.dims}};
  }

  /// Each element is one of the data or of the updates. Both carry the map, or are constants that it does not
  /// change.
  OrDeclined<std::vector<ChannelAffine>> pass_affines(Side from, std::span<const ChannelAffine> maps,
                                                      const FoldArgs& args) const override {
    if (reduction_ != ScatterReduction::none)
      return Declined{Decline::activation_between, "it combines elements"};
    const Declined apart{Decline::activation_between, "its data and its updates carry different maps"};
    const Declined unproven{Decline::axis_unproven, "where the channels of the updates go is unknown"};
    const ChannelAffine none;
    if (from == Side::output) {
      const bool data_stays = leaves_alone(maps[0], args.constant(kData));
      const bool updates_stay = leaves_alone(maps[0], args.constant(kUpdates));
      const auto of_updates = updates_stay ? none : map_of_updates(maps[0], args);
      if (!of_updates) return unproven;
      return std::vector{data_stays ? none : maps[0], none, *of_updates};
    }
    if (leaves_alone(maps[kData], args.constant(kUpdates))) return std::vector{maps[kData]};
    if (maps[kUpdates].uniform() && leaves_alone(maps[kUpdates], args.constant(kData)))
      return std::vector{maps[kUpdates]};
    const auto of_updates = map_of_updates(maps[kData], args);
    if (!of_updates) return unproven;
    if (!(*of_updates == maps[kUpdates])) return apart;
    return std::vector{maps[kData]};
  }

 protected:
  static constexpr std::size_t kData = 0;
  static constexpr std::size_t kUpdates = 2;

  /// A map of the data as one of the updates.
  virtual std::optional<ChannelAffine> map_of_updates(const ChannelAffine& of_data,
                                                      const FoldArgs& args) const = 0;

  ScatterReduction reduction_;
};

class ScatterElements final : public ScatterBase {
 public:
  explicit ScatterElements(AttributeReader& node) : ScatterBase(node), axis_(node.get_int("axis", 0)) {}

  void run(const RunArgs& args) const override {
    const Shape& shape = args.in(0).shape;
    copy_elements(args.in(0), args.out(0));
    const auto positions = positions_along(shape, args.in(1), normalize_axis(axis_, shape.rank()));
    scatter(reduction_, positions, 1, args.in(2), args.out(0));
  }

 private:
  /// Along other axes an update stays in its slice, of which the indices may leave some out.
  std::optional<ChannelAffine> map_of_updates(const ChannelAffine& of_data,
                                              const FoldArgs& args) const override {
    if (of_data.uniform()) return of_data;
    const auto at = static_cast<std::size_t>(of_data.axis);
    const Dim channels(static_cast<std::int64_t>(of_data.channels()));
    const ValueType& updates = args.inputs[kUpdates];
    const ValueType& data = args.inputs[kData];
    const bool same = data.ranked() && updates.ranked() && at != normalize_axis(axis_, data.rank()) &&
                      (*data.dims)[at] == channels && (*updates.dims)[at] == channels;
    return same ? std::optional(of_data) : std::nullopt;
  }

  std::int64_t axis_;
};

class ScatterND final : public ScatterBase {
 public:
  using ScatterBase::ScatterBase;

  void run(const RunArgs& args) const override {
    const Shape& shape = args.in(0).shape;
    const Shape& indices = args.in(1).shape;
    if (indices.rank() == 0 || indices.back() > static_cast<std::int64_t>(shape.rank()))
      fail(ErrorCode::invalid_model, "indices {} cannot address data {}", to_string(indices),
           to_string(shape));
    copy_elements(args.in(0), args.out(0));
    const std::int64_t block = shape.elements(static_cast<std::size_t>(indices.back()), shape.rank());
    scatter(reduction_, block_positions(shape, args.in(1), 0), block, args.in(2), args.out(0));
  }

 private:
  /// The axes that an index does not name stay behind.
  std::optional<ChannelAffine> map_of_updates(const ChannelAffine& of_data,
                                              const FoldArgs& args) const override {
    if (of_data.uniform()) return of_data;
    const ValueType& indices = args.inputs[1];
    if (!indices.ranked() || !indices.dims->back().known()) return std::nullopt;
    const int behind = of_data.axis - static_cast<int>(indices.dims->back().extent());
    if (behind < 0) return std::nullopt;
    ChannelAffine moved = of_data;
    moved.axis = behind + static_cast<int>(indices.rank()) - 1;
    return moved;
  }
};

}  // namespace

std::unique_ptr<const Op> make_scatter_elements(AttributeReader& node) {
  return std::make_unique<ScatterElements>(node);
}
std::unique_ptr<const Op> make_scatter_nd(AttributeReader& node) {
  return std::make_unique<ScatterND>(node);
}

}  // namespace bnrun
