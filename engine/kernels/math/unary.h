// Elementary functions on whole vectors.
//
// Largest errors in ULP against the C library in long double. tests/kernels/math_test.cpp draws numbers of every
// magnitude, tests/exhaustive goes through all floats. Half a ULP more on processors without
// fused multiply-add.
//
//                                         float   double
//   exp                                    1.1      1.1
//   tanh, erf                              1.0      1.5
//   sigmoid, Swish, Gelu with tanh         2.1      2.1
//   Gelu                                   2.0      5.0
//   log                                    0.51     1.5
//   sin, cos                               0.51     1.0
//   Softplus, Elu, Celu, Selu              0.51     2.0
//   Mish                                   0.51     4.0
//
// Where it says 0.51, floats are worked out in double and rounded. exp, log, erf, tanh, sigmoid and Elu, and
// Softplus of floats, never fall where they should rise. f(0) is exact and so is its sign; limits at infinity
// are taken where they exist (Gelu, Swish and Mish of -inf are 0); NaN stays NaN; denormals count like any
// other number.
#pragma once

#include <span>

namespace bnrun {

enum class UnaryFunction { cos, erf, exp, log, reciprocal, sin, sqrt };

/// y[i] = f(x[i]) under the same promises as `activate`. x may be y.
template <class T>
void evaluate(UnaryFunction function, std::span<const T> x, T* y);

template <>
void evaluate(UnaryFunction, std::span<const float>, float*);
template <>
void evaluate(UnaryFunction, std::span<const double>, double*);

}  // namespace bnrun
