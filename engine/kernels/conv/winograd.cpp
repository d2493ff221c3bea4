// Y = A^T [sum over channels of (G W G^T) * (B^T X B)] A for tiles of outputs: with the tiles as rows, the sums of each
// number of a transformed tile are a product of matrices.
//
// A block of tiles goes through all matrices while its transformed inputs are in the second-level cache; the products
// of some columns at a time are transformed back while they are. Weights are read in the order in which they lie.
#include "kernels/conv/winograd.h"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "base/numbers.h"
#include "kernels/conv/scratch.h"
#include "kernels/conv/winograd_product.h"
#include "kernels/conv/winograd_tiles.h"
#include "kernels/gemm/packed.h"

namespace bnrun {
namespace {

/// What a block of tiles takes, transformed inputs and products together: half of a second-level cache.
constexpr std::int64_t kBlockBytes = std::int64_t{1} << 20;
/// Tiles of a block, at least: fewer are not worth going through all weights, the less so where these come from afar.
constexpr std::int64_t kLeastTiles = 2 * kProductRows;
constexpr std::int64_t kLeastTilesOfLargeWeights = 5 * kProductRows;
constexpr std::int64_t kLargeWeights = std::int64_t{1} << 20;
/// Columns of which the products lie in memory at once.
constexpr std::int64_t kMostColumns = 256;

/// Blocks of columns of like size, where there are several of whole groups of panels.
std::int64_t columns_of_block(std::int64_t M) {
  const std::int64_t blocks = ceil_div(M, kMostColumns);
  return rounded_up(ceil_div(M, blocks), (blocks > 1 ? 4 : 1) * panel_columns<float>());
}

/// From a matrix to the next: an odd number of cache lines, since those that lie a power of two apart share a place in a
/// cache.
std::int64_t matrix_stride(std::int64_t rows, std::int64_t row) {
  constexpr std::int64_t kLine = panel_columns<float>();
  return (rows * row / kLine | 1) * kLine;
}

}  // namespace

struct Winograd::Plan {
  WindowAxis down;
  WindowAxis across;
  std::int64_t tiles_down = 0;
  std::int64_t tiles_across = 0;
  std::int64_t tiles = 0;  ///< of the batch
  std::int64_t per_block = 0;
  std::int64_t blocks = 0;
  std::int64_t column_tasks = 1;
  std::size_t scratch_bytes = 0;
};

/// One run's blocks of tiles.
class Winograd::Run {
 public:
  Run(const Winograd& conv, const Plan& plan, const float* X, const float* addend, float* Y)
      : conv_(conv), plan_(plan), X_(X), addend_(addend), Y_(Y) {}

  void task(std::int64_t index, std::byte* scratch) const {
    Scratch memory(scratch);
    const Memory to = take(memory);
    const std::int64_t first = index % plan_.blocks * plan_.per_block;
    const std::int64_t count = std::min(plan_.per_block, plan_.tiles - first);
    for_runs(first, count, [&](const Place& at) { transform_inputs_at(at, at.tile - first, to); });

    // Denormals, which memory may hold, would take their time.
    for (std::int64_t i = 0; i < conv_.matrices(); ++i)
      std::fill_n(to.V.first + i * to.V.matrix + count * to.V.row, kSpareRows * to.V.row, 0.0F);

    const std::int64_t part = index / plan_.blocks;
    const std::int64_t blocks = conv_.column_blocks();
    for (std::int64_t b = part * blocks / plan_.column_tasks; b < (part + 1) * blocks / plan_.column_tasks;
         ++b) {
      const std::int64_t column = b * conv_.columns_;
      const std::int64_t columns = std::min(conv_.columns_, conv_.M_ - column);
      multiply_tiles({.matrices = conv_.matrices(),
                      .rows = count,
                      .K = conv_.C_,
                      .N = padded_columns<float>(columns),
                      .U = conv_.weights_.data() + column * conv_.matrices() * conv_.C_,
                      .large = conv_.has_large_weights(),
                      .V = to.V,
                      .Z = to.Z});
      const auto all = Finish<float>::of(conv_.scale_.data(), conv_.shift_.data(), conv_.activation_);
      const auto finish = all.from_column(column);
      for_runs(first, count, [&](const Place& at) {
        transform_outputs_at(at, at.tile - first, column, columns, finish, to);
      });
    }
  }

  static std::size_t scratch_bytes(const Winograd& conv, const Plan& plan) {
    Scratch memory;
    Run(conv, plan, nullptr, nullptr, nullptr).take(memory);
    return memory.used();
  }

 private:
  /// Tiles next to each other.
  struct Place {
    std::int64_t tile = 0;
    std::int64_t count = 0;
    std::int64_t image = 0;
    std::int64_t line = 0;      ///< first output line of each
    std::int64_t position = 0;  ///< first output position of the first
  };

  struct Memory {
    float* patch;  ///< inputs of one tile, zeros where they are padding
    TileMatrices V;
    TileMatrices Z;
  };

  std::int64_t width() const { return conv_.tile_ + 2; }
  std::int64_t padded_channels() const { return padded_columns<float>(conv_.C_); }

