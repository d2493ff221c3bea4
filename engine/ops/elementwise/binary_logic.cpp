// C = A op B under broadcasting: comparisons and logic (C is boolean), bitwise operators, BitShift and Mod.
#include <cmath>
#include <functional>
#include <limits>

#include "base/dispatch.h"
#include "base/fail.h"
#include "base/strided_copy.h"
#include "op/op.h"
#include "op/passing.h"
#include "op/shape_rules.h"
#include "ops/elementwise/binary_affine.h"
#include "ops/elementwise/broadcast.h"
#include "ops/elementwise/kinds.h"

namespace bnrun {
namespace {

struct LogicRow {
  void (*run)(const TensorView& A, const TensorView& B, const MutableTensorView& C);
  bool boolean;            ///< the result, whatever the operands are
  bool exchanged = false;  ///< run() is given B and A
};

/// Half and bfloat16 as float, everything else (strings among it) as it is.
template <class T>
decltype(auto) widened_element(const T& x) {
  if constexpr (std::is_same_v<T, ComputeType<T>>)
    return (x);
  else
    return static_cast<ComputeType<T>>(x);
}

template <class Types, class F>
LogicRow comparison(F, bool exchanged = false) {
  return {[](const TensorView& A, const TensorView& B, const MutableTensorView& C) {
            dispatch(Types{}, A.dtype, [&]<class T>() {
              broadcast_apply<T, T, bool>(A, B, C, [](const T& a, const T& b) {
                return F{}(widened_element(a), widened_element(b));
              });
            });
          },
          true, exchanged};
}

template <class Types, class F>
LogicRow same_result(F) {
  return {[](const TensorView& A, const TensorView& B, const MutableTensorView& C) {
            dispatch(Types{}, A.dtype, [&]<class T>() {
              broadcast_apply<T, T, T>(A, B, C, [](T a, T b) {
                return T(static_cast<ComputeType<T>>(F{}(widened_element(a), widened_element(b))));
              });
            });
          },
          false};
}

/// The remainder with the sign of a. By zero, which C++ leaves undefined, it is 0.
template <class T>
T remainder_of(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    return std::fmod(a, b);
  } else {
    if (b == T(0)) return T(0);
    if constexpr (std::is_signed_v<T>) {
      if (b == T(-1)) return T(0);
    }
    return static_cast<T>(a % b);
  }
}

/// The remainder with the sign of b.
template <class T>
T modulus_of(T a, T b) {
  const T rest = remainder_of(a, b);
  return rest != T(0) && (rest < T(0)) != (b < T(0)) ? static_cast<T>(rest + b) : rest;
}

using UnsignedTypes = TypeList<std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t>;
using BooleanTypes = TypeList<bool>;

LogicRow shift_row(std::string_view direction) {
  if (direction == "LEFT") {
    return same_result<UnsignedTypes>([](auto a, auto b) {
      using T = decltype(a);
      const bool gone = b >= static_cast<T>(std::numeric_limits<T>::digits);
      return static_cast<T>(gone ? T(0) : a << b);
    });
  }
  if (direction == "RIGHT") {
    return same_result<UnsignedTypes>([](auto a, auto b) {
      using T = decltype(a);
      const bool gone = b >= static_cast<T>(std::numeric_limits<T>::digits);
      return static_cast<T>(gone ? T(0) : a >> b);
    });
  }
  fail(ErrorCode::invalid_model, "direction is '{}', not LEFT or RIGHT", direction);
}

LogicRow row_of(LogicKind kind, AttributeReader& node) {
  switch (kind) {
    case LogicKind::equal:
      return comparison<AllTypes>(std::equal_to<>());
    case LogicKind::greater:
      return comparison<NumericTypes>(std::less<>(), true);
    case LogicKind::greater_or_equal:
      return comparison<NumericTypes>(std::less_equal<>(), true);
    case LogicKind::less:
      return comparison<NumericTypes>(std::less<>());
    case LogicKind::less_or_equal:
      return comparison<NumericTypes>(std::less_equal<>());
    case LogicKind::logical_and:
      return comparison<BooleanTypes>(std::logical_and<>());
    case LogicKind::logical_or:
      return comparison<BooleanTypes>(std::logical_or<>());
    case LogicKind::logical_xor:
      return comparison<BooleanTypes>(std::not_equal_to<>());
    case LogicKind::bitwise_and:
      return same_result<IntegerTypes>(std::bit_and<>());
    case LogicKind::bitwise_or:
      return same_result<IntegerTypes>(std::bit_or<>());
    case LogicKind::bitwise_xor:
      return same_result<IntegerTypes>(std::bit_xor<>());
    case LogicKind::bit_shift:
      return shift_row(node.get_string("direction", ""));
    case LogicKind::mod:
      if (node.get_bool("fmod", false))
        return same_result<NumericTypes>([](auto a, auto b) { return remainder_of(a, b); });
      return same_result<IntegerTypes>([](auto a, auto b) { return modulus_of(a, b); });
  }
  fail(ErrorCode::internal, "unknown kind of logic {}", static_cast<int>(kind));
}

class BinaryLogic final : public Op {
 public:
  BinaryLogic(LogicRow row, LegacyBroadcast legacy) : row_(row), legacy_(legacy) {}

