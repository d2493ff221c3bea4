// Elementary functions on whole vectors.
//
// docs/numbers.md lists the largest errors in ULP against the C library in long double, from 0.51 to 5.
// tests/kernels/math_test.cpp draws numbers of every magnitude and compares that table, tests/exhaustive goes through all
// floats. exp, log, erf, tanh, sigmoid and Elu, and Softplus of floats, never fall where they should rise. f(0) is exact
// and so is its sign; limits at infinity are taken where they exist (Gelu, Swish and Mish of -inf are 0); NaN stays NaN;
// denormals count like any other number.
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