  Memory take(Scratch& memory) const {
    const auto matrices = [&](std::int64_t row) {
      const std::int64_t matrix = matrix_stride(plan_.per_block + kSpareRows, row);
      return TileMatrices{memory.take<float>(conv_.matrices() * matrix), row, matrix};
    };
    float* patch = memory.take<float>(width() * width() * padded_channels());
    const TileMatrices V = matrices(padded_channels());
    return {patch, V, matrices(conv_.columns_)};
  }

  /// Cuts `count` tiles from `first` on into those that lie on one line.
  template <class F>
  void for_runs(std::int64_t first, std::int64_t count, F f) const {
    for (const std::int64_t end = first + count; first < end;) {
      const std::int64_t across = first % plan_.tiles_across;
      const std::int64_t down = first / plan_.tiles_across % plan_.tiles_down;
      Place at{first, std::min(end - first, plan_.tiles_across - across),
               first / plan_.tiles_across / plan_.tiles_down, down * conv_.tile_, across * conv_.tile_};
      f(at);
      first += at.count;
    }
  }

  /// Calls whole(part of `place`) where tiles lie wholly inside, and single(tile) for each other.
  template <class IsWhole, class Whole, class Single>
  static void split(const Place& place, std::int64_t tile, IsWhole is_whole, Whole whole, Single single) {
    Place at = place;
    for (std::int64_t left = place.count; left > 0;) {
      at.count = 0;
      while (at.count < left && is_whole(at.position + at.count * tile)) ++at.count;
      if (at.count > 0) {
        whole(at);
      } else {
        at.count = 1;
        single(at);
      }
      left -= at.count;
      at.tile += at.count;
      at.position += at.count * tile;
    }
  }

  void transform_inputs_at(const Place& place, std::int64_t row, const Memory& to) const {
    const WindowAxis& h = plan_.down;
    const WindowAxis& w = plan_.across;
    const std::int64_t C = conv_.C_;
    const std::int64_t first_row = row - place.tile;
    const std::int64_t y = place.line - h.pad_begin;
    const bool lines_inside = y >= 0 && y + width() <= h.input && C == padded_channels();
    const auto is_whole = [&](std::int64_t position) {
      const std::int64_t x = position - w.pad_begin;
      return lines_inside && x >= 0 && x + width() <= w.input;
    };
    const auto at_row = [&](const Place& at) {
      return TileMatrices{to.V.first + (first_row + at.tile) * to.V.row, to.V.row, to.V.matrix};
    };
    split(
        place, conv_.tile_, is_whole,
        [&](const Place& at) {
          const float* from = X_ + ((at.image * h.input + y) * w.input + at.position - w.pad_begin) * C;
          transform_inputs(conv_.tile_, {at.count, w.input * C, C, C}, from, at_row(at));
        },
        [&](const Place& at) {
          copy_patch(at.image, y, at.position - w.pad_begin, to.patch);
          transform_inputs(conv_.tile_,
                           {1, width() * padded_channels(), padded_channels(), padded_channels()}, to.patch,
                           at_row(at));
        });
  }

  /// The inputs of one tile, whose first is that of line y and position x, with whole vectors of channels.
  void copy_patch(std::int64_t image, std::int64_t y, std::int64_t x, float* to) const {
    const WindowAxis& h = plan_.down;
    const WindowAxis& w = plan_.across;
    const std::int64_t C = conv_.C_;
    for (std::int64_t i = y; i < y + width(); ++i) {
      for (std::int64_t j = x; j < x + width(); ++j) {
        float* const end = to + padded_channels();
        if (i >= 0 && i < h.input && j >= 0 && j < w.input)
          to = std::copy_n(X_ + ((image * h.input + i) * w.input + j) * C, C, to);
        std::fill(to, end, 0.0F);
        to = end;
      }
    }
  }

  void transform_outputs_at(const Place& place, std::int64_t row, std::int64_t column, std::int64_t columns,
                            const Finish<float>& finish, const Memory& from) const {
    const WindowAxis& h = plan_.down;
    const WindowAxis& w = plan_.across;
    const std::int64_t M = conv_.M_;
    const std::int64_t tile = conv_.tile_;
    const std::int64_t first_row = row - place.tile;
    const std::int64_t lines = std::min(tile, h.output - place.line);
    const auto transform = [&](const Place& at) {
      const std::int64_t positions = std::min(tile, w.output - at.position);
      const std::int64_t to = ((at.image * h.output + at.line) * w.output + at.position) * M + column;
      const TileMatrices Z{from.Z.first + (first_row + at.tile) * from.Z.row, from.Z.row, from.Z.matrix};
      transform_outputs(tile, {at.count, w.output * M, M, columns}, Z, lines, positions, finish,
                        addend_ != nullptr ? addend_ + to : nullptr, Y_ + to);
      if (finish.activation != nullptr) {
        const std::int64_t stored = std::min(at.count * tile, w.output - at.position);
        activate_stored(*finish.activation, Y_ + to, lines, stored, columns);
      }
    };
    split(
        place, tile, [&](std::int64_t position) { return lines == tile && position + tile <= w.output; },
        transform, transform);
  }