  std::vector<ValueType> infer(const InferArgs& args) const override {
    ValueType type = infer_broadcast(args, legacy_);
    if (row_.boolean) type.dtype = DType::boolean;
    return {type};
  }

  void run(const RunArgs& args) const override {
    const TensorView B = legacy_.align(args.in(1), args.in(0).shape.rank());
    if (row_.exchanged) return row_.run(B, args.in(0), args.out(0));
    row_.run(args.in(0), B, args.out(0));
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override { return broadcast_axes(args, legacy_); }
  bool keeps_rows(const FoldArgs& args) const override { return broadcast_keeps_rows(args, legacy_); }

 private:
  LogicRow row_;
  LegacyBroadcast legacy_;
};

/// Where: Y = condition ? X : Y, each broadcast to the others.
class Where final : public Op {
 public:
  bool copies() const override { return true; }
  bool keeps_rows(const FoldArgs& args) const override { return broadcast_keeps_rows(args); }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    if (args.inputs[0].dtype != DType::boolean)
      fail(ErrorCode::invalid_model, "its condition is not boolean");
    if (args.inputs[1].dtype != args.inputs[2].dtype) {
      fail(ErrorCode::invalid_model, "its branches have different element types, {} and {}",
           name_of(args.inputs[1].dtype), name_of(args.inputs[2].dtype));
    }
    ValueType type{args.inputs[1].dtype, std::nullopt};
    if (args.inputs[0].ranked() && args.inputs[1].ranked() && args.inputs[2].ranked()) {
      const Dims dims[] = {*args.inputs[0].dims, *args.inputs[1].dims, *args.inputs[2].dims};
      type.dims = broadcast_dims(dims);
    }
    return {type};
  }

  void run(const RunArgs& args) const override {
    BroadcastRuns<3> runs({args.in(0).shape, args.in(1).shape, args.in(2).shape}, args.out(0).shape);
    const bool* const conditions = args.in(0).data<bool>();
    const std::int64_t count = runs.run();
    const std::int64_t step = runs.step(0);
    dispatch_moved(args.in(1).dtype, [&]<class T>() {
      with_constant_steps(runs.step(1), runs.step(2), [&](auto step_x, auto step_y) {
        while (runs.next()) {
          const bool* condition = conditions + runs.at(0);
          const T* x = moved<T>(args.in(1)) + runs.at(1);
          const T* y = moved<T>(args.in(2)) + runs.at(2);
          T* out = moved<T>(args.out(0)) + runs.first();
          for (std::int64_t i = 0; i < count; ++i)
            out[i] = condition[i * step] ? x[i * step_x] : y[i * step_y];
        }
      });
    });
  }

  /// Both branches carry the map, or are constants that it does not change.
  OrDeclined<std::vector<ChannelAffine>> pass_affines(Side from, std::span<const ChannelAffine> maps,
                                                      const FoldArgs& args) const override {
    const bool first = from == Side::output || !maps[1].is_identity();
    const ChannelAffine& map = from == Side::output ? maps[0] : maps[first ? 1 : 2];
    std::vector<ChannelAffine> branches(3);
    for (const std::size_t i : {1U, 2U}) {
      if (leaves_alone(map, args.constant(i))) continue;
      if (from == Side::input && !(maps[i] == map))
        return Declined{Decline::activation_between, "its branches carry different maps"};
      if (!has_channels_of(map, args.inputs.subspan(i, 1), args.outputs[0]))
        return Declined{Decline::axis_unproven, "its branches are not proven to have the same channels"};
      branches[i] = map;
    }
    return from == Side::output ? branches : std::vector{map};
  }
};

}  // namespace

std::unique_ptr<const Op> make_binary_logic(AttributeReader& node, LogicKind kind) {
  check_inputs(node, 2, 2);
  const auto legacy = LegacyBroadcast::read(node);
  return std::make_unique<BinaryLogic>(row_of(kind, node), legacy);
}

std::unique_ptr<const Op> make_where(AttributeReader& node) {
  check_inputs(node, 3, 3);
  return std::make_unique<Where>();
}

}  // namespace bnrun
