// Y[n,o,m] = act(scale[m] * sum over taps and c of X[n, o*stride - pad + k*dilation, c] * W[m,c,k] + shift[m] +
// addend[n,o,m])
//
// A row of outputs' inputs, taps in order and channels within, is a row of a matrix that the packed kernel multiplies
// by the weights. It is never copied where the lines of the input can be read as they lie: outputs next to each other
// then read rows that lie one stride apart, and all taps along the last axis are one stretch. An input in parts or with a
// prologue is gathered, so that a task has what it reads in cache: where lines are copied anyway, at no cost.
#include "kernels/conv/convolution.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include "base/numbers.h"
#include "kernels/conv/lanes.h"
#include "kernels/conv/scratch.h"
#include "kernels/gemm/packed.h"

namespace bnrun {
namespace {

/// What a task reads should stay in the second-level cache together with some columns of weights.
constexpr std::int64_t kTaskBytes = std::int64_t{1} << 18;
/// Of padded lines that a task holds: beyond, as for dilations and pads of the image's size, it gathers what it reads.
constexpr double kMostPaddedBytes = 16.0 * (1 << 20);
/// Fewer rows are not worth going through all weights.
constexpr std::int64_t kLeastRows = 48;
/// A convolution of so many multiply-adds takes some microseconds: no less is worth another thread.
constexpr double kLeastWork = 300'000.0;
/// Those of narrow groups take longer, as they wait for memory.
constexpr double kLeastWorkOfLanes = 150'000.0;
/// Rows of a task, where threads are done sooner with more of them.
constexpr std::int64_t kFewestRows = 24;
/// Weights that take more are no longer in a thread's second-level cache when the next task comes.
constexpr std::size_t kFarBytes = std::size_t{2} << 20;
/// Outputs of a line that are fewer waste so much of each tile that copying rows is cheaper.
constexpr std::int64_t kLeastLine = 5;

/// Taps that lie inside the input for some output: [first, second).
std::pair<std::int64_t, std::int64_t> live_taps(const WindowAxis& axis) {
  std::int64_t first = axis.kernel;
  std::int64_t last = 0;
  for (std::int64_t o = 0; o < axis.output; ++o) {
    const auto [k0, k1] = axis.taps_inside(o);
    if (k0 == k1) continue;
    first = std::min(first, k0);
    last = std::max(last, k1);
    if (first == 0 && last == axis.kernel) break;
  }
  return {std::min(first, last), last};
}

/// `parts` of so many lines, or a few more where the last threads are done sooner then: a line has `width` rows.
std::int64_t balanced(std::int64_t parts, std::int64_t lines, std::int64_t width, std::int64_t threads) {
  if (threads < 2) return parts;
  std::int64_t best = parts;
  std::int64_t shortest = std::numeric_limits<std::int64_t>::max();
  for (std::int64_t more = parts; more <= rounded_up(parts, threads) + threads; ++more) {
    const std::int64_t each = ceil_div(lines, more);
    if (more > parts && each * width < kFewestRows) break;
    const std::int64_t longest = ceil_div(ceil_div(lines, each), threads) * each;  // of any thread, in lines
    if (longest >= shortest) continue;
    shortest = longest;
    best = more;
  }
  return best;
}

}  // namespace

/// How one run is cut into tasks. Each has some rows of the output: a block of them where the input is a matrix or its
/// rows are gathered, else some lines of one plane. Where rows are few, or weights many more, a task has some of the
/// columns.
template <class T>
struct Convolution<T>::Plan {
  enum class How { rows, lines, gathered, lanes } how = How::rows;
  std::array<WindowAxis, 3> axes;  ///< those there are not have one element
  std::int64_t batch = 0;
  std::int64_t stretches = 1;  ///< of a row of inputs, for one group
  std::int64_t length = 0;     ///< of a stretch
  std::int64_t per_task = 1;   ///< rows or lines, of one plane
  std::int64_t planes = 1;     ///< of a task that has whole planes of lines
  std::int64_t blocks = 0;     ///< tasks that differ in rows
  std::int64_t columns = 0;    ///< of one task
  std::int64_t column_tasks = 1;
  /// Taps along each axis that some output has inside the input: [first, second). The others are left out of what is
  /// gathered.
  std::array<std::pair<std::int64_t, std::int64_t>, 3> live;
  bool gathers = false;         ///< the input is in parts or has a prologue: tasks copy what they read
  bool pads_lines = false;      ///< lines of the input are copied between zeros
  std::int64_t line_width = 0;  ///< positions of a padded line
  std::size_t scratch_bytes = 0;

