// In one of two ways. By phases: outputs whose distance is a multiple of the stride meet the same taps; those of one such
// phase r are a convolution of stride 1 with the taps k = r + stride*t, in reverse. With o + pad = stride*q + r,
//   Y[o] = sum over t of X[q - t] * W[r + stride*t].
// By products: each position meets all taps at once, a matrix of taps*M columns, and what lands on the same output is added.
// That leaves no vector half empty where M is small, and multiplies no padding where the image is.
#include "ops/conv/channels_last_transpose.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/fail.h"
#include "base/numbers.h"
#include "kernels/conv/convolution.h"
#include "kernels/conv/scratch.h"
#include "kernels/gemm/dense.h"

namespace bnrun {
namespace {

/// What both ways know of it.
template <class T>
class TransposedConv : public Op {
 public:
  TransposedConv(const Tensor& W, std::int64_t group, const Shape& strides, AdjointAxis axis)
      : C_(W.shape()[0]),
        M_(W.shape()[1] * group),
        per_group_(W.shape()[1]),
        kernel_(std::span(W.shape().begin() + 2, W.shape().end())),
        stride_(strides),
        axis_(std::move(axis)) {}

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    const std::size_t rank = kernel_.rank() + 2;
    if (!X.ranked()) return {{X.dtype, Dims(rank)}};
    if (X.rank() != rank || (X.dims->back().known() && !(X.dims->back() == Dim(C_))))
      fail(ErrorCode::invalid_model, "X is {} with its channels last, W takes {} channels and {} axes",
           to_string(X), C_, rank - 2);
    Dims dims{X.dims->front()};
    for (std::size_t i = 0; i < kernel_.rank(); ++i) {
      const Dim& extent = (*X.dims)[i + 1];
      dims.push_back(extent.known() ? Dim(axis_(i, extent.extent()).input) : Dim());
    }
    dims.emplace_back(M_);
    return {{X.dtype, std::move(dims)}};
  }

  DimProduct macs(const FoldArgs& args) const override {
    DimProduct macs = DimProduct::of(args.inputs[0]);
    return macs *= Dim(kernel_.elements() * per_group_);
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    if (!args.inputs[0].ranked()) return std::nullopt;
    return AxisMap::leading(1, args.inputs[0].rank());
  }

 protected:
  std::int64_t C_;
  std::int64_t M_;
  std::int64_t per_group_;  ///< output channels
  Shape kernel_;
  Shape stride_;
  AdjointAxis axis_;
};

template <class T>
class TransposeByPhases final : public TransposedConv<T> {
  using TransposedConv<T>::C_;
  using TransposedConv<T>::M_;
  using TransposedConv<T>::kernel_;
  using TransposedConv<T>::stride_;
  using TransposedConv<T>::axis_;

 public:
  TransposeByPhases(const Tensor& W, const Tensor* B, std::int64_t group, const Shape& strides,
                    AdjointAxis axis)
      : TransposedConv<T>(W, group, strides, std::move(axis)) {
    typename Dense<T>::Epilogue epilogue;
    if (B != nullptr) epilogue.shift.assign(B->span<T>().begin(), B->span<T>().end());
    for (std::int64_t index = 0; index < stride_.elements(); ++index)
      phases_.push_back(make_phase(W, group, epilogue, index));
  }

  void run(const RunArgs& args) const override {
    const Shape& X = args.in(0).shape;
    const Shape& Y = args.out(0).shape;
    if (Y.elements() == 0) return;
    TemporaryBuffer<T> part;
    for (const Phase& phase : phases_) {
      const Cut cut = cut_of(phase, X);
      const std::int64_t outputs = cut.window.output().elements();
      if (outputs == 0) continue;
      const auto elements = static_cast<std::size_t>(X[0] * outputs * M_);
      if (part.size() < elements) part = TemporaryBuffer<T>(elements);
      phase.convolution.run(cut.window, X[0], args.in(0).data<T>(), nullptr, part.data(), args.workspace);
      spread(cut, X[0], part.data(), Y, args.out(0).data<T>());
    }
  }

