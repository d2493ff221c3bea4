#include "ops/pool/channels_last_pool.h"

#include <algorithm>
#include <vector>

#include "base/dispatch.h"
#include "base/fail.h"
#include "base/numbers.h"
#include "kernels/conv/pool.h"

namespace bnrun {
namespace {

class ChannelsLastPool final : public Op {
 public:
  ChannelsLastPool(Pooling kind, const std::optional<WindowAttributes>& window, bool count_include_pad)
      : kind_(kind), window_(window), count_include_pad_(count_include_pad) {}

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    if (!X.ranked()) return {X};
    if (X.rank() < 3) fail(ErrorCode::invalid_model, "X is {}, it needs spatial axes", to_string(X));
    Dims dims{X.dims->front()};
    if (window_) {
      const Dims kernel(window_->kernel_shape->begin(), window_->kernel_shape->end());
      for (const Dim& dim : window_->output_dims(Dims(X.dims->begin() + 1, X.dims->end() - 1), kernel))
        dims.push_back(dim);
    } else {
      dims.resize(X.rank() - 1, Dim(1));
    }
    dims.push_back(X.dims->back());
    return {{X.dtype, std::move(dims)}};
  }

  void run(const RunArgs& args) const override {
    dispatch(TypeList<float, double>{}, args.in(0).dtype, [&]<class T>() { run_as<T>(args); });
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    if (!args.inputs[0].ranked()) return std::nullopt;
    return AxisMap::leading(1, args.inputs[0].rank());
  }

 private:
  Window window_over(const Shape& input) const {
    if (window_) return window_->over(input, Shape(std::span<const std::int64_t>(*window_->kernel_shape)));
    Window window;
    for (const std::int64_t extent : input) window.axes.push_back({extent, 1, extent});
    return window;
  }

  /// Output o along `axis` has that many numbers in its mean.
  std::int64_t counted(const WindowAxis& axis, std::int64_t o) const {
    WindowAxis wide = axis;
    // Padding counts where it was asked for, not where ceil_mode lets the last window run past it.
    if (count_include_pad_) {
      wide.input += axis.pad_begin + axis.pad_end;
      wide.pad_begin = wide.pad_end = 0;
    }
    const auto [first, last] = wide.taps_inside(o);
    return last - first;
  }

  /// The lines of the input that one line of outputs meets, in the order of the taps, and how many numbers they add to
  /// a mean along the axes before the last.
  template <class T>
  std::int64_t meet(const Window& window, const T* image, std::int64_t line, std::int64_t channels,
                    TemporaryVector<const T*>& rows) const {
    std::int64_t count = 1;
    std::int64_t outputs = window.output().elements() / window.axes.back().output;
    std::int64_t inputs = window.input().elements() * channels;
    rows.assign(1, image);
    for (std::size_t i = 0; i + 1 < window.axes.size(); ++i) {
      const WindowAxis& axis = window.axes[i];
      outputs /= axis.output;
      inputs /= std::max<std::int64_t>(1, axis.input);
      const std::int64_t at = line / outputs % axis.output;
      const auto [first, last] = axis.taps_inside(at);
      const std::size_t outer = rows.size();
      for (std::size_t r = 0; r < outer; ++r) {
        for (std::int64_t k = first; k < last; ++k) rows.push_back(rows[r] + axis.position(at, k) * inputs);
      }
      rows.erase(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(outer));
      count *= counted(axis, at);
    }
    return count;
  }

  template <class T>
  void run_as(const RunArgs& args) const {
    const Shape& X = args.in(0).shape;
    const std::int64_t channels = X[X.rank() - 1];
    const Window window = window_over(Shape(std::span(X.begin() + 1, X.end() - 1)));
    const WindowAxis& along = window.axes.back();
    if (along.output == 0) return;
    const std::int64_t lines = window.output().elements() / along.output;
    TemporaryVector<std::int64_t> counts;
    counts.reserve(static_cast<std::size_t>(along.output));
    for (std::int64_t o = 0; o < along.output; ++o) counts.push_back(counted(along, o));
    const auto run_line = [&](std::int64_t index, TemporaryVector<const T*>& rows,
                              TemporaryVector<double>& divisors) {
      const T* image = args.in(0).data<T>() + index / lines * window.input().elements() * channels;
      const std::int64_t count = meet(window, image, index % lines, channels, rows);
      const PoolLine<T> line{rows, along, channels, args.out(0).data<T>() + index * along.output * channels};
      if (kind_ == Pooling::max) return pool_max(line);
      divisors.clear();
      for (const std::int64_t of_line : counts) divisors.push_back(static_cast<double>(count * of_line));
      pool_mean(line, divisors.data());
    };
    // In parts of some lines, which share what is allocated.
    const std::int64_t all = X[0] * lines;
    const std::int64_t part = std::max<std::int64_t>(1, all / (4 * args.workspace.threads()));
    args.workspace.parallel_for(ceil_div(all, part), [&](std::int64_t task, std::byte*) {
      TemporaryVector<const T*> rows;
      TemporaryVector<double> divisors;
      for (std::int64_t i = task * part; i < std::min(all, (task + 1) * part); ++i)
        run_line(i, rows, divisors);
    });
  }

  Pooling kind_;
  std::optional<WindowAttributes> window_;
  bool count_include_pad_;
};

}  // namespace

std::shared_ptr<const Op> make_channels_last_pool(Pooling kind, const std::optional<WindowAttributes>& window,
                                                  bool count_include_pad) {
  return std::make_shared<ChannelsLastPool>(kind, window, count_include_pad);
}

}  // namespace bnrun
