// Outputs whose distance is a multiple of the stride meet the same taps: those of one such phase r are a convolution of
// stride 1 with the taps k = r + stride*t, in reverse. With o + pad = stride*q + r,
//   Y[o] = sum over t of X[q - t] * W[r + stride*t].
#include "ops/conv/channels_last_transpose.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/fail.h"
#include "kernels/conv/convolution.h"

namespace bnrun {
namespace {

template <class T>
class ChannelsLastTranspose final : public Op {
 public:
  ChannelsLastTranspose(const Tensor& W, const Tensor* B, std::int64_t group, const Shape& strides,
                        AdjointAxis axis)
      : C_(W.shape()[0]),
        M_(W.shape()[1] * group),
        per_group_(W.shape()[1]),
        kernel_(std::span(W.shape().begin() + 2, W.shape().end())),
        stride_(strides),
        axis_(std::move(axis)) {
    typename Dense<T>::Epilogue epilogue;
    if (B != nullptr) epilogue.shift.assign(B->span<T>().begin(), B->span<T>().end());
    for (std::int64_t index = 0; index < stride_.elements(); ++index)
      phases_.push_back(make_phase(W, group, epilogue, index));
  }

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

  void run(const RunArgs& args) const override {
    const Shape& X = args.in(0).shape;
    const Shape& Y = args.out(0).shape;
    if (Y.elements() == 0) return;
    AlignedBuffer<T> part;
    for (const Phase& phase : phases_) {
      const Cut cut = cut_of(phase, X);
      const std::int64_t outputs = cut.window.output().elements();
      if (outputs == 0) continue;
      const auto elements = static_cast<std::size_t>(X[0] * outputs * M_);
      if (part.size() < elements) part = AlignedBuffer<T>(elements);
      phase.convolution.run(cut.window, X[0], args.in(0).data<T>(), nullptr, part.data(), args.workspace);
      spread(cut, X[0], part.data(), Y, args.out(0).data<T>());
    }
  }

  DimProduct macs(const FoldArgs& args) const override {
    DimProduct macs = DimProduct::of(args.inputs[0]);
    std::int64_t of_one = 0;
    for (const Phase& phase : phases_) of_one += phase.convolution.kernel().elements();
    return macs *= Dim(of_one * per_group_);
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    if (!args.inputs[0].ranked()) return std::nullopt;
    return AxisMap::leading(1, args.inputs[0].rank());
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

  std::int64_t C_;
  std::int64_t M_;
  std::int64_t per_group_;  ///< output channels
  Shape kernel_;
  Shape stride_;
  AdjointAxis axis_;
  std::vector<Phase> phases_;
};

}  // namespace

std::shared_ptr<const Op> make_channels_last_transpose(const Tensor& W, const Tensor* B, std::int64_t group,
                                                       const Shape& strides, const AdjointAxis& axis) {
  if (W.dtype() == DType::float32)
    return std::make_shared<ChannelsLastTranspose<float>>(W, B, group, strides, axis);
  return std::make_shared<ChannelsLastTranspose<double>>(W, B, group, strides, axis);
}

}  // namespace bnrun
