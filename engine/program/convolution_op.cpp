#include "program/convolution_op.h"

#include <utility>

#include "base/fail.h"
#include "kernels/conv/convolution.h"
#include "kernels/conv/winograd.h"
#include "kernels/conv/winograd_choice.h"
#include "program/fused_ops.h"

namespace bnrun {
namespace {

/// Kernel: Convolution or Winograd.
template <class Kernel>
class ConvolutionOp final : public Op {
 public:
  using T = typename Kernel::Element;

  ConvolutionOp(WindowAttributes window, Kernel convolution)
      : window_(std::move(window)), convolution_(std::move(convolution)) {}

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    if (X.dtype != dtype_of<T>)
      fail(ErrorCode::invalid_model, "X is {}, W is {}", name_of(X.dtype), name_of(dtype_of<T>));
    return {{X.dtype, convolved_dims(window_, X, convolution_.kernel(), convolution_.C(), convolution_.M())}};
  }

  void run(const RunArgs& args) const override {
    const Shape& X = args.in(0).shape;
    if (args.present(1) && !(args.in(1).shape == args.out(0).shape))
      fail(ErrorCode::invalid_input, "what is added is {}, expected {}", to_string(args.in(1).shape),
           to_string(args.out(0).shape));
    const Window window = window_.over(between_ends(X), convolution_.kernel());
    convolution_.run(window, X[0], args.in(0).data<T>(), args.present(1) ? args.in(1).data<T>() : nullptr,
                     args.out(0).data<T>(), args.workspace);
  }

  std::size_t scratch_bytes(std::span<const ValueType> inputs) const override {
    if (!inputs[0].static_shape()) return 0;
    const Shape X = inputs[0].shape();
    return convolution_.scratch_bytes(window_.over(between_ends(X), convolution_.kernel()), X[0]);
  }

  DimProduct macs(const FoldArgs& args) const override {
    DimProduct macs = DimProduct::of(args.outputs[0]);
    const Dim of_one[] = {Dim(convolution_.macs_of_one())};
    return macs *= DimProduct(of_one);
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    if (!args.inputs[0].ranked()) return std::nullopt;
    return AxisMap::leading(1, args.inputs[0].rank());
  }
  /// What is added has the rows of the output.
  bool keeps_rows(const FoldArgs&) const override { return true; }

 private:
  WindowAttributes window_;
  Kernel convolution_;
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
