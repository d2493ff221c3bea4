#include "program/convolution_op.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/fail.h"
#include "kernels/conv/convolution.h"
#include "kernels/conv/winograd.h"
#include "kernels/conv/winograd_choice.h"
#include "op/prepared.h"
#include "op/shape_rules.h"
#include "program/fused_ops.h"

namespace bnrun {
namespace {

/// Of one input; they are kept on the stack.
constexpr std::size_t kMostParts = 128;

/// Kernel: Convolution or Winograd.
template <class Kernel>
class ConvolutionOp final : public Op, public ReadsInParts {
 public:
  using T = typename Kernel::Element;

  ConvolutionOp(WindowAttributes window, Kernel kernel)
      : window_(std::move(window)), kernel_(std::make_shared<const Kernel>(std::move(kernel))) {}

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType X = joined(args.inputs.first(parts_));
    if (X.dtype != dtype_of<T>)
      fail(ErrorCode::invalid_model, "X is {}, W is {}", name_of(X.dtype), name_of(dtype_of<T>));
    return {{X.dtype, convolved_dims(window_, X, kernel_->kernel(), kernel_->C(), kernel_->M())}};
  }

  void run(const RunArgs& args) const override {
    const Shape& X = args.in(0).shape;
    const bool adds = args.present(parts_);
    if (adds && !(args.in(parts_).shape == args.out(0).shape))
      fail(ErrorCode::invalid_input, "what is added is {}, expected {}", to_string(args.in(parts_).shape),
           to_string(args.out(0).shape));
    const Window window = window_.over(between_ends(X), kernel_->kernel());
    const T* addend = adds ? args.in(parts_).data<T>() : nullptr;
    if constexpr (kGathers) {
      if (prologue_ != nullptr) {
        std::array<ChannelPart<T>, kMostParts> parts;
        for (std::size_t i = 0; i < parts_; ++i)
          parts[i] = {args.in(i).data<T>(), args.in(i).shape[X.rank() - 1]};
        return kernel_->run(window, X[0], {{parts.data(), parts_}, prologue_.get()}, addend,
                            args.out(0).data<T>(), args.workspace);
      }
    }
    kernel_->run(window, X[0], args.in(0).data<T>(), addend, args.out(0).data<T>(), args.workspace);
  }

  std::size_t scratch_bytes(std::span<const ValueType> inputs) const override {
    if (!inputs[0].static_shape()) return 0;
    const Shape X = inputs[0].shape();
    const Window window = window_.over(between_ends(X), kernel_->kernel());
    if constexpr (kGathers)
      return kernel_->scratch_bytes(window, X[0], prologue_ != nullptr);
    else
      return kernel_->scratch_bytes(window, X[0]);
  }

  std::size_t parts() const override { return parts_; }

  std::shared_ptr<const Op> of_parts(std::size_t parts) const override {
    if (parts > kMostParts) return nullptr;
    auto op = prologue_ != nullptr ? std::make_shared<ConvolutionOp>(*this) : gathering(ChannelPrologue{});
    if (op != nullptr) op->parts_ = parts;
    return op;
  }

  /// Only the whole of what is read can have a prologue, and only one.
  std::shared_ptr<const Op> behind(const ChannelPrologue& prologue) const override {
    return prologue_ == nullptr ? gathering(prologue) : nullptr;
  }

  DimProduct macs(const FoldArgs& args) const override {
    DimProduct macs = DimProduct::of(args.outputs[0]);
    const Dim of_one[] = {Dim(kernel_->macs_of_one())};
    return macs *= DimProduct(of_one);
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    if (!args.inputs[0].ranked()) return std::nullopt;
    return AxisMap::leading(1, args.inputs[0].rank());
  }
  /// What is added has the rows of the output.
  bool keeps_rows(const FoldArgs&) const override { return true; }

 private:
  static constexpr bool kGathers = requires(const Kernel& kernel) { kernel.can_gather(); };

  /// The type of the channels of all parts one behind the other.
  static ValueType joined(std::span<const ValueType> parts) {
    ValueType X = parts[0];
    for (const ValueType& part : parts.subspan(1)) {
      if (!part.ranked() || !X.ranked()) return {X.dtype, std::nullopt};
      const bool alike =
          part.dtype == X.dtype && part.rank() == X.rank() &&
          std::equal(X.dims->begin(), X.dims->end() - 1, part.dims->begin(),
                     [](const Dim& a, const Dim& b) { return a == b || !a.known() || !b.known(); });
      if (!alike)
        fail(ErrorCode::invalid_model, "its inputs differ not only in their channels: {} and {}",
             to_string(parts[0]), to_string(part));
      for (std::size_t axis = 0; axis + 1 < X.rank(); ++axis) {
        if (!(*X.dims)[axis].known()) (*X.dims)[axis] = (*part.dims)[axis];
      }
      Dim& channels = X.dims->back();
      const Dim& more = part.dims->back();
      channels =
          channels.known() && more.known() ? Dim(sum_of_extents(channels.extent(), more.extent())) : Dim();
    }
    return X;
  }

