// Finish on vectors of sums; included once per instruction set.

#if defined(BNRUN_KERNELS_GEMM_FINISH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BNRUN_KERNELS_GEMM_FINISH_INL_H_
#undef BNRUN_KERNELS_GEMM_FINISH_INL_H_
#else
#define BNRUN_KERNELS_GEMM_FINISH_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>

#include "kernels/gemm/finish.h"
#include "kernels/partial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// Finishes the sums of one vector of columns and stores those of them that there are.
template <class T, class D>
class Finisher {
 public:
  using Vec = hn::VFromD<D>;

  /// Of the columns from `column` on, of `columns` in all.
  HWY_INLINE Finisher(D d, const Finish<T>& finish, std::int64_t column, std::int64_t columns)
      : finish_(finish),
        whole_(column + static_cast<std::int64_t>(hn::MaxLanes(d)) <= columns),
        used_(static_cast<std::size_t>(columns - column)),
        scale_(finish.scale != nullptr ? hn::Load(d, finish.scale + column) : hn::Set(d, T(1))),
        shift_(finish.shift != nullptr ? hn::Load(d, finish.shift + column) : hn::Zero(d)) {}

  /// `addend` and `y` are where this vector's first column lies; `addend` may be null.
  HWY_INLINE void store(D d, Vec sum, const T* addend, T* y) const {
    using Bend = typename Finish<T>::Bend;
    Vec v = hn::MulAdd(sum, scale_, shift_);
    if (addend != nullptr) v = hn::Add(v, whole_ ? hn::LoadU(d, addend) : load_first(d, addend, used_, T(0)));
    // a comparison with NaN is false, so NaN stays
    const Vec zero = hn::Zero(d);
    if (finish_.bend == Bend::relu) v = hn::IfThenZeroElse(hn::Lt(v, zero), v);
    if (finish_.bend == Bend::leaky)
      v = hn::IfThenElse(hn::Lt(v, zero), hn::Mul(v, hn::Set(d, finish_.slope)), v);
    if (finish_.bend == Bend::clip) {
      v = hn::IfThenElse(hn::Lt(v, hn::Set(d, finish_.low)), hn::Set(d, finish_.low), v);
      v = hn::IfThenElse(hn::Gt(v, hn::Set(d, finish_.high)), hn::Set(d, finish_.high), v);
    }
    if (whole_)
      hn::StoreU(v, d, y);
    else
      store_first(d, v, y, used_);
  }

 private:
  const Finish<T>& finish_;
  bool whole_;
  std::size_t used_;
  Vec scale_;
  Vec shift_;
};

}  // namespace HWY_NAMESPACE
}  // namespace bnrun
HWY_AFTER_NAMESPACE();

#endif
