// Elementwise operators of two tensors that are no arithmetic of one type: comparisons and logic (C is
// boolean), bits, shifts, Mod.  C = A op B under broadcasting.
#include <cmath>
#include <functional>
#include <limits>

#include "base/dispatch.h"
#include "base/fail.h"
#include "op/op.h"
#include "op/shape_rules.h"
#include "ops/elementwise/broadcast.h"

namespace bnrun {
namespace {

struct LogicRow {
  std::string_view name;
  void (*run)(const TensorView& A, const TensorView& B, const MutableTensorView& C);
  bool boolean;  ///< the result, whatever the operands are
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
LogicRow comparison(std::string_view name, F) {
  return {name,
          [](const TensorView& A, const TensorView& B, const MutableTensorView& C) {
            dispatch(Types{}, A.dtype, [&]<class T>() {
              broadcast_apply<T, T, bool>(A, B, C, [](const T& a, const T& b) {
                return F{}(widened_element(a), widened_element(b));
              });
            });
          },
          true};
}

template <class Types, class F>
LogicRow same_result(std::string_view name, F) {
  return {name,
          [](const TensorView& A, const TensorView& B, const MutableTensorView& C) {
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

std::span<const LogicRow> logic_rows() {
  static const LogicRow rows[] = {
      comparison<AllTypes>("Equal", std::equal_to<>()),
      comparison<NumericTypes>("Greater", std::greater<>()),
      comparison<NumericTypes>("GreaterOrEqual", std::greater_equal<>()),
      comparison<NumericTypes>("Less", std::less<>()),
      comparison<NumericTypes>("LessOrEqual", std::less_equal<>()),
      comparison<BooleanTypes>("And", std::logical_and<>()),
      comparison<BooleanTypes>("Or", std::logical_or<>()),
      comparison<BooleanTypes>("Xor", std::not_equal_to<>()),
      same_result<IntegerTypes>("BitwiseAnd", std::bit_and<>()),
      same_result<IntegerTypes>("BitwiseOr", std::bit_or<>()),
      same_result<IntegerTypes>("BitwiseXor", std::bit_xor<>()),
      same_result<UnsignedTypes>("BitShift LEFT",
                                 [](auto a, auto b) {
                                   using T = decltype(a);
                                   const bool gone = b >= static_cast<T>(std::numeric_limits<T>::digits);
                                   return static_cast<T>(gone ? T(0) : a << b);
                                 }),
      same_result<UnsignedTypes>("BitShift RIGHT",
                                 [](auto a, auto b) {
                                   using T = decltype(a);
                                   const bool gone = b >= static_cast<T>(std::numeric_limits<T>::digits);
                                   return static_cast<T>(gone ? T(0) : a >> b);
                                 }),
      same_result<IntegerTypes>("Mod", [](auto a, auto b) { return modulus_of(a, b); }),
      same_result<NumericTypes>("Mod fmod", [](auto a, auto b) { return remainder_of(a, b); }),
  };
  return rows;
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
    row_.run(args.in(0), legacy_.align(args.in(1), args.in(0).shape.rank()), args.out(0));
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override { return broadcast_axes(args, legacy_); }

 private:
  LogicRow row_;
  LegacyBroadcast legacy_;
};

/// Where: Y = condition ? X : Y, each broadcast to the others.
class Where final : public Op {
 public:
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
    const Shape shapes[] = {args.in(0).shape, args.in(1).shape, args.in(2).shape};
    const bool* condition = args.in(0).data<bool>();
    dispatch(AllTypes{}, args.in(1).dtype, [&]<class T>() {
      const T* x = args.in(1).data<T>();
      const T* y = args.in(2).data<T>();
      T* out = args.out(0).data<T>();
      broadcast_walk(shapes, args.out(0).shape, [&](std::int64_t i, std::span<const std::int64_t> at) {
        out[i] = condition[at[0]] ? x[at[1]] : y[at[2]];
      });
    });
  }
};

}  // namespace

std::unique_ptr<const Op> make_binary_logic(AttributeReader& node) {
  check_inputs(node, 2, 2);
  const auto legacy = LegacyBroadcast::read(node);
  std::string name(node.op_type());
  if (name == "Mod" && node.get_bool("fmod", false)) name += " fmod";
  if (name == "BitShift") name.append(" ").append(node.get_string("direction", ""));
  const auto rows = logic_rows();
  const auto row = std::ranges::find(rows, name, &LogicRow::name);
  if (row == rows.end()) fail(ErrorCode::invalid_model, "direction is neither LEFT nor RIGHT");
  return std::make_unique<BinaryLogic>(*row, legacy);
}

std::unique_ptr<const Op> make_where(AttributeReader& node) {
  check_inputs(node, 3, 3);
  return std::make_unique<Where>();
}

}  // namespace bnrun