  std::size_t scratch_bytes(std::span<const ValueType> inputs) const override {
    if (!inputs[0].static_shape()) return 0;
    std::size_t most = 0;
    for (const Phase& phase : phases_) {
      const Cut cut = cut_of(phase, inputs[0].shape());
      if (cut.window.output().elements() != 0)
        most = std::max(most, phase.convolution.scratch_bytes(cut.window, inputs[0].shape()[0]));
    }
    return most;
  }

 private:
  struct Phase {
    Shape r;  ///< of each axis
    Convolution<T> convolution;
  };

  /// One phase of one run.
  struct Cut {
    Window window;
    Shape first;    ///< output of the phase along each axis
    Shape skipped;  ///< of the window's outputs, before it
  };

  Phase make_phase(const Tensor& W, std::int64_t group, const typename Dense<T>::Epilogue& epilogue,
                   std::int64_t index) const {
    Shape r = stride_;
    Shape taps = stride_;
    for (std::size_t i = r.rank(); i-- > 0; index /= stride_[i]) {
      r[i] = index % stride_[i];
      taps[i] = (kernel_[i] - 1 - r[i]) / stride_[i] + 1;
    }
    const std::int64_t in = C_ / group;
    const std::int64_t out = M_ / group;
    std::vector<T> filters;  // [M, C/group, taps]
    for (std::int64_t m = 0; m < M_; ++m) {
      for (std::int64_t c = 0; c < in; ++c) {
        const T* from = W.data<T>() + ((m / out * in + c) * out + m % out) * kernel_.elements();
        for (std::int64_t t = 0; t < taps.elements(); ++t) {
          std::int64_t at = 0;
          std::int64_t rest = taps.elements();
          for (std::size_t i = 0; i < taps.rank(); ++i) {
            rest /= taps[i];
            at = at * kernel_[i] + r[i] + stride_[i] * (taps[i] - 1 - t / rest % taps[i]);
          }
          filters.push_back(from[at]);
        }
      }
    }
    return {r, Convolution<T>({C_, M_, group, taps, filters.data()}, epilogue)};
  }

  Cut cut_of(const Phase& phase, const Shape& X) const {
    Cut cut{{}, stride_, stride_};
    for (std::size_t i = 0; i < stride_.rank(); ++i) {
      const WindowAxis adjoint = axis_(i, X[i + 1]);
      const std::int64_t taps = phase.convolution.kernel()[i];
      const std::int64_t s = stride_[i];
      const std::int64_t first = ((phase.r[i] - adjoint.pad_begin) % s + s) % s;
      const std::int64_t count = first < adjoint.input ? (adjoint.input - 1 - first) / s + 1 : 0;
      const std::int64_t pad = taps - 1 - (first + adjoint.pad_begin - phase.r[i]) / s;
      cut.first[i] = first;
      cut.skipped[i] = std::max<std::int64_t>(0, -pad);
      cut.window.axes.push_back(
          {X[i + 1], count == 0 ? 0 : count + cut.skipped[i], taps, 1, 1, std::max<std::int64_t>(0, pad), 0});
    }
    return cut;
  }

  /// Every position of the phase to where it lies in Y.
  void spread(const Cut& cut, std::int64_t batch, const T* part, const Shape& Y, T* to) const {
    const std::size_t last = stride_.rank() - 1;
    const Shape outputs = cut.window.output();
    const std::int64_t lines = outputs.elements() / outputs[last];
    for (std::int64_t index = 0; index < batch * lines; ++index) {
      std::int64_t line = 0;
      std::int64_t factor = 1;
      bool kept = true;
      std::int64_t rest = index;
      for (std::size_t i = last; i-- > 0; rest /= outputs[i]) {
        const std::int64_t at = rest % outputs[i] - cut.skipped[i];
        kept = kept && at >= 0;
        line += factor * (cut.first[i] + at * stride_[i]);
        factor *= Y[i + 1];
      }
      if (!kept) continue;
      const T* from = part + (index * outputs[last] + cut.skipped[last]) * M_;
      T* y = to + ((rest * factor + line) * Y[last + 1] + cut.first[last]) * M_;
      for (std::int64_t o = cut.skipped[last]; o < outputs[last]; ++o, from += M_, y += stride_[last] * M_)
        std::copy_n(from, M_, y);
    }
  }

