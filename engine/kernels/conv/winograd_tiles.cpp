// Y = A^T [(G w G^T) * (B^T X B)] A, * taking products element by element.
//
// Winograd's algorithms for two outputs and three taps, at the points 0, 1, -1 and infinity, and for four outputs, at 0,
// a, -a, b, -b and infinity. Points that come with their negatives share half of their work. With a = 5/8 and b = 3/2 the
// bound in winograd.h is a fifth, and the error that was measured half, of what the usual 1 and 2 have; all of A and B are
// numbers that float32 holds.

#include "kernels/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv/winograd_tiles.cpp"
#include <hwy/foreach_target.h>
// keep this order: the line above includes this file once per target
#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <algorithm>
#include <array>
#include <cstddef>

#include "kernels/conv/winograd_tiles.h"
#include "kernels/gemm/finish-inl.h"

#ifndef BNRUN_KERNELS_CONV_WINOGRAD_POINTS_
#define BNRUN_KERNELS_CONV_WINOGRAD_POINTS_
namespace bnrun {
namespace {
constexpr float kA = 0.625F;
constexpr float kB = 1.5F;
}  // namespace
}  // namespace bnrun
#endif

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::CappedTag<float, panel_columns<float>()>;
using Vec = hn::VFromD<Tag>;

HWY_INLINE std::int64_t lanes() {
  return static_cast<std::int64_t>(hn::MaxLanes(Tag()));
}

/// One line of the transforms of tiles of kTile outputs.
template <int kTile>
struct Transform;

template <>
struct Transform<2> {
  /// u = B^T x
  static HWY_INLINE void input(Tag, const Vec* x, Vec* u) {
    u[0] = hn::Sub(x[0], x[2]);
    u[1] = hn::Add(x[2], x[1]);
    u[2] = hn::Sub(x[2], x[1]);
    u[3] = hn::Sub(x[3], x[1]);
  }
  /// y = A^T z
  static HWY_INLINE void output(Tag, const Vec* z, Vec* y) {
    y[0] = hn::Add(z[0], hn::Add(z[1], z[2]));
    y[1] = hn::Add(z[3], hn::Sub(z[1], z[2]));
  }
};

template <>
struct Transform<4> {
  static HWY_INLINE void input(Tag d, const Vec* x, Vec* u) {
    const Vec a = hn::Set(d, kA);
    const Vec b = hn::Set(d, kB);
    const Vec aa = hn::Set(d, kA * kA);
    const Vec bb = hn::Set(d, kB * kB);
    const Vec sum = hn::Set(d, kA * kA + kB * kB);
    const Vec product = hn::Set(d, kA * kA * kB * kB);
    u[0] = hn::MulAdd(product, x[0], hn::NegMulAdd(sum, x[2], x[4]));
    u[5] = hn::MulAdd(product, x[1], hn::NegMulAdd(sum, x[3], x[5]));
    const Vec even_a = hn::NegMulAdd(bb, x[2], x[4]);
    const Vec odd_a = hn::NegMulAdd(bb, x[1], x[3]);
    u[1] = hn::MulAdd(a, odd_a, even_a);
    u[2] = hn::NegMulAdd(a, odd_a, even_a);
    const Vec even_b = hn::NegMulAdd(aa, x[2], x[4]);
    const Vec odd_b = hn::NegMulAdd(aa, x[1], x[3]);
    u[3] = hn::MulAdd(b, odd_b, even_b);
    u[4] = hn::NegMulAdd(b, odd_b, even_b);
  }
  static HWY_INLINE void output(Tag d, const Vec* z, Vec* y) {
    const Vec sum_a = hn::Add(z[1], z[2]);
    const Vec difference_a = hn::Sub(z[1], z[2]);
    const Vec sum_b = hn::Add(z[3], z[4]);
    const Vec difference_b = hn::Sub(z[3], z[4]);
    y[0] = hn::Add(z[0], hn::Add(sum_a, sum_b));
    y[1] = hn::MulAdd(hn::Set(d, kB), difference_b, hn::Mul(hn::Set(d, kA), difference_a));
    y[2] = hn::MulAdd(hn::Set(d, kB * kB), sum_b, hn::Mul(hn::Set(d, kA * kA), sum_a));
    y[3] = hn::MulAdd(hn::Set(d, kB * kB * kB), difference_b,
                      hn::MulAdd(hn::Set(d, kA * kA * kA), difference_a, z[5]));
  }
};

