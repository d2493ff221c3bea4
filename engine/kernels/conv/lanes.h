// Convolutions of narrow groups: each lane of a vector is an output channel with input channels of its own.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/conv/window.h"
#include "kernels/gemm/finish.h"

namespace bnrun {

/// Output channel m reads the input channels m / out_per_group * in_per_group + [0, in_per_group).
template <class T>
struct LanesProduct {
  std::int64_t C = 0;
  std::int64_t M = 0;
  std::int64_t in_per_group = 1;
  std::int64_t out_per_group = 1;
  std::int64_t taps = 1;
  const T* panels = nullptr;  ///< [padded_columns(M) / panel_columns, taps, in_per_group, panel_columns]
  Finish<T> finish;
};

/// Whether the inputs that a vector of lanes meets lie within one vector, whatever its width.
template <class T>
constexpr bool fits_lanes(std::int64_t in_per_group, std::int64_t out_per_group) {
  return out_per_group <= panel_columns<T>() / 2 && panel_columns<T>() % out_per_group == 0 &&
         in_per_group <= out_per_group;
}

/// One line of the input that a line of outputs meets, and the first of the taps that lie on it.
template <class T>
struct LaneRow {
  const T* X = nullptr;
  std::int64_t tap = 0;
};

/// Y[o,m] for all outputs o of one line along `axis`: the sums over the rows in order and the taps on each that lie
/// inside the input. `addend` may be null and shares no memory with Y: some outputs are made twice.
template <class T>
void convolve_lanes(const LanesProduct<T>& product, const WindowAxis& axis, std::span<const LaneRow<T>> rows,
                    const T* addend, T* Y);

template <>
void convolve_lanes(const LanesProduct<float>&, const WindowAxis&, std::span<const LaneRow<float>>,
                    const float*, float*);
template <>
void convolve_lanes(const LanesProduct<double>&, const WindowAxis&, std::span<const LaneRow<double>>,
                    const double*, double*);

}  // namespace bnrun
