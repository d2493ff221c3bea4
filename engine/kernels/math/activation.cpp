// y[i] = f(x[i]) on whole vectors.
#include "kernels/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/math/activation.cpp"
#include <hwy/foreach_target.h>
// keep this order: the line above includes this file once per target
#include <hwy/highway.h>

#include "kernels/math/activation.h"
#include "kernels/math/functions-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {
namespace {

/// The comparisons are such that NaN comes through.
template <class V>
HWY_INLINE V clip(V x, V low, V high) {
  const V raised = hn::IfThenElse(hn::Lt(x, low), low, x);
  return hn::IfThenElse(hn::Gt(raised, high), high, raised);
}

/// `f` where x < 0, else x.
template <class D, class V>
HWY_INLINE V below_zero(D d, V x, V f) {
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), f, x);
}

template <class T>
HWY_INLINE void activate_vectors(const Activation& activation, const T* x, std::size_t size, T* y) {
  using Kind = Activation::Kind;
  const T alpha = static_cast<T>(activation.alpha);
  const T beta = static_cast<T>(activation.beta);
  const auto each = [&](auto f) HWY_ATTR { for_each_vector(x, size, y, f); };
  const auto each_by_double = [&](auto f) HWY_ATTR {
    for_each_vector(x, size, y, [f](auto d, auto v) HWY_ATTR { return by_double(d, v, f); });
  };
  switch (activation.kind) {
    case Kind::identity:
      return each([](auto, auto v) HWY_ATTR { return v; });
    case Kind::relu:
      return each([](auto d, auto v) HWY_ATTR { return hn::IfThenZeroElse(hn::Lt(v, hn::Zero(d)), v); });
    case Kind::leaky_relu:
      return each([=](auto d, auto v) HWY_ATTR { return below_zero(d, v, hn::Mul(hn::Set(d, alpha), v)); });
    case Kind::elu:
      return each_by_double([=](auto d, auto v) HWY_ATTR {
        return below_zero(d, v, hn::Mul(hn::Set(d, double{alpha}), expm1(d, v)));
      });
    case Kind::celu:
      return each_by_double([=](auto d, auto v) HWY_ATTR {
        const auto a = hn::Set(d, double{alpha});
        const auto quotient = hn::Div(v, a);
        return below_zero(d, v, hn::Mul(a, expm1(d, quotient)));
      });
    case Kind::selu:
      return each_by_double([=](auto d, auto v) HWY_ATTR {
        const auto inner = below_zero(d, v, hn::Mul(hn::Set(d, double{alpha}), expm1(d, v)));
        return hn::Mul(hn::Set(d, double{beta}), inner);
      });
    case Kind::sigmoid:
      return each([](auto d, auto v) HWY_ATTR { return sigmoid(d, v); });
    case Kind::tanh:
      return each([](auto d, auto v) HWY_ATTR { return tanh(d, v); });
    case Kind::clip:
      return each([=](auto d, auto v) HWY_ATTR { return clip(v, hn::Set(d, alpha), hn::Set(d, beta)); });
    case Kind::gelu:
    case Kind::gelu_twice: {
      const T times = activation.kind == Kind::gelu ? T(1) : T(2);
      return each([=](auto d, auto v) HWY_ATTR { return hn::Mul(gelu(d, v), hn::Set(d, times)); });
    }
    case Kind::gelu_tanh:
    case Kind::gelu_tanh_twice: {
      const T times = activation.kind == Kind::gelu_tanh ? T(1) : T(2);
      return each([=](auto d, auto v) HWY_ATTR { return hn::Mul(gelu_tanh(d, v), hn::Set(d, times)); });
    }
    case Kind::hard_sigmoid:
      return each([=](auto d, auto v) HWY_ATTR {
        const auto line = hn::Add(hn::Mul(hn::Set(d, alpha), v), hn::Set(d, beta));
        return clip(line, hn::Zero(d), hn::Set(d, T(1)));
      });
    case Kind::hard_swish:
      return each([](auto d, auto v) HWY_ATTR {
        const auto line = hn::Add(hn::Div(v, hn::Set(d, T(6))), hn::Set(d, T(0.5)));
        const auto product = hn::Mul(v, clip(line, hn::Zero(d), hn::Set(d, T(1))));
        return hn::IfThenZeroElse(hn::Lt(v, hn::Set(d, T(-3))), product);  // also where v is infinite
      });
    case Kind::mish:
      return each_by_double([](auto d, auto v) HWY_ATTR { return mish(d, v); });
    case Kind::shrink:
      return each([=](auto d, auto v) HWY_ATTR {
        const auto lambd = hn::Set(d, alpha);
        const auto bias = hn::Set(d, beta);
        const auto inner = hn::And(hn::Ge(v, hn::Neg(lambd)), hn::Le(v, lambd));
        const auto above = hn::IfThenElse(hn::Gt(v, lambd), hn::Sub(v, bias), hn::IfThenZeroElse(inner, v));
        return hn::IfThenElse(hn::Lt(v, hn::Neg(lambd)), hn::Add(v, bias), above);
      });
    case Kind::softplus:
      return each_by_double([](auto d, auto v) HWY_ATTR { return softplus(d, v); });
    case Kind::softsign:
      return each([](auto d, auto v) HWY_ATTR {
        const auto quotient = hn::Div(v, hn::Add(hn::Set(d, T(1)), hn::Abs(v)));
        const auto infinite = hn::Gt(hn::Abs(v), hn::Set(d, std::numeric_limits<T>::max()));
        return hn::IfThenElse(infinite, hn::CopySign(hn::Set(d, T(1)), v), quotient);
      });
    case Kind::swish:
      return each([=](auto d, auto v) HWY_ATTR { return swish(d, v, hn::Set(d, alpha)); });
    case Kind::thresholded_relu:
      return each([=](auto d, auto v)
                      HWY_ATTR { return hn::IfThenZeroElse(hn::Le(v, hn::Set(d, alpha)), v); });
  }
}

void activate_float(const Activation& activation, const float* x, std::size_t size, float* y) {
  activate_vectors(activation, x, size, y);
}
void activate_double(const Activation& activation, const double* x, std::size_t size, double* y) {
  activate_vectors(activation, x, size, y);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bnrun
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bnrun {
namespace {

HWY_EXPORT(activate_float);
HWY_EXPORT(activate_double);

}  // namespace

std::optional<Activation> gated_by(const Activation& f) {
  if (f.kind == Activation::Kind::sigmoid) return Activation{Activation::Kind::swish, 1.0};
  // A model stores 1/6 as a float.
  const bool sixth = static_cast<float>(f.alpha) == 1.0F / 6.0F && f.beta == 0.5;
  if (f.kind == Activation::Kind::hard_sigmoid && sixth) return Activation{Activation::Kind::hard_swish};
  return std::nullopt;
}

template <>
void activate(const Activation& activation, std::span<const float> x, float* y) {
  HWY_DYNAMIC_DISPATCH(activate_float)(activation, x.data(), x.size(), y);
}

template <>
void activate(const Activation& activation, std::span<const double> x, double* y) {
  HWY_DYNAMIC_DISPATCH(activate_double)(activation, x.data(), x.size(), y);
}

}  // namespace bnrun
#endif