  std::int64_t lines_in(std::int64_t lines) const { return (lines - 1) * axes[1].stride + axes[1].reach(); }
  std::int64_t live_taps() const {
    std::int64_t taps = 1;
    for (const auto& [first, last] : live) taps *= last - first;
    return taps;
  }
  std::int64_t rows() const { return batch * axes[0].output * axes[1].output * axes[2].output; }
};

/// One task of a run.
template <class T>
class Convolution<T>::Run {
 public:
  Run(const Convolution& conv, const Plan& plan, const ChannelSource<T>& X, const T* addend, T* Y)
      : conv_(conv), plan_(plan), X_(X), addend_(addend), Y_(Y) {}

  void task(std::int64_t index, std::byte* scratch) const {
    const std::int64_t block = index % plan_.blocks;
    const std::int64_t column = index / plan_.blocks * plan_.columns;
    Scratch memory(scratch);
    switch (plan_.how) {
      case Plan::How::rows:
        return rows(block, column, memory);
      case Plan::How::gathered:
        return gathered(block, column, memory);
      case Plan::How::lines:
        return lines(block, column, memory);
      case Plan::How::lanes:
        return lanes(block, memory);
    }
  }

  /// What a task takes from its scratch memory.
  static std::size_t scratch_bytes(const Convolution& conv, const Plan& plan) {
    const Run run(conv, plan, {}, nullptr, nullptr);
    Scratch memory;
    if (plan.how == Plan::How::rows) run.take_rows(memory);
    if (plan.how == Plan::How::gathered) run.take_gathered(memory);
    if (plan.how == Plan::How::lines) run.take_lines(memory);
    if (plan.how == Plan::How::lanes) memory.take<LaneRow<T>>(plan.axes[0].kernel * plan.axes[1].kernel);
    return memory.used();
  }

 private:
  /// Inputs of the task that this thread is likely to have next.
  struct Coming {
    const T* X = nullptr;
    std::int64_t elements = 0;
  };

  Coming rows_coming(std::int64_t block) const {
    const std::int64_t first = (block + 1) * plan_.per_task;
    if (first >= plan_.rows()) return {};
    return {at(first), std::min(plan_.per_task, plan_.rows() - first) * conv_.C_};
  }

  /// Where the channels of a position lie. REQUIRES: no prologue.
  const T* at(std::int64_t position) const { return X_.parts[0].X + position * conv_.C_; }

  /// The channels of positions next to each other. Returns the end of what is written.
  T* read(std::int64_t position, std::int64_t count, T* to) const {
    if (X_.prologue == nullptr) return std::copy_n(at(position), count * conv_.C_, to);
    gather_channels(X_, position, count, to);
    return to + count * conv_.C_;
  }

  /// `lines` of the rows whose inputs begin at `starts`: [stretches] for each line, of group 0.
  void multiply(std::int64_t x_stride, std::span<PackedLine<T>> lines, const T** starts,
                const std::int64_t* firsts, std::int64_t column, Coming coming) const {
    const std::int64_t per_group = conv_.M_ / conv_.groups_;
    const std::int64_t K = conv_.taps_ * (conv_.C_ / conv_.groups_);
    const std::int64_t padded = padded_columns<T>(per_group);
    LineLayout layout{plan_.stretches, plan_.length, x_stride, conv_.M_, firsts};
    const auto all = Finish<T>::of(conv_.scale_.data(), conv_.shift_.data(), conv_.activation_);
    for (PackedLine<T>& line : lines) {
      line.Y += column;
      if (line.addend != nullptr) line.addend += column;
    }
    for (std::int64_t g = 0; g < conv_.groups_; ++g) {
      if (g + 1 == conv_.groups_) {
        layout.coming = coming.X;
        layout.coming_elements = coming.elements;
      }
      const PackedProduct<T> product{K, std::min(plan_.columns, per_group - column),
                                     conv_.weights_.data() + g * padded * K + column * K,
                                     all.from_column(g * padded + column)};
      multiply_packed<T>(product, layout, lines);
      const auto count = static_cast<std::int64_t>(lines.size()) * plan_.stretches;
      for (std::int64_t i = 0; i < count; ++i) starts[i] += conv_.C_ / conv_.groups_;
      for (PackedLine<T>& line : lines) {
        line.Y += per_group;
        if (line.addend != nullptr) line.addend += per_group;
      }
    }
  }