  std::vector<Phase> phases_;
};

template <class T>
class TransposeByProducts final : public TransposedConv<T> {
  using TransposedConv<T>::C_;
  using TransposedConv<T>::M_;
  using TransposedConv<T>::kernel_;
  using TransposedConv<T>::stride_;
  using TransposedConv<T>::axis_;

 public:
  /// REQUIRES: W has one group.
  TransposeByProducts(const Tensor& W, const Tensor* B, const Shape& strides, AdjointAxis axis)
      : TransposedConv<T>(W, 1, strides, std::move(axis)),
        bias_(static_cast<std::size_t>(M_), T(0)),
        product_(C_, M_ * kernel_.elements(), by_taps(W).data(), {}, MatrixBackend::packed) {
    if (B != nullptr) std::ranges::copy(B->span<T>(), bias_.begin());
  }

  void run(const RunArgs& args) const override {
    if (args.out(0).shape.elements() == 0) return;
    const Plan plan = plan_of(args.in(0).shape, args.workspace.threads());
    const std::int64_t tasks = ceil_div(plan.batch, plan.images) * plan.bands;
    // A single task has all threads for its product.
    const Workspace threads = tasks == 1 ? args.workspace : Workspace();
    run_tasks(args.workspace, plan.scratch_bytes, tasks, [&](std::int64_t task, std::byte* scratch) {
      images(plan, task, args.in(0).data<T>(), reinterpret_cast<T*>(scratch), args.out(0).data<T>(), threads);
    });
  }

  std::size_t scratch_bytes(std::span<const ValueType> inputs) const override {
    if (!inputs[0].static_shape() || inputs[0].shape().elements() == 0) return 0;
    return plan_of(inputs[0].shape(), 1).scratch_bytes;
  }

 private:
  /// How one run is cut into tasks: each has some lines of one image, all positions behind axis 0, or some small images.
  struct Plan {
    std::int64_t batch;
    /// Of the adjoint: their input is Y. The last one is last, those there are not have one element.
    WindowAxis axes[3];
    std::int64_t images;  ///< of a task
    std::int64_t lines;   ///< of the output, in a task
    std::int64_t bands;
    std::size_t scratch_bytes;

    std::int64_t behind() const { return axes[1].output * axes[2].output; }
    std::int64_t outputs_behind() const { return axes[1].input * axes[2].input; }
    /// Lines of X that meet the outputs [first, last) along axis 0.
    std::pair<std::int64_t, std::int64_t> lines_of(std::int64_t first, std::int64_t last) const {
      const WindowAxis& axis = axes[0];
      const std::int64_t begin =
          ceil_div(std::max<std::int64_t>(0, first + axis.pad_begin - axis.kernel + 1), axis.stride);
      const std::int64_t end = std::min(axis.output, (last - 1 + axis.pad_begin) / axis.stride + 1);
      return {std::min(begin, end), end};
    }
  };

