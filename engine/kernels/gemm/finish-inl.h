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
#include "kernels/select-inl.h"

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
        shift_(finish.shift != nullptr ? hn::Load(d, finish.shift + column) : hn::Zero(d)),
        low_(hn::Set(d, finish.low)),
        high_(hn::Set(d, finish.high)),
        scale_behind_(finish.scale_behind != nullptr ? hn::Load(d, finish.scale_behind + column)
                                                     : hn::Zero(d)),
        shift_behind_(finish.scale_behind != nullptr ? hn::Load(d, finish.shift_behind + column)
                                                     : hn::Zero(d)) {}

  /// Stores sum(0) ... sum(rows - 1), each at y + row * stride. `addend` and `y` are where this vector's first column
  /// lies; `addend` may be null.
  template <int kRows, class Sum>
  HWY_INLINE void store(D d, Sum sum, const T* addend, T* y, std::int64_t stride) const {
    if (!whole_ || finish_.bend == Finish<T>::Bend::leaky || (addend != nullptr && has_map_behind())) {
      HWY_UNROLL(14)
      for (int r = 0; r < kRows; ++r)
        store_any(d, sum(r), addend != nullptr ? addend + r * stride : nullptr, y + r * stride);
    } else if (addend != nullptr) {
      HWY_UNROLL(14)
      for (int r = 0; r < kRows; ++r)
        hn::StoreU(bent(hn::Add(affine(sum(r)), hn::LoadU(d, addend + r * stride))), d, y + r * stride);
    } else if (has_map_behind()) {
      HWY_UNROLL(14)
      for (int r = 0; r < kRows; ++r)
        hn::StoreU(hn::MulAdd(bent(affine(sum(r))), scale_behind_, shift_behind_), d, y + r * stride);
    } else {
      HWY_UNROLL(14)
      for (int r = 0; r < kRows; ++r) hn::StoreU(bent(affine(sum(r))), d, y + r * stride);
    }
  }

 private:
  HWY_INLINE bool has_map_behind() const { return finish_.scale_behind != nullptr; }
  HWY_INLINE Vec affine(Vec sum) const { return hn::MulAdd(sum, scale_, shift_); }

  /// Between `low` and `high`; NaN stays.
  HWY_INLINE Vec bent(Vec v) const { return less_or(high_, greater_or(low_, v)); }

  HWY_INLINE void store_any(D d, Vec sum, const T* addend, T* y) const {
    Vec v = affine(sum);
    if (addend != nullptr) v = hn::Add(v, whole_ ? hn::LoadU(d, addend) : load_first(d, addend, used_, T(0)));
    // a comparison with NaN is false, so NaN stays
    if (finish_.bend == Finish<T>::Bend::leaky)
      v = hn::IfThenElse(hn::Lt(v, hn::Zero(d)), hn::Mul(v, hn::Set(d, finish_.slope)), v);
    v = bent(v);
    if (has_map_behind()) v = hn::MulAdd(v, scale_behind_, shift_behind_);
    if (whole_)
      hn::StoreU(v, d, y);
    else
      store_first(d, v, y, used_);
  }

  const Finish<T>& finish_;
  bool whole_;
  std::size_t used_;
  Vec scale_;
  Vec shift_;
  Vec low_;
  Vec high_;
  Vec scale_behind_;
  Vec shift_behind_;
};

}  // namespace HWY_NAMESPACE
}  // namespace bnrun
HWY_AFTER_NAMESPACE();

#endif
