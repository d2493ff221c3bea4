// Tables of operators that let a map pass: layer -> operator -> map, and map -> operator -> layer.
#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>

#include "bnrun/fold.h"
#include "support/fold_layer.h"
#include "support/fold_testing.h"

namespace bnrun::testing {

/// The kinds of maps that operators tell apart.
enum class MapKind { any, positive, scale, positive_scale, shift, uniform, uniform_scale };

/// An image and what is built on it.
struct PassingNet : Maker {
  explicit PassingNet(std::int64_t opset, bool fixed) {
    b = GraphBuilder(opset);
    if (fixed)
      x = b.input("x", DType::float32, {2, kChannels, kExtent, kExtent});
    else
      x = b.input("x", DType::float32, {"N", kChannels, kExtent, kExtent});
  }

  static constexpr std::int64_t kChannels = 8;
  static constexpr std::int64_t kExtent = 6;
  ValueId x;

  /// Numbers for the channels on axis 1.
  Tensor per_channel(std::int64_t channels, std::size_t rank, double low, double high) {
    Shape shape{channels};
    while (shape.rank() + 1 < rank) shape.push_back(1);
    return random(shape, low, high);
  }
  ValueId map(MapKind kind, ValueId data, std::int64_t channels, std::size_t rank) {
    switch (kind) {
      case MapKind::any:
        return batch_normalization(data, channels);
      case MapKind::positive:
        return b.op("Add", {b.op("Mul", {data, per_channel(channels, rank, 0.5, 2.0)}),
                            per_channel(channels, rank, -1.0, 1.0)});
      case MapKind::scale:
        return b.op("Mul", {data, per_channel(channels, rank, -1.0, 1.0)});
      case MapKind::positive_scale:
        return b.op("Mul", {data, per_channel(channels, rank, 0.5, 2.0)});
      case MapKind::shift:
        return b.op("Add", {data, per_channel(channels, rank, -1.0, 1.0)});
      case MapKind::uniform:
        return b.op("Add", {b.op("Mul", {data, random({}, -2.0, -0.5)}), random({}, 0.1, 0.3)});
      case MapKind::uniform_scale:
        return b.op("Mul", {data, random({}, -2.0, -0.5)});
    }
    return {};
  }
  /// A convolution of 1x1, or Gemm.
  ValueId layer(ValueId data, std::int64_t from, std::int64_t to, std::size_t rank) {
    if (rank == 2) return b.op("Gemm", {data, random({from, to}), random({to})});
    Shape shape{to, from};
    while (shape.rank() < rank) shape.push_back(1);
    return b.op("Conv", {data, random(shape), random({to})});
  }

  ValueId op(const char* op_type, const std::vector<NodeInput>& inputs, Attributes attributes = {}) {
    return b.op(op_type, inputs, std::move(attributes));
  }
  ValueId slice(ValueId data, std::int64_t axis, std::int64_t start, std::int64_t end,
                std::int64_t step = 1) {
    return op("Slice", {data, ints({start}), ints({end}), ints({axis}), ints({step})});
  }
  static Tensor ints(const Ints& values) { return {Shape{static_cast<std::int64_t>(values.size())}, values}; }
};

struct Passing {
  const char* name;
  std::function<ValueId(PassingNet&, ValueId)> add;
  MapKind forward = MapKind::any;
  MapKind backward = MapKind::any;
  std::int64_t channels = PassingNet::kChannels;  ///< on axis 1 behind the operator
  std::size_t rank = 4;                           ///< there
  std::int64_t opset = 13;
  bool fixed = false;  ///< the batch is 2

  /// layer -> operator -> map, or map -> operator -> layer.
  Model model(FoldDirection direction) const {
    PassingNet net(opset, fixed);
    ValueId y;
    if (direction == FoldDirection::backward) {
      y = net.map(backward, add(net, net.layer(net.x, net.kChannels, net.kChannels, 4)), channels, rank);
    } else {
      const ValueId h = net.map(forward, net.op("Sigmoid", {net.x}), net.kChannels, 4);
      y = net.layer(add(net, h), channels, 3, rank);
    }
    net.b.output(net.op("Tanh", {y}));
    return net.b.model();
  }

  friend void PrintTo(const Passing& row, std::ostream* out) { *out << row.name; }
};

/// Nothing is left of the map, in either direction.
inline void expect_passes(const Passing& row, FoldDirection direction) {
  const Model model = row.model(direction);
  Operators left = count(model).operators;
  for (const char* map : {"BatchNormalization", "Mul", "Add"}) left.erase(map);
  expect_fold(model, left, 8e-6);
}

/// The map stays where it is, for this reason.
inline void expect_stays(const Passing& row, FoldDirection direction, Decline reason) {
  expect_untouched(row.model(direction), reason);
}

/// The scale goes, and the shift stays as one operator.
inline void expect_shift_stays(const Passing& row, FoldDirection direction) {
  const Model model = row.model(direction);
  Operators left = count(model).operators;
  for (const char* map : {"BatchNormalization", "Mul", "Add"}) left.erase(map);
  left[direction == FoldDirection::backward ? "Add" : "Sub"] = 1;
  expect_fold(model, left, 8e-6);
}

struct NameOfPassing {
  template <class Info>
  std::string operator()(const Info& info) const {
    return info.param.name;
  }
};

}  // namespace bnrun::testing
