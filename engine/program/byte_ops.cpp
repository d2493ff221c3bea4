#include "program/byte_ops.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/fail.h"
#include "kernels/math/byte_sum.h"
#include "op/prepared.h"
#include "program/byte_products.h"
#include "program/convolution_op.h"

namespace bnrun {
namespace {

using Kind = Activation::Kind;

/// What bytes a number becomes behind the activation, as they are found operator by operator: what is cut off at a bound
/// becomes the byte of that.
ByteRange range_of(const ByteOutput& output, const Activation& activation) {
  ByteRange range{output.zero, output.is_signed};
  const auto bound = [&](double number) {
    const float steps = std::nearbyint(static_cast<float>(number) / static_cast<float>(output.scale));
    return output.zero + static_cast<std::int32_t>(std::clamp(steps, -1024.0F, 1024.0F));
  };
  if (activation.kind == Kind::relu) range.low = bound(0.0);
  if (activation.kind == Kind::clip) {
    range.high = bound(activation.beta);
    range.low = std::min(bound(activation.alpha), range.high);
  }
  return range;
}

DType type_of(const ByteOutput& output) {
  return output.is_signed ? DType::int8 : DType::uint8;
}

/// What becomes of rows of sums.
class ByteEpilogue {
 public:
  ByteEpilogue(const std::vector<std::int32_t>& bias, const ChannelAffine& affine,
               const Activation& activation, const std::optional<ByteOutput>& output)
      : dtype_(output ? type_of(*output) : DType::float32),
        scale_(scale_of(bias, affine, output ? output->scale : 1.0)),
        activation_(activation) {
    if (output) range_ = range_of(*output, activation);
  }

  DType dtype() const { return dtype_; }

  /// Row `first` of Y and those behind it.
  void finish(const std::int32_t* sums, std::int64_t rows, const MutableTensorView& Y,
              std::int64_t first) const {
    const std::int64_t N = scale_.columns();
    if (dtype_ != DType::float32) return requantize_rows(sums, rows, scale_, range_, bytes_of(Y) + first * N);
    float* y = Y.data<float>() + first * N;
    rescale_rows(sums, rows, scale_, y);
    if (activation_ != Activation{}) activate(activation_, std::span(y, static_cast<std::size_t>(rows * N)));
  }

 private:
  /// In steps of the output.
  static SumScale scale_of(const std::vector<std::int32_t>& bias, const ChannelAffine& affine, double step) {
    std::vector<double> factors = affine.scale;
    std::vector<double> shift = affine.shift;
    for (double& factor : factors) factor /= step;
    for (double& number : shift) number /= step;
    return SumScale(factors, bias, shift);
  }

  DType dtype_;
  SumScale scale_;
  Activation activation_;
  ByteRange range_;
};

/// What is known of the zero points of a layer.
struct ZeroPoints {
  DType x_type;
  std::int32_t x;
  std::vector<std::int32_t> W;

  void check(const ValueType& X) const {
    if (X.dtype != x_type)
      fail(ErrorCode::invalid_model, "X is {}, its zero point {}", name_of(X.dtype), name_of(x_type));
  }
};

class ByteDenseOp final : public Op {
 public:
  ByteDenseOp(ByteProduct layer, ZeroPoints zeros, ByteEpilogue epilogue)
      : layer_(std::move(layer)), zeros_(std::move(zeros)), epilogue_(std::move(epilogue)) {}

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    zeros_.check(X);
    ValueType Y{epilogue_.dtype(), X.dims};
    if (!X.ranked()) return {Y};
    if (X.rank() == 0 || (X.dims->back().known() && !(X.dims->back() == Dim(layer_.K()))))
      fail(ErrorCode::invalid_model, "X is {}, W has {} rows", to_string(X), layer_.K());
    Y.dims->back() = Dim(layer_.N());
    return {Y};
  }

  DimProduct macs(const FoldArgs& args) const override {
    DimProduct macs = DimProduct::of(args.outputs[0]);
    return macs *= Dim(layer_.K());
  }

  void run(const RunArgs& args) const override {
    layer_.run(
        args.in(0), zeros_.x, zeros_.W,
        [&](std::int64_t first, std::int64_t rows, const std::int32_t* sums) {
          epilogue_.finish(sums, rows, args.out(0), first);
        },
        args.workspace);
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    if (!args.inputs[0].ranked() || args.inputs[0].rank() < 2) return std::nullopt;
    return AxisMap::leading(args.inputs[0].rank() - 1, args.inputs[0].rank());
  }

