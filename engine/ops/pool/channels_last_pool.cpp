#include "ops/pool/channels_last_pool.h"

#include <algorithm>
#include <vector>

#include "base/dispatch.h"
#include "base/fail.h"
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

  template <class T>
  void run_as(const RunArgs& args) const {
    const Shape& X = args.in(0).shape;
    const std::int64_t channels = X[X.rank() - 1];
    const Window window = window_over(Shape(std::span(X.begin() + 1, X.end() - 1)));
    const std::int64_t outputs = window.output().elements();
    const std::int64_t line = window.axes.back().output;
    if (line == 0) return;
    args.workspace.parallel_for(X[0] * outputs / line, [&](std::int64_t index, std::byte*) {
      std::vector<const T*> taps;
      for (std::int64_t o = index * line; o < (index + 1) * line; ++o) {
        const T* image = args.in(0).data<T>() + o / outputs * window.input().elements() * channels;
        std::int64_t count = 1;
        taps.assign(1, image);
        std::int64_t inner = outputs;
        std::int64_t inner_inputs = window.input().elements();
        for (const WindowAxis& axis : window.axes) {
          inner /= axis.output;
          inner_inputs /= std::max<std::int64_t>(1, axis.input);
          const std::int64_t at = o / inner % axis.output;
          const auto [first, last] = axis.taps_inside(at);
          const std::size_t outer = taps.size();
          for (std::size_t i = 0; i < outer; ++i) {
            for (std::int64_t k = first; k < last; ++k)
              taps.push_back(taps[i] + axis.position(at, k) * inner_inputs * channels);
          }
          taps.erase(taps.begin(), taps.begin() + static_cast<std::ptrdiff_t>(outer));
          count *= counted(axis, at);
        }
        T* y = args.out(0).data<T>() + o * channels;
        if (kind_ == Pooling::max)
          pool_max(taps, channels, y);
        else
          pool_mean(taps, channels, static_cast<double>(count), y);
      }
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