  PackedLine<T> line_at(std::int64_t row, std::int64_t rows, const T* const* starts) const {
    const std::int64_t at = row * conv_.M_;
    return {rows, starts, addend_ != nullptr ? addend_ + at : nullptr, Y_ + at};
  }

  T* take_rows(Scratch& memory) const {
    return memory.take<T>(plan_.gathers ? plan_.per_task * conv_.C_ : 0);
  }

  void rows(std::int64_t block, std::int64_t column, Scratch& memory) const {
    const std::int64_t first = block * plan_.per_task;
    const std::int64_t count = std::min(plan_.per_task, plan_.rows() - first);
    T* const gathered = take_rows(memory);
    if (plan_.gathers) read(first, count, gathered);
    const T* start = plan_.gathers ? gathered : at(first);
    PackedLine<T> line = line_at(first, count, &start);
    multiply(conv_.C_, {&line, 1}, &start, nullptr, column, plan_.gathers ? Coming() : rows_coming(block));
  }

  struct Gathered {
    T* rows;
    const T** starts;
    std::int64_t* firsts;  ///< k of each stretch
  };
  Gathered take_gathered(Scratch& memory) const {
    return {memory.take<T>(plan_.per_task * plan_.live_taps() * conv_.C_),
            memory.take<const T*>(plan_.stretches), memory.take<std::int64_t>(plan_.stretches)};
  }

  void gathered(std::int64_t block, std::int64_t column, Scratch& memory) const {
    const Gathered to = take_gathered(memory);
    const std::int64_t first = block * plan_.per_task;
    const std::int64_t count = std::min(plan_.per_task, plan_.rows() - first);
    const std::int64_t C = conv_.C_;
    const std::int64_t width = plan_.live_taps() * C;
    for (std::int64_t i = 0; i < count; ++i) gather(first + i, to.rows + i * width);
    PackedLine<T> line = line_at(first, count, to.starts);
    if (conv_.groups_ > 1) {
      for (std::int64_t s = 0; s < plan_.stretches; ++s) to.starts[s] = to.rows + s * C;
      return multiply(width, {&line, 1}, to.starts, nullptr, column, {});
    }
    const auto& [d, h, w] = plan_.axes;
    const auto& [ds, hs, ws] = plan_.live;
    const std::int64_t* firsts = to.firsts;
    std::int64_t s = 0;
    for (std::int64_t kd = ds.first; kd < ds.second; ++kd) {
      for (std::int64_t kh = hs.first; kh < hs.second; ++kh, ++s) {
        to.starts[s] = to.rows + s * plan_.length;
        to.firsts[s] = ((kd * h.kernel + kh) * w.kernel + ws.first) * C;
      }
    }
    multiply(width, {&line, 1}, to.starts, firsts, column, {});
  }

  /// The inputs of one output under the taps that are not always padding, zeros where they are.
  void gather(std::int64_t row, T* to) const {
    const auto& [d, h, w] = plan_.axes;
    const auto& [ds, hs, ws] = plan_.live;
    const std::int64_t ow = row % w.output;
    const std::int64_t oh = row / w.output % h.output;
    const std::int64_t od = row / w.output / h.output % d.output;
    const std::int64_t n = row / w.output / h.output / d.output;
    const auto [inside, outside] = w.taps_inside(ow);
    const std::int64_t C = conv_.C_;
    const std::int64_t first = std::min(std::max(inside, ws.first), ws.second);
    const std::int64_t last = std::clamp(outside, first, ws.second);
    for (std::int64_t kd = ds.first; kd < ds.second; ++kd) {
      for (std::int64_t kh = hs.first; kh < hs.second; ++kh) {
        const auto line = input_line(n, d.position(od, kd), h.position(oh, kh));
        T* const end = to + (ws.second - ws.first) * C;
        if (line) {
          to = std::fill_n(to, (first - ws.first) * C, T(0));
          for (std::int64_t k = first; k < last; ++k) to = read(*line + w.position(ow, k), 1, to);
        }
        std::fill(to, end, T(0));
        to = end;
      }
    }
  }