  Plan plan_of(const Shape& X, int threads) const {
    Plan plan{X[0], {}, 1, 0, 0, 0};
    for (WindowAxis& axis : plan.axes) axis = {1, 1};
    const std::size_t rank = kernel_.rank();
    for (std::size_t i = 0; i < rank; ++i) plan.axes[i == 0 ? 0 : 3 - rank + i] = axis_(i, X[i + 1]);
    // A task's products should stay in the second-level cache, and few lines of them be another's as well.
    constexpr std::int64_t kTaskBytes = std::int64_t{1} << 18;
    const WindowAxis& axis = plan.axes[0];
    const std::int64_t line_bytes = std::max<std::int64_t>(
        1, plan.behind() * kernel_.elements() * M_ * static_cast<std::int64_t>(sizeof(T)));
    const std::int64_t shared =
        std::max(X[0], std::int64_t{1}) < threads ? ceil_div(axis.input, threads) : axis.input;
    const std::int64_t most = std::max(4 * axis.kernel, kTaskBytes / line_bytes * axis.stride);
    plan.lines = std::max<std::int64_t>(1, std::min({axis.input, most, std::max(shared, 2 * axis.kernel)}));
    plan.bands = ceil_div(axis.input, plan.lines);
    const std::int64_t lines = std::min(axis.output, (plan.lines + axis.kernel - 2) / axis.stride + 1);
    // Fewer rows than a tile of the product has would go through all weights for themselves.
    constexpr std::int64_t kRowsOfTile = 14;
    if (plan.bands == 1)
      plan.images = ceil_div(kRowsOfTile, std::max<std::int64_t>(1, axis.output * plan.behind()));
    plan.scratch_bytes = static_cast<std::size_t>(plan.images == 1 ? lines * line_bytes
                                                                   : plan.images * axis.output * line_bytes);
    return plan;
  }

  void images(const Plan& plan, std::int64_t task, const T* X, T* products, T* Y,
              const Workspace& threads) const {
    const std::int64_t n = task / plan.bands * plan.images;
    const std::int64_t count = std::min(plan.images, plan.batch - n);
    const std::int64_t first = task % plan.bands * plan.lines;
    const std::int64_t last = std::min(first + plan.lines, plan.axes[0].input);
    const auto [begin, end] = plan.lines_of(first, last);
    const std::int64_t rows = (end - begin) * plan.behind();
    if (plan.images == 1) {
      product_.run(X + (n * plan.axes[0].output + begin) * plan.behind() * C_, rows, products, threads);
      return band(plan, n, first, last, products, Y);
    }
    // whole images, next to each other; lines that no output meets are multiplied as well
    const std::int64_t whole = plan.axes[0].output * plan.behind();
    product_.run(X + n * whole * C_, count * whole, products, threads);
    for (std::int64_t i = 0; i < count; ++i)
      band(plan, n + i, first, last, products + (i * whole + begin * plan.behind()) * kernel_.elements() * M_,
           Y);
  }

  /// The outputs [first, last) along axis 0 of image n; `products` of the lines that they meet.
  void band(const Plan& plan, std::int64_t n, std::int64_t first, std::int64_t last, const T* products,
            T* Y) const {
    const auto [begin, end] = plan.lines_of(first, last);
    const std::int64_t behind = plan.behind();
    const std::int64_t line = plan.outputs_behind() * M_;
    T* const y = Y + n * plan.axes[0].input * line;
    for (T* to = y + first * line; to != y + last * line; to += M_) std::ranges::copy(bias_, to);
    const auto& [a, b, c] = plan.axes;
    const std::int64_t taps_behind = b.kernel * c.kernel;
    for (std::int64_t i = begin; i < end; ++i) {
      for (std::int64_t k = 0; k < a.kernel; ++k) {
        const std::int64_t o = a.position(i, k);
        if (o >= first && o < last)
          add_planes(b, c, products + ((i - begin) * behind * kernel_.elements() + k * taps_behind) * M_,
                     y + o * line);
      }
    }
  }

