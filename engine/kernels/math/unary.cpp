// y[i] = f(x[i]) on whole vectors.
#include "kernels/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/math/unary.cpp"
#include <hwy/foreach_target.h>
// keep this order: the line above includes this file once per target
#include <hwy/highway.h>

#include "kernels/math/functions-inl.h"
#include "kernels/math/unary.h"

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {
namespace {

template <class T>
HWY_INLINE void evaluate_vectors(UnaryFunction function, const T* x, std::size_t size, T* y) {
  const auto each = [&](auto f) HWY_ATTR { for_each_vector(x, size, y, f); };
  const auto each_by_double = [&](auto f) HWY_ATTR {
    for_each_vector(x, size, y, [f](auto d, auto v) HWY_ATTR { return by_double(d, v, f); });
  };
  switch (function) {
    case UnaryFunction::cos:
      return each_by_double([](auto d, auto v) HWY_ATTR { return sin_of_quarter<1>(d, v); });
    case UnaryFunction::erf:
      return each([](auto d, auto v) HWY_ATTR { return erf(d, v); });
    case UnaryFunction::exp:
      return each([](auto d, auto v) HWY_ATTR { return exp(d, v); });
    case UnaryFunction::log:
      return each_by_double([](auto d, auto v) HWY_ATTR { return log(d, v); });
    case UnaryFunction::reciprocal:
      return each([](auto d, auto v) HWY_ATTR { return hn::Div(hn::Set(d, T(1)), v); });
    case UnaryFunction::sin:
      return each_by_double([](auto d, auto v) HWY_ATTR { return sin_of_quarter<0>(d, v); });
    case UnaryFunction::sqrt:
      return each([](auto, auto v) HWY_ATTR { return hn::Sqrt(v); });
  }
}

void evaluate_float(UnaryFunction function, const float* x, std::size_t size, float* y) {
  evaluate_vectors(function, x, size, y);
}
void evaluate_double(UnaryFunction function, const double* x, std::size_t size, double* y) {
  evaluate_vectors(function, x, size, y);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bnrun
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bnrun {
namespace {

HWY_EXPORT(evaluate_float);
HWY_EXPORT(evaluate_double);

}  // namespace

template <>
void evaluate(UnaryFunction function, std::span<const float> x, float* y) {
  HWY_DYNAMIC_DISPATCH(evaluate_float)(function, x.data(), x.size(), y);
}

template <>
void evaluate(UnaryFunction function, std::span<const double> x, double* y) {
  HWY_DYNAMIC_DISPATCH(evaluate_double)(function, x.data(), x.size(), y);
}

}  // namespace bnrun
#endif