  /// The first position of a line of the input; nullopt where it is padding.
  std::optional<std::int64_t> input_line(std::int64_t n, std::int64_t id, std::int64_t ih) const {
    const auto& [d, h, w] = plan_.axes;
    if (id < 0 || id >= d.input || ih < 0 || ih >= h.input) return std::nullopt;
    return ((n * d.input + id) * h.input + ih) * w.input;
  }

  struct Lines {
    T* zeros;
    T* padded;  ///< the lines that the taps of axis 0 meet, plane by plane
    const T** starts;
    PackedLine<T>* lines;
  };
  Lines take_lines(Scratch& memory) const {
    const std::int64_t lines = plan_.planes * plan_.per_task;
    return {memory.take<T>(plan_.line_width * conv_.C_),
            memory.take<T>(plan_.pads_lines ? plan_.planes * padded_elements() : 0),
            memory.take<const T*>(lines * plan_.stretches), memory.take<PackedLine<T>>(lines)};
  }
  /// Of the padded lines that the outputs of one plane meet.
  std::int64_t padded_elements() const {
    return plan_.axes[0].kernel * plan_.lines_in(plan_.per_task) * plan_.line_width * conv_.C_;
  }

  /// The lines of one plane of outputs that a task has.
  struct Band {
    std::int64_t n;
    std::int64_t od;
    std::int64_t first;
    std::int64_t count;
  };
  Band band(std::int64_t plane, std::int64_t first) const {
    const auto& [d, h, w] = plan_.axes;
    return {plane / d.output, plane % d.output, first, std::min(plan_.per_task, h.output - first)};
  }

  void lines(std::int64_t block, std::int64_t column, Scratch& memory) const {
    const auto& [d, h, w] = plan_.axes;
    const std::int64_t bands = ceil_div(h.output, plan_.per_task);
    const std::int64_t first_plane = block / bands * plan_.planes;
    const std::int64_t last_plane = std::min(first_plane + plan_.planes, plan_.batch * d.output);
    Lines to = take_lines(memory);
    std::fill_n(to.zeros, plan_.line_width * conv_.C_, T(0));
    const T** const starts = to.starts;
    PackedLine<T>* line = to.lines;
    for (std::int64_t plane = first_plane; plane < last_plane; ++plane) {
      const Band part = band(plane, block % bands * plan_.per_task);
      if (plan_.pads_lines) pad_lines(part, to.padded);
      for (std::int64_t i = 0; i < part.count; ++i, to.starts += plan_.stretches) {
        point_at_inputs(part, i, to);
        *line++ = line_at((plane * h.output + part.first + i) * w.output, w.output, to.starts);
      }
      to.padded += padded_elements();
    }
    multiply(w.stride * conv_.C_, {to.lines, line}, starts, nullptr, column, lines_coming(block, bands));
  }

  Coming lines_coming(std::int64_t block, std::int64_t bands) const {
    const auto& [d, h, w] = plan_.axes;
    const std::int64_t next = block + 1;
    const std::int64_t plane = next / bands * plan_.planes;
    if (plan_.gathers || plane >= plan_.batch * d.output) return {};
    const Band part = band(plane, next % bands * plan_.per_task);
    const std::int64_t first = std::max<std::int64_t>(0, h.position(part.first, 0));
    const auto from = input_line(part.n, std::max<std::int64_t>(0, d.position(part.od, 0)), first);
    if (!from) return {};
    const std::int64_t lines = plan_.planes * std::min(plan_.lines_in(part.count), h.input - first);
    const std::int64_t left = plan_.batch * d.input * h.input * w.input - *from;
    return {at(*from), std::min(lines * w.input, left) * conv_.C_};
  }