/// One tile and one vector of channels. Both directions are done line by line; those of the second stand in the first's
/// columns, so that matrix j * n + i belongs to line i and position j of the tile.
template <int kTile>
HWY_INLINE void input_tile(const TileRun& run, const float* HWY_RESTRICT X, float* HWY_RESTRICT V,
                           std::int64_t matrix) {
  const Tag d;
  constexpr int n = kTile + 2;
  Vec half[n][n];  // of position j and line i
  HWY_UNROLL(6)
  for (int i = 0; i < n; ++i) {
    const float* from = X + i * run.line;
    Vec x[n];
    Vec u[n];
    HWY_UNROLL(6)
    for (int j = 0; j < n; ++j, from += run.position) x[j] = hn::LoadU(d, from);
    Transform<kTile>::input(d, x, u);
    HWY_UNROLL(6)
    for (int j = 0; j < n; ++j) half[j][i] = u[j];
  }
  HWY_UNROLL(6)
  for (int j = 0; j < n; ++j) {
    Vec u[n];
    Transform<kTile>::input(d, half[j], u);
    HWY_UNROLL(6)
    for (int i = 0; i < n; ++i, V += matrix) hn::Store(u[i], d, V);
  }
}

template <int kTile>
void inputs(const TileRun& run, const float* X, const TileMatrices& V) {
  for (std::int64_t t = 0; t < run.count; ++t) {
    const float* from = X + t * kTile * run.position;
    float* to = V.first + t * V.row;
    for (std::int64_t c = 0; c < run.channels; c += lanes())
      input_tile<kTile>(run, from + c, to + c, V.matrix);
  }
}

/// Calls store(position, numbers of all lines) for one tile and one vector of channels.
template <int kTile, class Store>
HWY_INLINE void output_tile(const float* HWY_RESTRICT Z, std::int64_t matrix, Store store) {
  const Tag d;
  constexpr int n = kTile + 2;
  Vec half[kTile][n];  // of line i and position j
  HWY_UNROLL(6)
  for (int j = 0; j < n; ++j) {
    Vec z[n];
    Vec y[kTile];
    HWY_UNROLL(6)
    for (int i = 0; i < n; ++i, Z += matrix) z[i] = hn::Load(d, Z);
    Transform<kTile>::output(d, z, y);
    HWY_UNROLL(4)
    for (int i = 0; i < kTile; ++i) half[i][j] = y[i];
  }
  HWY_UNROLL(4)
  for (int i = 0; i < kTile; ++i) {
    Vec y[kTile];
    Transform<kTile>::output(d, half[i], y);
    store(i, y);
  }
}

template <int kTile>
void outputs(const TileRun& run, const TileMatrices& Z, std::int64_t lines, std::int64_t positions,
             const Finish<float>& finish, const float* addend, float* Y) {
  const Tag d;
  for (std::int64_t t = 0; t < run.count; ++t) {
    const float* from = Z.first + t * Z.row;
    const std::int64_t tile_at = t * kTile * run.position;
    for (std::int64_t c = 0; c < run.channels; c += lanes()) {
      const Finisher<float, Tag> finisher(d, finish, c, run.channels);
      const float* added = addend != nullptr ? addend + tile_at + c : nullptr;
      float* to = Y + tile_at + c;
      if (lines == kTile && positions == kTile) {
        const float* next = to + kTile * run.position;
        output_tile<kTile>(from + c, Z.matrix, [&](int i, const Vec* y) HWY_ATTR {
          HWY_UNROLL(4)
          for (int j = 0; j < kTile; ++j) hwy::Prefetch(next + i * run.line + j * run.position);
          finisher.template store<kTile>(
              d, [&](int j, int) HWY_ATTR { return y[j]; }, added != nullptr ? added + i * run.line : nullptr,
              to + i * run.line, run.position);
        });
      } else {
        // Seldom enough for one copy of what finishes an output.
        HWY_ALIGN float numbers[kTile * kTile * panel_columns<float>()];
        output_tile<kTile>(from + c, Z.matrix, [&](int i, const Vec* y) HWY_ATTR {
          for (int j = 0; j < kTile; ++j) hn::Store(y[j], d, numbers + (i * kTile + j) * lanes());
        });
        for (std::int64_t i = 0; i < lines; ++i) {
          for (std::int64_t j = 0; j < positions; ++j) {
            const std::int64_t at = i * run.line + j * run.position;
            const Vec number = hn::Load(d, numbers + (i * kTile + j) * lanes());
            finisher.template store<1>(
                d, [&](int, int) HWY_ATTR { return number; }, added != nullptr ? added + at : nullptr,
                to + at, 0);
          }
        }
      }
    }
  }
}