 private:
  ByteProduct layer_;
  ZeroPoints zeros_;
  ByteEpilogue epilogue_;
};

class ByteConvolutionOp final : public Op {
 public:
  ByteConvolutionOp(WindowAttributes window, ByteConvolution layer, ZeroPoints zeros, ByteEpilogue epilogue)
      : window_(std::move(window)),
        layer_(std::move(layer)),
        zeros_(std::move(zeros)),
        epilogue_(std::move(epilogue)) {}

  std::vector<ValueType> infer(const InferArgs& args) const override {
    zeros_.check(args.inputs[0]);
    return {{epilogue_.dtype(),
             convolved_dims(window_, args.inputs[0], layer_.kernel(), layer_.C(), layer_.M())}};
  }

  void run(const RunArgs& args) const override {
    const TensorView& X = args.in(0);
    const Window window = window_.over(between_ends(X.shape), layer_.kernel());
    const std::int64_t positions = window.output().elements();
    layer_.run(window, X, true, zeros_.x, zeros_.W, args.workspace,
               [&](std::int64_t n, std::int64_t first, std::int64_t rows, const std::int32_t* sums) {
                 epilogue_.finish(sums, rows, args.out(0), n * positions + first);
               });
  }

  std::size_t scratch_bytes(std::span<const ValueType>) const override { return layer_.scratch_bytes(); }

  DimProduct macs(const FoldArgs& args) const override {
    DimProduct macs = DimProduct::of(args.outputs[0]);
    return macs *= Dim(layer_.macs_of_one());
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    if (!args.inputs[0].ranked()) return std::nullopt;
    return AxisMap::leading(1, args.inputs[0].rank());
  }

 private:
  WindowAttributes window_;
  ByteConvolution layer_;
  ZeroPoints zeros_;
  ByteEpilogue epilogue_;
};

/// Of two values of the same dimensions.
class ByteSumOp final : public Op, public WorksInParts {
 public:
  ByteSumOp(const IntegerSum& sum, const Activation& activation, const ByteOutput& output)
      : terms_(sum.terms), dtype_(type_of(output)), range_(range_of(output, activation)) {
    for (IntegerSum::Term& term : terms_) term.scale /= output.scale;
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    for (std::size_t i = 0; i < terms_.size(); ++i) {
      if (args.inputs[i].dtype != (terms_[i].is_signed ? DType::int8 : DType::uint8))
        fail(ErrorCode::invalid_model, "a term is {}", to_string(args.inputs[i]));
    }
    return {{dtype_, args.inputs[0].dims}};
  }

  void run(const RunArgs& args) const override {
    if (!(args.in(0).shape == args.in(1).shape))
      fail(ErrorCode::invalid_input, "what is added is {}, expected {}", to_string(args.in(1).shape),
           to_string(args.in(0).shape));
    const auto term = [&](std::size_t i) {
      return ByteTerm{bytes_of(args.in(i)), terms_[i].is_signed, terms_[i].zero, terms_[i].scale};
    };
    add_bytes(term(0), term(1), static_cast<std::size_t>(args.in(0).elements()), range_,
              bytes_of(args.out(0)));
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override { return elementwise_axes(args); }
  bool keeps_rows(const FoldArgs&) const override { return true; }
  bool has_parts(std::size_t, std::size_t) const override { return true; }
  std::optional<ChannelsLast> channels_last(const FoldArgs&) const override { return ChannelsLast{}; }

 private:
  std::array<IntegerSum::Term, 2> terms_;  ///< in steps of the output
  DType dtype_;
  ByteRange range_;
};

}  // namespace

bool is_bound(const Activation& activation) {
  return activation.kind == Kind::identity || activation.kind == Kind::relu ||
         (activation.kind == Kind::clip && !std::isnan(activation.alpha) && !std::isnan(activation.beta));
}

std::shared_ptr<const Op> make_byte_op(const IntegerProduct& product, const ChannelAffine& affine,
                                       const Activation& activation,
                                       const std::optional<ByteOutput>& output) {
  ByteEpilogue epilogue(product.bias, affine, activation, output);
  ZeroPoints zeros{product.x_type, product.x_zero, product.w_zeros};
  const TensorView W = product.W().view();
  if (product.convolution)
    return std::make_shared<ByteConvolutionOp>(product.convolution->window,
                                               ByteConvolution(W, product.convolution->group),
                                               std::move(zeros), std::move(epilogue));
  return std::make_shared<ByteDenseOp>(*ByteProduct::pack(W), std::move(zeros), std::move(epilogue));
}

std::shared_ptr<const Op> make_byte_sum_op(const IntegerSum& sum, const Activation& activation,
                                           const ByteOutput& output) {
  return std::make_shared<ByteSumOp>(sum, activation, output);
}

}  // namespace bnrun