  void activate_stored(const Activation& activation, float* Y, std::int64_t lines, std::int64_t positions,
                       std::int64_t columns) const {
    const std::int64_t M = conv_.M_;
    const bool dense = columns == M;
    for (std::int64_t i = 0; i < lines; ++i) {
      float* const line = Y + i * plan_.across.output * M;
      for (std::int64_t j = 0; j < (dense ? 1 : positions); ++j)
        activate(activation,
                 std::span(line + j * M, static_cast<std::size_t>(dense ? positions * M : columns)));
    }
  }

  const Winograd& conv_;
  const Plan& plan_;
  const float* X_;
  const float* addend_;
  float* Y_;
};

Winograd::Winograd(std::int64_t tile, const ConvolutionWeights<float>& weights,
                   const Dense<float>::Epilogue& epilogue)
    : tile_(tile),
      C_(weights.C),
      M_(weights.M),
      columns_(columns_of_block(weights.M)),
      activation_(epilogue.activation),
      weights_(static_cast<std::size_t>(matrices() * C_ * padded_columns<float>(M_))),
      scale_(padded_to_panels<float>(epilogue.scale)),
      shift_(padded_to_panels<float>(epilogue.shift)) {
  std::vector<float> rows(static_cast<std::size_t>(matrices() * C_ * columns_));
  std::array<double, 36> U{};
  float* to = weights_.data();
  for (std::int64_t column = 0; column < M_; column += columns_) {
    const std::int64_t columns = std::min(columns_, M_ - column);
    for (std::int64_t m = 0; m < columns; ++m) {
      for (std::int64_t c = 0; c < C_; ++c) {
        transform_weights(tile_, weights.W + ((column + m) * C_ + c) * 9, U.data());
        for (std::int64_t i = 0; i < matrices(); ++i)
          rows[static_cast<std::size_t>((i * C_ + c) * columns + m)] =
              static_cast<float>(U[static_cast<std::size_t>(i)]);
      }
    }
    for (std::int64_t i = 0; i < matrices(); ++i) {
      pack_panels(C_, columns, rows.data() + i * C_ * columns, columns, to);
      to += C_ * padded_columns<float>(columns);
    }
  }
}

double Winograd::error_factor(std::int64_t tile, std::int64_t C) {
  constexpr double kNorm4 = 118207.0 / 8925.0;  // for points 0, +-5/8, +-3/2 and infinity
  const double norm = tile == 2 ? 4.0 : kNorm4;
  const double nu = static_cast<double>(C + (tile == 2 ? 7 : 17)) * 0x1p-24;
  return nu / (1.0 - nu) * norm * norm;
}

auto Winograd::plan(const Window& window, std::int64_t batch, int threads) const -> Plan {
  Plan plan;
  plan.down = window.axes[0];
  plan.across = window.axes[1];
  plan.tiles_down = ceil_div(plan.down.output, tile_);
  plan.tiles_across = ceil_div(plan.across.output, tile_);
  plan.tiles = batch * plan.tiles_down * plan.tiles_across;
  if (plan.tiles == 0) return plan;
  constexpr auto kBytes = static_cast<std::int64_t>(sizeof(float));
  const std::int64_t tile_bytes = matrices() * (padded_columns<float>(C_) + columns_) * kBytes;
  const std::int64_t most = std::max(kBlockBytes / tile_bytes / kProductRows * kProductRows,
                                     has_large_weights() ? kLeastTilesOfLargeWeights : kLeastTiles);
  const std::int64_t shares = threads > 1 ? 2 * threads : 1;
  // Tasks with columns of their own each transform their inputs for themselves.
  const std::int64_t wanted = ceil_div(shares, column_blocks());
  plan.blocks = std::max(ceil_div(plan.tiles, most), std::min(wanted, plan.tiles / kProductRows));
  plan.per_block = std::min(plan.tiles, rounded_up(ceil_div(plan.tiles, plan.blocks), kProductRows));
  plan.blocks = ceil_div(plan.tiles, plan.per_block);
  if (plan.blocks < shares) plan.column_tasks = std::min(column_blocks(), ceil_div(shares, plan.blocks));
  plan.scratch_bytes = Run::scratch_bytes(*this, plan);
  return plan;
}

bool Winograd::has_large_weights() const {
  return matrices() * C_ * M_ * static_cast<std::int64_t>(sizeof(float)) > kLargeWeights;
}

std::size_t Winograd::scratch_bytes(const Window& window, std::int64_t batch) const {
  return plan(window, batch, 1).scratch_bytes;
}

void Winograd::run(const Window& window, std::int64_t batch, const float* X, const float* addend, float* Y,
                   const Workspace& workspace) const {
  const Plan plan = this->plan(window, batch, workspace.threads());
  const Run run(*this, plan, X, addend, Y);
  run_tasks(workspace, plan.scratch_bytes, plan.blocks * plan.column_tasks,
            [&](std::int64_t task, std::byte* scratch) { run.task(task, scratch); });
}

}  // namespace bnrun
