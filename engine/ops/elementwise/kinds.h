// What tells the operators of one factory apart, for the elementwise family.
#pragma once

#include <memory>

#include "op/attribute_reader.h"
#include "op/op.h"

namespace bnrun {

enum class Arithmetic { add, sub, mul, div };

enum class VariadicKind { max, min, sum, mean };

enum class CastKind { cast, cast_like };

/// Comparison, logic, bits, remainders.
enum class LogicKind {
  equal,
  greater,
  greater_or_equal,
  less,
  less_or_equal,
  logical_and,
  logical_or,
  logical_xor,
  bitwise_and,
  bitwise_or,
  bitwise_xor,
  bit_shift,
  mod,
};

/// In the order of the rows in unary_math.cpp.
enum class UnaryKind {
  acos,
  acosh,
  asin,
  asinh,
  atan,
  atanh,
  ceil,
  cos,
  cosh,
  exp,
  floor,
  log,
  reciprocal,
  round,
  sin,
  sinh,
  sqrt,
  tan,
  abs,
  erf,
  sign,
  neg,
  bitwise_not,
  logical_not,
  is_nan,
};

std::unique_ptr<const Op> make_binary(AttributeReader& node, Arithmetic kind);
std::unique_ptr<const Op> make_binary_logic(AttributeReader& node, LogicKind kind);
std::unique_ptr<const Op> make_cast(AttributeReader& node, CastKind kind);
std::unique_ptr<const Op> make_unary_math(AttributeReader& node, UnaryKind kind);
std::unique_ptr<const Op> make_variadic(AttributeReader& node, VariadicKind kind);

}  // namespace bnrun