  /// nullptr where the kernel cannot, or where the shift is no number of its type.
  std::shared_ptr<ConvolutionOp> gathering(const ChannelPrologue& prologue) const {
    if constexpr (kGathers) {
      const auto bound = Finish<T>::of(nullptr, nullptr, prologue.bound);
      const bool on_channels = prologue.shift.uniform() ||
                               (prologue.shift.axis == static_cast<int>(kernel_->kernel().rank()) + 1 &&
                                prologue.shift.channels() == static_cast<std::size_t>(kernel_->C()));
      if (!kernel_->can_gather() || bound.activation != nullptr || bound.bend != Finish<T>::Bend::clip ||
          !on_channels)
        return nullptr;
      Prologue<T> made{{}, bound.low, bound.high};
      for (std::int64_t c = 0; c < kernel_->C(); ++c) {
        const double shift = prologue.shift.shift[prologue.shift.uniform() ? 0 : static_cast<std::size_t>(c)];
        if (static_cast<double>(static_cast<T>(shift)) != shift) return nullptr;
        made.shift.push_back(shift == 0.0 ? -T(0) : static_cast<T>(shift));
      }
      auto op = std::make_shared<ConvolutionOp>(*this);
      op->prologue_ = std::make_shared<const Prologue<T>>(std::move(made));
      return op;
    } else {
      return nullptr;
    }
  }

  WindowAttributes window_;
  std::shared_ptr<const Kernel> kernel_;
  std::shared_ptr<const Prologue<T>> prologue_;  ///< null: X is read where it lies
  std::size_t parts_ = 1;                        ///< of X: inputs 0 ... parts_ - 1
};

template <class T>
ConvolutionWeights<T> weights_of(const ConvolutionForm& form) {
  const Shape& W = form.W.shape();
  return {W[1] * form.group, W[0], form.group, Shape(std::span(W.begin() + 2, W.end())), form.W.data<T>()};
}

template <class Kernel>
std::shared_ptr<const Op> op_of(const ConvolutionForm& form, Kernel kernel) {
  return std::make_shared<ConvolutionOp<Kernel>>(form.window, std::move(kernel));
}

template <class T>
std::shared_ptr<const Op> make(const ConvolutionForm& form, const ChannelAffine& affine,
                               const Activation& activation) {
  return op_of(form, Convolution<T>(weights_of<T>(form), epilogue_of<T>(affine, activation)));
}

}  // namespace

Shape between_ends(const Shape& shape) {
  return Shape(std::span(shape.begin() + 1, shape.end() - 1));
}

Dims convolved_dims(const WindowAttributes& window, const ValueType& X, const Shape& kernel, std::int64_t C,
                    std::int64_t M) {
  const std::size_t rank = kernel.rank() + 2;
  if (!X.ranked()) return Dims(rank);
  if (X.rank() != rank || (X.dims->back().known() && !(X.dims->back() == Dim(C))))
    fail(ErrorCode::invalid_model, "X is {} with its channels last, W takes {} channels and {} axes",
         to_string(X), C, rank - 2);
  Dims dims{X.dims->front()};
  const std::span spatial(X.dims->begin() + 1, X.dims->end() - 1);
  for (const Dim& dim : window.output_dims(spatial, Dims(kernel.begin(), kernel.end()))) dims.push_back(dim);
  dims.emplace_back(M);
  return dims;
}

bool has_convolution_kernel(const ConvolutionForm& form) {
  const bool known_type = form.W.dtype() == DType::float32 || form.W.dtype() == DType::float64;
  return known_type && form.W.shape().rank() <= 5 && form.W.shape().elements() > 0;
}

std::shared_ptr<const Op> make_convolution_op(const ConvolutionForm& form, const ChannelAffine& affine,
                                              const Activation& activation) {
  return form.W.dtype() == DType::float32 ? make<float>(form, affine, activation)
                                          : make<double>(form, affine, activation);
}

std::int64_t winograd_tile(const ConvolutionForm& form, const Dims& output) {
  const Shape& W = form.W.shape();
  if (form.W.dtype() != DType::float32 || form.group != 1 || W.rank() != 4 || W.elements() == 0) return 0;
  for (const std::size_t axis : {0, 1}) {
    if (W[2 + axis] != 3 || form.window.stride(axis) != 1 || form.window.dilation(axis) != 1) return 0;
  }
  const auto extent = [&](std::size_t axis) {
    constexpr std::int64_t kMiddling = 28;
    return axis < output.size() && output[axis].known() ? output[axis].extent() : kMiddling;
  };
  return quickest_winograd_tile({W[1], W[0], extent(2), extent(3)});
}

std::shared_ptr<const Op> make_winograd_op(std::int64_t tile, const ConvolutionForm& form,
                                           const ChannelAffine& affine, const Activation& activation) {
  return op_of(form, Winograd(tile, weights_of<float>(form), epilogue_of<float>(affine, activation)));
}

}  // namespace bnrun
