// Rows that lie one stride apart, read side by side; included once per instruction set.

#if defined(BNRUN_KERNELS_GEMM_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BNRUN_KERNELS_GEMM_ROWS_INL_H_
#undef BNRUN_KERNELS_GEMM_ROWS_INL_H_
#else
#define BNRUN_KERNELS_GEMM_ROWS_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// A sanitizer does not see what is read in assembly.
#define BNRUN_ADDRESSED_ROWS \
  (HWY_ARCH_X86_64 && !HWY_IS_ASAN && !HWY_IS_MSAN && (HWY_TARGET == HWY_AVX2 || HWY_TARGET <= HWY_AVX3))

/// R rows of T, at most 14, that move on together. Every seventh has a pointer; those between are 1 to 6 strides behind it,
/// which an x86 address makes of one, three or five strides times 1, 2 or 4. Additions take the same units of the
/// processor as multiply-adds, so that a pointer for every row, or for every third as compilers have it, would
/// cost a tenth of these.
template <class T, int R>
class Rows {
 public:
  /// `stride` in elements.
  HWY_INLINE Rows(const T* first, std::int64_t stride)
      : one_(stride * static_cast<std::int64_t>(sizeof(T))), three_(3 * one_), five_(5 * one_) {
    static_assert(R <= 14);
    for (int i = 0; i < kPointers; ++i) at_[i] = reinterpret_cast<const std::byte*>(first) + i * 7 * one_;
  }

  HWY_INLINE void advance(std::int64_t elements) {
    for (int i = 0; i < kPointers; ++i) at_[i] += elements * static_cast<std::int64_t>(sizeof(T));
  }

  /// The lane of D that begins row r, in all lanes: a float, a double or a word.
  template <int r, class D>
  HWY_INLINE hn::VFromD<D> broadcast(D d) const {
    static_assert(r < R);
    const std::byte* const at = at_[r / 7];
    constexpr int kStrides = r % 7;
    if constexpr (kStrides == 3 || kStrides == 6) return broadcast_at<kStrides / 3>(d, at, three_);
    if constexpr (kStrides == 5) return broadcast_at<1>(d, at, five_);
    if constexpr (kStrides != 3 && kStrides != 6 && kStrides != 5) return broadcast_at<kStrides>(d, at, one_);
  }

 private:
  static constexpr int kPointers = (R + 6) / 7;

  template <int kTimes, class D>
  static HWY_INLINE hn::VFromD<D> broadcast_at(D d, const std::byte* at, std::int64_t stride) {
    using Lane = hn::TFromD<D>;
#if BNRUN_ADDRESSED_ROWS
    if constexpr (kTimes > 0) {
      hn::VFromD<D> x;
      // The last operand says that memory behind `at` is read.
      using Behind = Lane[std::size_t{1} << 24];
      if constexpr (hwy::IsFloat<Lane>() && sizeof(Lane) == 4)
        asm("vbroadcastss (%1,%2,%c3), %0"
            : "=v"(x.raw)
            : "r"(at), "r"(stride), "i"(kTimes), "m"(*reinterpret_cast<const Behind*>(at)));
      else if constexpr (hwy::IsFloat<Lane>())
        asm("vbroadcastsd (%1,%2,%c3), %0"
            : "=v"(x.raw)
            : "r"(at), "r"(stride), "i"(kTimes), "m"(*reinterpret_cast<const Behind*>(at)));
      else
        asm("vpbroadcastd (%1,%2,%c3), %0"
            : "=v"(x.raw)
            : "r"(at), "r"(stride), "i"(kTimes), "m"(*reinterpret_cast<const Behind*>(at)));
      return x;
    }
#endif
    Lane lane;
    std::memcpy(&lane, at + kTimes * stride, sizeof(lane));
    return hn::Set(d, lane);
  }

  const std::byte* at_[kPointers];
  std::int64_t one_;  ///< strides in bytes
  std::int64_t three_;
  std::int64_t five_;
};

/// sum += x * w for one k: x of each row from r on, w of V vectors of columns.
template <int r = 0, class T, int R, int V, class D, class Vec>
HWY_INLINE void multiply_add_rows(D d, const Vec (&w)[V], const Rows<T, R>& X, Vec (&sum)[R][V]) {
  if constexpr (r < R) {
    const Vec x = X.template broadcast<r>(d);
    HWY_UNROLL(8)
    for (int v = 0; v < V; ++v) sum[r][v] = hn::MulAdd(x, w[v], sum[r][v]);
    multiply_add_rows<r + 1>(d, w, X, sum);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bnrun
HWY_AFTER_NAMESPACE();

#endif