  /// Adds the products of one plane of X with some taps of axis 0 to a plane of Y.
  void add_planes(const WindowAxis& b, const WindowAxis& c, const T* products, T* Y) const {
    const std::int64_t position = kernel_.elements() * M_;
    for (std::int64_t i = 0; i < b.output; ++i) {
      for (std::int64_t k = 0; k < b.kernel; ++k) {
        const std::int64_t o = b.position(i, k);
        if (o < 0 || o >= b.input) continue;
        const T* from = products + i * c.output * position + k * c.kernel * M_;
        T* const line = Y + o * c.input * M_;
        for (std::int64_t j = 0; j < c.output; ++j, from += position) {
          const std::int64_t at = c.position(j, 0);
          const std::int64_t end = std::min(c.kernel, c.input - at) * M_;
          for (std::int64_t e = std::max<std::int64_t>(0, -at) * M_; e < end; ++e)
            line[at * M_ + e] += from[e];
        }
      }
    }
  }

  /// W[C,M,taps] as [C, taps, M].
  static std::vector<T> by_taps(const Tensor& W) {
    const std::int64_t C = W.shape()[0];
    const std::int64_t M = W.shape()[1];
    const std::int64_t taps = C * M == 0 ? 0 : W.elements() / (C * M);
    std::vector<T> result(static_cast<std::size_t>(W.elements()));
    for (std::int64_t c = 0; c < C; ++c) {
      for (std::int64_t m = 0; m < M; ++m) {
        for (std::int64_t t = 0; t < taps; ++t)
          result[static_cast<std::size_t>((c * taps + t) * M + m)] = W.data<T>()[(c * M + m) * taps + t];
      }
    }
    return result;
  }

  std::vector<T> bias_;
  Dense<T> product_;
};

/// Whether products take less time for an image of these extents, as far as they are known.
template <class T>
bool prefers_products(const Tensor& W, const Shape& strides, const Dims& extents, const AdjointAxis& axis) {
  // A line of taps is added in some ten cycles, of as many multiply-adds, and a vector more in one; along one axis a tap is a line.
  constexpr double kLine = 10.0 * 2.0 * panel_columns<T>();
  constexpr double kVector = 2.0 * panel_columns<T>();
  const std::int64_t C = W.shape()[0];
  const std::int64_t M = W.shape()[1];
  const Shape kernel(std::span(W.shape().begin() + 2, W.shape().end()));
  double positions = 1.0;
  double outputs = 1.0;
  for (std::size_t i = 0; i < kernel.rank(); ++i) {
    const bool known = i < extents.size() && extents[i].known() && extents[i].extent() > 0;
    positions *= known ? static_cast<double>(extents[i].extent()) : 1.0;
    outputs *= static_cast<double>(known ? axis(i, extents[i].extent()).input : strides[i]);
  }
  const auto taps = static_cast<double>(kernel.elements());
  const auto columns = [](std::int64_t N) { return static_cast<double>(padded_columns<T>(N)); };
  const std::int64_t taps_of_line = kernel.rank() == 1 ? 1 : kernel.back();
  const double line = static_cast<double>(taps_of_line * M) / static_cast<double>(panel_columns<T>());
  const double products = positions * (static_cast<double>(C) * columns(M * kernel.elements()) +
                                       taps / static_cast<double>(taps_of_line) * (kLine + kVector * line));
  const double phases =
      outputs * taps / static_cast<double>(strides.elements()) * static_cast<double>(C) * columns(M);
  return products < phases;
}

template <class T>
std::shared_ptr<const Op> make(const Tensor& W, const Tensor* B, std::int64_t group, const Shape& strides,
                               const Dims& extents, const AdjointAxis& axis) {
  if (group == 1 && prefers_products<T>(W, strides, extents, axis))
    return std::make_shared<TransposeByProducts<T>>(W, B, strides, axis);
  return std::make_shared<TransposeByPhases<T>>(W, B, group, strides, axis);
}

}  // namespace

std::shared_ptr<const Op> make_channels_last_transpose(const Tensor& W, const Tensor* B, std::int64_t group,
                                                       const Shape& strides, const Dims& extents,
                                                       const AdjointAxis& axis) {
  return W.dtype() == DType::float32 ? make<float>(W, B, group, strides, extents, axis)
                                     : make<double>(W, B, group, strides, extents, axis);
}

}  // namespace bnrun
