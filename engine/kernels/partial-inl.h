// The first lanes of a vector in and out of memory; included once per instruction set.

#if defined(BNRUN_KERNELS_PARTIAL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BNRUN_KERNELS_PARTIAL_INL_H_
#undef BNRUN_KERNELS_PARTIAL_INL_H_
#else
#define BNRUN_KERNELS_PARTIAL_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// Whether loads and stores under a mask leave the memory of the other lanes alone.
inline constexpr bool kMasksMemory =
    HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL;

/// p[0..count) and `fill` in the other lanes; nothing else is read. 0 < count <= lanes.
template <class D>
HWY_INLINE hn::Vec<D> load_first(D d, const hn::TFromD<D>* p, std::size_t count, hn::TFromD<D> fill) {
  if constexpr (kMasksMemory) {
    const auto mask = hn::FirstN(d, count);
    return hn::IfThenElse(mask, hn::MaskedLoad(mask, d, p), hn::Set(d, fill));
  } else {
    HWY_ALIGN hn::TFromD<D> all[hn::MaxLanes(D())];
    hn::Store(hn::Set(d, fill), d, all);
    std::memcpy(all, p, count * sizeof(fill));
    return hn::Load(d, all);
  }
}

/// The lanes below `count` to p, and no other byte.
template <class D>
HWY_INLINE void store_first(D d, hn::Vec<D> v, hn::TFromD<D>* p, std::size_t count) {
  if constexpr (kMasksMemory) {
    hn::BlendedStore(v, hn::FirstN(d, count), d, p);
  } else {
    HWY_ALIGN hn::TFromD<D> all[hn::MaxLanes(D())];
    hn::Store(v, d, all);
    std::memcpy(p, all, count * sizeof(hn::TFromD<D>));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bnrun
HWY_AFTER_NAMESPACE();

#endif
