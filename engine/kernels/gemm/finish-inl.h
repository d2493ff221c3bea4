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

/// Finishes the sums of V neighbouring vectors of columns and stores those of them that there are.
template <class T, class D, int V = 1>
class Finisher {
 public:
  using Vec = hn::VFromD<D>;

  /// Of the columns from `column` on, of `columns` in all.
  HWY_INLINE Finisher(D d, const Finish<T>& finish, std::int64_t column, std::int64_t columns)
      : finish_(finish),
        column_(column),
        left_(columns - column),
        low_(hn::Set(d, finish.low)),
        high_(hn::Set(d, finish.high)) {
    HWY_UNROLL(8)
    for (int v = 0; v < V; ++v) {
      const std::int64_t at = column + v * kLanes;
      scale_[v] = finish.scale != nullptr ? hn::Load(d, finish.scale + at) : hn::Set(d, T(1));
      shift_[v] = finish.shift != nullptr ? hn::Load(d, finish.shift + at) : hn::Zero(d);
    }
  }

  /// Stores sum(0, v) ... sum(rows - 1, v), each at y + row * stride. `addend` and `y` are where the first column
  /// lies; `addend` may be null.
  template <int kRows, class Sum>
  HWY_INLINE void store(D d, Sum sum, const T* addend, T* y, std::int64_t stride) const {
    const bool whole = left_ >= V * kLanes;
    if (!whole || finish_.bend == Finish<T>::Bend::leaky || (addend != nullptr && has_map_behind())) {
      HWY_UNROLL(14)
      for (int r = 0; r < kRows; ++r) {
        HWY_UNROLL(8)
        for (int v = 0; v < V; ++v)
          store_any(d, v, sum(r, v), addend != nullptr ? addend + r * stride : nullptr, y + r * stride);
      }
    } else if (addend != nullptr) {
      HWY_UNROLL(14)
      for (int r = 0; r < kRows; ++r) {
        HWY_UNROLL(8)
        for (int v = 0; v < V; ++v)
          hn::StoreU(bent(hn::Add(affine(v, sum(r, v)), hn::LoadU(d, addend + v * kLanes))), d,
                     y + v * kLanes);
        addend += stride;
        y += stride;
      }
    } else if (has_map_behind()) {
      HWY_UNROLL(14)
      for (int r = 0; r < kRows; ++r) {
        HWY_UNROLL(8)
        for (int v = 0; v < V; ++v)
          hn::StoreU(mapped_behind(d, v, bent(affine(v, sum(r, v)))), d, y + v * kLanes);
        y += stride;
      }
    } else {
      HWY_UNROLL(14)
      for (int r = 0; r < kRows; ++r) {
        HWY_UNROLL(8)
        for (int v = 0; v < V; ++v) hn::StoreU(bent(affine(v, sum(r, v))), d, y + v * kLanes);
        y += stride;
      }
    }
  }

 private:
  static constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(D()));

  HWY_INLINE bool has_map_behind() const { return finish_.scale_behind != nullptr; }
  HWY_INLINE Vec affine(int v, Vec sum) const { return hn::MulAdd(sum, scale_[v], shift_[v]); }
  HWY_INLINE Vec mapped_behind(D d, int v, Vec x) const {
    const std::int64_t at = column_ + v * kLanes;
    return hn::MulAdd(x, hn::Load(d, finish_.scale_behind + at), hn::Load(d, finish_.shift_behind + at));
  }

  /// Between `low` and `high`; NaN stays.
  HWY_INLINE Vec bent(Vec v) const { return less_or(high_, greater_or(low_, v)); }

  HWY_INLINE void store_any(D d, int v, Vec sum, const T* addend, T* y) const {
    const std::int64_t at = v * kLanes;
    if (left_ <= at) return;
    const bool whole = left_ >= at + kLanes;
    const auto used = static_cast<std::size_t>(left_ - at);
    Vec x = affine(v, sum);
    if (addend != nullptr)
      x = hn::Add(x, whole ? hn::LoadU(d, addend + at) : load_first(d, addend + at, used, T(0)));
    // a comparison with NaN is false, so NaN stays
    if (finish_.bend == Finish<T>::Bend::leaky)
      x = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Mul(x, hn::Set(d, finish_.slope)), x);
    x = bent(x);
    if (has_map_behind()) x = mapped_behind(d, v, x);
    if (whole)
      hn::StoreU(x, d, y + at);
    else
      store_first(d, x, y + at, used);
  }

  const Finish<T>& finish_;
  std::int64_t column_;
  std::int64_t left_;  ///< columns from the first on
  Vec low_;
  Vec high_;
  Vec scale_[V];
  Vec shift_[V];
};

}  // namespace HWY_NAMESPACE
}  // namespace bnrun
HWY_AFTER_NAMESPACE();

#endif