void transform_inputs_2(const TileRun& run, const float* X, const TileMatrices& V) {
  inputs<2>(run, X, V);
}
void transform_inputs_4(const TileRun& run, const float* X, const TileMatrices& V) {
  inputs<4>(run, X, V);
}
void transform_outputs_2(const TileRun& run, const TileMatrices& Z, std::int64_t lines,
                         std::int64_t positions, const Finish<float>& finish, const float* addend, float* Y) {
  outputs<2>(run, Z, lines, positions, finish, addend, Y);
}
void transform_outputs_4(const TileRun& run, const TileMatrices& Z, std::int64_t lines,
                         std::int64_t positions, const Finish<float>& finish, const float* addend, float* Y) {
  outputs<4>(run, Z, lines, positions, finish, addend, Y);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bnrun
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bnrun {
namespace {

HWY_EXPORT(transform_inputs_2);
HWY_EXPORT(transform_inputs_4);
HWY_EXPORT(transform_outputs_2);
HWY_EXPORT(transform_outputs_4);

/// G: row p holds (1, p, p^2) divided by the product of p's differences from the other points.
constexpr double kWeights2[4][3] = {{1.0, 0.0, 0.0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0.0, 0.0, 1.0}};

std::array<std::array<double, 3>, 6> weights_4() {
  constexpr double a = kA;
  constexpr double b = kB;
  const double at_a = 2.0 * a * a * (a * a - b * b);
  const double at_b = 2.0 * b * b * (b * b - a * a);
  return {{{1.0 / (a * a * b * b), 0.0, 0.0},
           {1.0 / at_a, a / at_a, a * a / at_a},
           {1.0 / at_a, -a / at_a, a * a / at_a},
           {1.0 / at_b, b / at_b, b * b / at_b},
           {1.0 / at_b, -b / at_b, b * b / at_b},
           {0.0, 0.0, 1.0}}};
}

}  // namespace

void transform_inputs(std::int64_t tile, const TileRun& run, const float* X, const TileMatrices& V) {
  if (tile == 2) return HWY_DYNAMIC_DISPATCH(transform_inputs_2)(run, X, V);
  HWY_DYNAMIC_DISPATCH(transform_inputs_4)(run, X, V);
}

void transform_outputs(std::int64_t tile, const TileRun& run, const TileMatrices& Z, std::int64_t lines,
                       std::int64_t positions, const Finish<float>& finish, const float* addend, float* Y) {
  if (tile == 2)
    return HWY_DYNAMIC_DISPATCH(transform_outputs_2)(run, Z, lines, positions, finish, addend, Y);
  HWY_DYNAMIC_DISPATCH(transform_outputs_4)(run, Z, lines, positions, finish, addend, Y);
}

void transform_weights(std::int64_t tile, const float* w, double* U) {
  static const auto four = weights_4();
  const auto transform = [&](const auto& G) {
    for (const auto& across : G) {
      for (const auto& down : G) {
        double sum = 0.0;
        for (std::size_t i = 0; i < 3; ++i) {
          for (std::size_t j = 0; j < 3; ++j) sum += down[i] * across[j] * static_cast<double>(w[i * 3 + j]);
        }
        *U++ = sum;
      }
    }
  };
  if (tile == 2)
    transform(kWeights2);
  else
    transform(four);
}

}  // namespace bnrun
#endif