  /// Where each stretch of the inputs of line `i` begins.
  void point_at_inputs(const Band& part, std::int64_t i, const Lines& to) const {
    const auto& [d, h, w] = plan_.axes;
    const std::int64_t C = conv_.C_;
    const std::int64_t per_line =
        plan_.stretches / (d.kernel * h.kernel);  // stretches on one line of the input
    const T** start = to.starts;
    for (std::int64_t kd = 0; kd < d.kernel; ++kd) {
      for (std::int64_t kh = 0; kh < h.kernel; ++kh) {
        const auto line = input_line(part.n, d.position(part.od, kd), h.position(part.first + i, kh));
        const T* from = to.zeros;
        if (line && plan_.pads_lines)
          from = to.padded + (kd * plan_.lines_in(plan_.per_task) + i * h.stride + kh * h.dilation) *
                                 plan_.line_width * C;
        else if (line)
          from = at(*line);
        for (std::int64_t k = 0; k < per_line; ++k) *start++ = from + k * w.dilation * C;
      }
    }
  }

  /// The lines of the input that those of the output meet, between zeros.
  void pad_lines(const Band& part, T* to) const {
    const auto& [d, h, w] = plan_.axes;
    const std::int64_t C = conv_.C_;
    const std::int64_t before = std::min(w.pad_begin, plan_.line_width);
    const std::int64_t copied = std::min(w.input, plan_.line_width - before);
    for (std::int64_t kd = 0; kd < d.kernel; ++kd) {
      T* plane = to + kd * plan_.lines_in(plan_.per_task) * plan_.line_width * C;
      for (std::int64_t i = 0; i < plan_.lines_in(part.count); ++i) {
        const auto from = input_line(part.n, d.position(part.od, kd), h.position(part.first, 0) + i);
        if (!from) continue;  // nobody reads it: a line of zeros stands for it
        T* line = plane + i * plan_.line_width * C;
        line = read(*from, copied, std::fill_n(line, before * C, T(0)));
        std::fill_n(line, (plan_.line_width - before - copied) * C, T(0));
      }
    }
  }

  void lanes(std::int64_t block, Scratch& memory) const {
    const auto& [d, h, w] = plan_.axes;
    auto* rows = memory.take<LaneRow<T>>(d.kernel * h.kernel);
    const LanesProduct<T> product{conv_.C_,
                                  conv_.M_,
                                  conv_.C_ / conv_.groups_,
                                  conv_.M_ / conv_.groups_,
                                  conv_.taps_,
                                  conv_.weights_.data(),
                                  Finish<T>::of(conv_.scale_.data(), conv_.shift_.data(), conv_.activation_)};
    const std::int64_t first = block * plan_.per_task;
    const std::int64_t end = std::min(first + plan_.per_task, plan_.batch * d.output * h.output);
    for (std::int64_t line = first; line < end; ++line) {
      const std::int64_t oh = line % h.output;
      const std::int64_t od = line / h.output % d.output;
      const std::int64_t n = line / h.output / d.output;
      std::size_t count = 0;
      for (std::int64_t kd = 0; kd < d.kernel; ++kd) {
        for (std::int64_t kh = 0; kh < h.kernel; ++kh) {
          const auto from = input_line(n, d.position(od, kd), h.position(oh, kh));
          if (from) rows[count++] = {at(*from), (kd * h.kernel + kh) * w.kernel};
        }
      }
      const std::int64_t at = line * w.output * conv_.M_;
      convolve_lanes<T>(product, w, {rows, count}, addend_ != nullptr ? addend_ + at : nullptr, Y_ + at);
      if (product.finish.activation != nullptr)
        activate(conv_.activation_, std::span<T>(Y_ + at, static_cast<std::size_t>(w.output * conv_.M_)));
    }
  }

  const Convolution& conv_;
  const Plan& plan_;
  ChannelSource<T> X_;
  const T* addend_;
  T* Y_;
};

template <class T>
Convolution<T>::Convolution(const ConvolutionWeights<T>& weights, const typename Dense<T>::Epilogue& epilogue)
    : C_(weights.C),
      M_(weights.M),
      groups_(weights.groups),
      kernel_(weights.kernel),
      taps_(weights.kernel.elements()),
      finite_(std::all_of(weights.W, weights.W + M_ * (C_ / groups_) * taps_,
                          [](T w) { return std::isfinite(w); })),
      by_lanes_(finite_ && groups_ > 1 && fits_lanes<T>(C_ / groups_, M_ / groups_)),
      activation_(epilogue.activation) {
  // The lanes of all groups stand side by side; a product's columns are padded group by group.
  const std::int64_t parts = by_lanes_ ? 1 : groups_;
  const std::int64_t part = M_ / parts;
  const std::int64_t padded = padded_columns<T>(part);
  const auto pad = [&](const std::vector<T>& values) {
    std::vector<T> spread;
    for (std::int64_t g = 0; g < parts && !values.empty(); ++g) {
      spread.insert(spread.end(), values.begin() + g * part, values.begin() + (g + 1) * part);
      spread.resize(static_cast<std::size_t>((g + 1) * padded), T(0));
    }
    return padded_to_panels<T>(spread);
  };
  scale_ = pad(epilogue.scale);
  shift_ = pad(epilogue.shift);

  const std::int64_t in = C_ / groups_;
  const std::int64_t K = taps_ * in;
  weights_ = AlignedBuffer<T>(static_cast<std::size_t>(parts * padded * K));
  std::vector<T> rows(static_cast<std::size_t>(K * part));
  for (std::int64_t g = 0; g < parts; ++g) {
    for (std::int64_t m = 0; m < part; ++m) {
      const T* w = weights.W + (g * part + m) * K;
      for (std::int64_t c = 0; c < in; ++c) {
        for (std::int64_t k = 0; k < taps_; ++k)
          rows[static_cast<std::size_t>((k * in + c) * part + m)] = w[c * taps_ + k];
      }
    }
    pack_panels(K, part, rows.data(), part, weights_.data() + g * padded * K);
  }
}

/// Whether the last thread has no more than a tenth more columns to do than it would have of equal shares.
template <class T>
bool Convolution<T>::shares_columns_evenly(int threads) const {
  const std::int64_t panels = ceil_div(M_, panel_columns<T>());
  return 10 * ceil_div(panels, threads) * threads <= 11 * panels;
}

template <class T>
auto Convolution<T>::plan(const Window& window, std::int64_t batch, bool gathers, int threads) const -> Plan {
  using How = typename Plan::How;
  Plan plan;
  plan.batch = batch;
  plan.gathers = gathers;
  plan.axes.fill({1, 1});
  std::ranges::copy(window.axes, plan.axes.end() - static_cast<std::ptrdiff_t>(window.axes.size()));
  if (plan.rows() == 0) return plan;
  const auto& [d, h, w] = plan.axes;
  const std::int64_t in = C_ / groups_;
  // Lines that no tap reads would be gathered as well.
  const bool skips_lines = gathers && (h.kernel < h.stride || d.kernel < d.stride);
  const bool joined = groups_ == 1 && w.dilation == 1;
  plan.stretches = joined ? d.kernel * h.kernel : taps_;
  plan.length = joined ? w.kernel * C_ : in;
  plan.columns = M_ / groups_;
  plan.line_width = (w.output - 1) * w.stride + w.reach();
  plan.pads_lines = gathers || w.pad_begin > 0 || plan.line_width > w.input;

  const double work = static_cast<double>(plan.rows() * M_) * static_cast<double>(macs_of_one());
  if (work < (by_lanes_ ? kLeastWorkOfLanes : kLeastWork)) threads = 1;
  // Threads that share the columns all read the input, those that share the rows all read the weights.
  const bool by_columns =
      threads > 1 && groups_ == 1 && weights_.size() * sizeof(T) > kFarBytes &&
      weights_.size() > static_cast<std::size_t>(batch * window.input().elements() * C_) &&
      shares_columns_evenly(threads);
  const int row_threads = by_columns ? 1 : threads;
  const std::int64_t shares = row_threads > 1 ? 2 * row_threads : 1;
  const std::int64_t rows = plan.rows();
  const std::int64_t lines = batch * d.output * h.output;
  const auto bytes = static_cast<std::int64_t>(sizeof(T));
  // In blocks of like size: a few rows left over would go through all weights for themselves.
  const auto cut_rows = [&](std::int64_t row_bytes) {
    const std::int64_t most = std::max(kLeastRows, kTaskBytes / std::max<std::int64_t>(1, row_bytes));
    const std::int64_t wanted = std::clamp(ceil_div(rows, shares), kLeastRows, most);
    const std::int64_t parts = std::max<std::int64_t>(1, (rows + wanted / 2) / wanted);
    plan.per_task = ceil_div(rows, balanced(parts, rows, 1, row_threads));
    plan.blocks = ceil_div(rows, plan.per_task);
  };
  const double padded_bytes = static_cast<double>(d.reach()) * static_cast<double>(h.reach()) *
                              static_cast<double>(plan.line_width) * static_cast<double>(C_ * bytes);
  const bool one_tap = std::ranges::all_of(plan.axes, [](const WindowAxis& axis) {
    return axis.kernel == 1 && axis.stride == 1 && axis.input == axis.output;
  });
  if (by_lanes_) {
    plan.how = How::lanes;
    plan.per_task = std::max<std::int64_t>(1, ceil_div(lines, 2 * shares));
    plan.blocks = ceil_div(lines, plan.per_task);
  } else if (one_tap) {
    plan.how = How::rows;
    cut_rows(((gathers ? 2 : 1) * C_ + M_) * bytes);
    if (groups_ > 1) plan.stretches = 1;
  } else if (!plan.pads_lines ||
             (!skips_lines && w.output >= kLeastLine && padded_bytes <= kMostPaddedBytes)) {
    plan.how = How::lines;
    const std::int64_t line_bytes = (h.stride * d.kernel * plan.line_width * C_ + w.output * M_) * bytes;
    const std::int64_t least = ceil_div(kLeastRows, w.output);
    const std::int64_t most = std::max(least, kTaskBytes / std::max<std::int64_t>(1, line_bytes));
    const std::int64_t wanted = std::clamp(ceil_div(lines, shares), least, most);
    const std::int64_t planes = batch * d.output;
    plan.per_task = std::min(wanted, h.output);
    if (planes == 1)
      plan.per_task = ceil_div(lines, balanced(ceil_div(lines, plan.per_task), lines, w.output, row_threads));
    plan.planes = ceil_div(planes, std::max<std::int64_t>(1, planes * h.output / std::max(wanted, h.output)));
    plan.blocks = ceil_div(planes, plan.planes) * ceil_div(h.output, plan.per_task);
  } else {
    plan.how = How::gathered;
    for (std::size_t i = 0; i < plan.axes.size(); ++i)
      plan.live[i] =
          groups_ == 1 && finite_ ? live_taps(plan.axes[i]) : std::pair{std::int64_t{0}, plan.axes[i].kernel};
    if (groups_ == 1) {
      const auto& [ds, hs, ws] = plan.live;
      plan.length = (ws.second - ws.first) * C_;
      plan.stretches = (ds.second - ds.first) * (hs.second - hs.first);
    }
    cut_rows(plan.live_taps() * C_ * bytes);
  }
  if (groups_ == 1 && !by_lanes_ && plan.blocks > 0 && (by_columns || plan.blocks < threads)) {
    const std::int64_t step = panel_columns<T>();
    const std::int64_t parts = by_columns ? threads : ceil_div(threads, plan.blocks);
    plan.columns = std::max(step, rounded_up(ceil_div(M_, parts), step));
    plan.column_tasks = ceil_div(M_, plan.columns);
  }
  plan.scratch_bytes = Run::scratch_bytes(*this, plan);
  return plan;
}

template <class T>
std::size_t Convolution<T>::scratch_bytes(const Window& window, std::int64_t batch, bool gathers) const {
  return plan(window, batch, gathers, 1).scratch_bytes;
}

template <class T>
void Convolution<T>::run(const Window& window, std::int64_t batch, const ChannelSource<T>& X, const T* addend,
                         T* Y, const Workspace& workspace) const {
  const Plan plan = this->plan(window, batch, X.prologue != nullptr, workspace.threads());
  const Run run(*this, plan, X, addend, Y);
  run_tasks(workspace, plan.scratch_bytes, plan.blocks * plan.column_tasks,
            [&](std::int64_t task, std::byte* scratch) { run.task(task, scratch); });
}

template class Convolution<float>;
template class Convolution<double>;

}  // namespace bnrun
