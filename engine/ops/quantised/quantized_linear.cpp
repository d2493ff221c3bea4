// Matrix products and convolutions of 8-bit integers, exact in between:
//   MatMulInteger, ConvInteger: Y = (A - a_zero_point) * (B - b_zero_point), int32
//   QLinearMatMul, QLinearConv: y = saturate(round(that, plus B, * a_scale*b_scale/y_scale) + y_zero_point)
#include <algorithm>

#include "base/dispatch.h"
#include "base/fail.h"
#include "op/integers.h"
#include "op/prepared.h"
#include "op/shape_rules.h"
#include "ops/conv/convolution.h"
#include "ops/elementwise/broadcast.h"
#include "ops/linear/matmul_geometry.h"
#include "ops/quantised/quantize.h"
#include "program/byte_products.h"

namespace bnrun {
namespace {

using Bytes = TypeList<std::uint8_t, std::int8_t>;

/// A scale or zero point of a tensor of that rank with the shape that broadcasts over it: a single number,
/// one per index of `axis`, or already of the tensor's rank.
TensorView along(TensorView parameter, std::size_t rank, std::size_t axis) {
  if (parameter.elements() == 1) {
    parameter.shape = {};
  } else if (parameter.shape.rank() == 1) {
    const std::int64_t count = parameter.shape[0];
    parameter.shape = Shape::filled(rank, 1);
    parameter.shape[axis] = count;
  }
  return parameter;
}

/// `axis` of a matrix's rows (from the back: 2) or columns (1); a vector has only one.
std::size_t axis_from_back(const Shape& shape, std::size_t back) {
  return shape.rank() - std::min(back, shape.rank());
}

void check_stretches(const TensorView& parameter, const Shape& over) {
  if (parameter.shape.rank() > over.rank() || !(broadcast_shape(parameter.shape, over) == over))
    fail(ErrorCode::invalid_model, "a scale or zero point of shape {} does not fit {}",
         to_string(parameter.shape), to_string(over));
}

/// X - zero_point in int32.
TemporaryVector<std::int32_t> centred(const TensorView& X, const TensorView& zero_point, std::size_t axis) {
  TemporaryVector<std::int32_t> values(static_cast<std::size_t>(X.elements()));
  dispatch(Bytes{}, X.dtype, [&]<class Q>() {
    const Q zero{};
    TensorView z{X.dtype, {}, &zero};
    if (zero_point.defined()) z = along(zero_point, X.shape.rank(), axis);
    if (z.dtype != X.dtype)
      fail(ErrorCode::invalid_model, "a tensor is {}, its zero point {}", name_of(X.dtype), name_of(z.dtype));
    check_stretches(z, X.shape);
    broadcast_apply<Q, Q, std::int32_t>(X, z, {DType::int32, X.shape, values.data()},
                                        [](Q x, Q zero_of_x) { return std::int32_t{x} - zero_of_x; });
  });
  return values;
}

/// Sums in int64: K products of two 9-bit numbers never overflow it.
TemporaryVector<std::int64_t> multiply(const TensorView& A, const TensorView& a_zero, const TensorView& B,
                                       const TensorView& b_zero, std::int64_t elements) {
  const auto a = centred(A, a_zero, axis_from_back(A.shape, 2));
  const auto b = centred(B, b_zero, axis_from_back(B.shape, 1));
  TemporaryVector<std::int64_t> sums(static_cast<std::size_t>(elements), 0);
  for_each_product(A.shape, B.shape, [&](const MatrixProduct& p) {
    for (std::int64_t m = 0; m < p.M; ++m) {
      std::int64_t* row = sums.data() + p.Y + m * p.N;
      for (std::int64_t k = 0; k < p.K; ++k) {
        const std::int64_t factor = a[static_cast<std::size_t>(p.A + m * p.K + k)];
        const std::int32_t* from = b.data() + p.B + k * p.N;
        for (std::int64_t n = 0; n < p.N; ++n) row[n] += factor * from[n];
      }
    }
  });
  return sums;
}

TemporaryVector<std::int64_t> convolve(const ConvolutionAttributes& convolution, const TensorView& X,
                                       const TensorView& x_zero, const TensorView& W,
                                       const TensorView& w_zero) {
  const auto x = centred(X, x_zero, 0);
  const auto w = centred(W, w_zero, 0);
  const Window window = convolution.over(X.shape, W.shape);
  const auto table = window_table(window);
  const std::int64_t M = W.shape[0];
  const std::int64_t channels = W.shape[1];
  const std::int64_t taps = window.kernel().elements();
  const std::int64_t outputs = window.output().elements();
  const std::int64_t plane = window.input().elements();
  TemporaryVector<std::int64_t> sums(static_cast<std::size_t>(X.shape[0] * M * outputs), 0);
  for (std::int64_t i = 0; i < X.shape[0] * M; ++i) {
    const std::int64_t m = i % M;
    const std::int64_t first_channel = i / M * X.shape[1] + m / (M / convolution.group) * channels;
    for (std::int64_t row = 0; row < channels * taps; ++row) {
      const std::int64_t factor = w[static_cast<std::size_t>(m * channels * taps + row)];
      const std::int32_t* from = x.data() + (first_channel + row / taps) * plane;
      const std::int64_t* at = table.data() + row % taps * outputs;
      std::int64_t* to = sums.data() + i * outputs;
      for (std::int64_t o = 0; o < outputs; ++o) {
        if (at[o] != kPadding) to[o] += factor * from[at[o]];
      }
    }
  }
  return sums;
}

/// Y[i] = saturate(round(sums[i] * factor of i) + zero point)
void requantize(std::span<const std::int64_t> sums, std::span<const double> factors,
                const TensorView& zero_point, const MutableTensorView& Y) {
  if (zero_point.elements() != 1)
    fail(ErrorCode::unsupported, "an output quantised per row is not supported");
  dispatch(Bytes{}, Y.dtype, [&]<class Q>() {
    const Q zero = *zero_point.data<Q>();
    for (std::size_t i = 0; i < sums.size(); ++i)
      Y.data<Q>()[i] = quantized(static_cast<double>(sums[i]) * factors[i], zero);
  });
}

/// left * right / y_scale for every element of Y, each broadcast over it.
TemporaryVector<double> factors_over(const Shape& Y, const TensorView& left, const TensorView& right,
                                     const TensorView& y_scale) {
  if (y_scale.elements() != 1) fail(ErrorCode::unsupported, "an output quantised per row is not supported");
  for (const TensorView* scale : {&left, &right}) check_stretches(*scale, Y);
  const ElementsOf<double> l(left);
  const ElementsOf<double> r(right);
  const double y = first_element<double>(y_scale);
  TemporaryVector<double> factors(static_cast<std::size_t>(Y.elements()));
  broadcast_apply<double, double, double>(
      {DType::float64, left.shape, l.data()}, {DType::float64, right.shape, r.data()},
      {DType::float64, Y, factors.data()}, [y](double a, double b) { return a * b / y; });
  return factors;
}

void write_int32(std::span<const std::int64_t> sums, const MutableTensorView& Y) {
  std::ranges::transform(sums, Y.data<std::int32_t>(),
                         [](std::int64_t sum) { return static_cast<std::int32_t>(sum); });
}

/// The usual form of a product: Y's columns have one zero point of the weights each, or all the same. `to` is memory for
/// the sums, or takes them.
template <class To>
bool multiply_packed(const std::shared_ptr<const ByteProduct>& ahead, const RunArgs& args,
                     const TensorView& A, const TensorView& a_zero, const TensorView& B,
                     const TensorView& b_zero, const To& to) {
  if (A.shape.rank() == 0 || B.shape.rank() == 0) return false;
  const auto a = zero_points(A, a_zero, 1);
  const auto b = zero_points(B, b_zero, B.shape.rank() == 2 ? B.shape[1] : 1);
  if (!a || !b) return false;
  if (ahead != nullptr) {
    ahead->run(A, a->front(), *b, to, args.workspace);
    return true;
  }
  const auto packed = ByteProduct::pack(B);
  if (!packed) return false;
  packed->run(A, a->front(), *b, to, args.workspace);
  return true;
}

/// `op` with its constant weights packed ahead; nullptr where they are not constant or form a batch.
template <class Linear>
std::shared_ptr<const Op> with_packed_matrix(const Linear& op, const Tensor* B) {
  auto product = B != nullptr ? ByteProduct::pack(B->view()) : std::nullopt;
  if (!product) return nullptr;
  auto packed = std::make_shared<Linear>(op);
  packed->ahead = std::make_shared<const ByteProduct>(std::move(*product));
  return packed;
}

template <class Linear>
std::shared_ptr<const Op> with_packed_filters(const Linear& op, const Tensor* W) {
  if (W == nullptr || W->shape().rank() < 3 || !is_byte(W->dtype())) return nullptr;
  if (W->elements() == 0 || W->shape()[0] % op.convolution.group != 0)
    return nullptr;  // the run tells what is wrong
  auto packed = std::make_shared<Linear>(op);
  packed->ahead = std::make_shared<const ByteConvolution>(W->view(), op.convolution.group);
  return packed;
}

/// Whether all sums are exact in 32 bits and the parameters are one for all or one for each of `columns`; if so, the
/// factors of the columns.
std::optional<TemporaryVector<double>> column_factors(std::int64_t K, std::int64_t columns,
                                                      const TensorView& left, const TensorView& right,
                                                      const TensorView& y_scale, const TensorView& y_zero) {
  const bool of_columns = right.elements() == 1 || (right.elements() == columns && right.shape.rank() == 1);
  if (!is_exact_in_32_bits(K) || left.elements() != 1 || !of_columns || y_scale.elements() != 1 ||
      y_zero.elements() != 1)
    return std::nullopt;
  const double l = first_element<double>(left);
  const double y = first_element<double>(y_scale);
  const ElementsOf<double> r(right);
  TemporaryVector<double> factors(static_cast<std::size_t>(columns));
  for (std::size_t n = 0; n < factors.size(); ++n) factors[n] = l * r[r.size() == 1 ? 0 : n] / y;
  return factors;
}

/// What QLinearMatMul and QLinearConv have in common, where all but x is constant and of the usual form: without the
/// layer itself, which has so many `columns`.
std::optional<IntegerLayer> known_layer(const FoldArgs& args, std::int64_t columns) {
  if (args.inputs.size() < 8) return std::nullopt;
  for (std::size_t i = 1; i < args.inputs.size(); ++i) {
    if (args.present(i) && args.constant(i) == nullptr) return std::nullopt;
  }
  const auto scale_of = [&](const TensorView& of, std::size_t scale, std::size_t zero,
                            std::int64_t count) -> std::optional<IntegerScale> {
    const TensorView scales = args.constant(scale)->view();
    auto zeros = zero_points(of, args.constant(zero)->view(), count);
    const bool counts = scales.elements() == 1 || (scales.elements() == count && scales.shape.rank() == 1);
    if (!zeros || !counts) return std::nullopt;
    return IntegerScale{read_doubles(scales), {zeros->begin(), zeros->end()}};
  };
  auto x = scale_of({args.inputs[0].dtype}, 1, 2, 1);
  auto weights = scale_of(args.constant(3)->view(), 4, 5, columns);
  auto y = scale_of({args.outputs[0].dtype}, 6, 7, 1);
  if (!x || !weights || !y || args.constant(0) != nullptr || !args.inputs[0].ranked()) return std::nullopt;
  IntegerLayer layer{.x = std::move(*x), .weights = std::move(*weights), .y = std::move(*y)};
  if (args.present(8)) layer.B = *args.constant(8);
  if (layer.B.defined() && layer.B.elements() != columns) return std::nullopt;  // the run tells
  return layer;
}

std::int32_t zero_of(const TensorView& zero_point) {
  std::int32_t zero = 0;
  dispatch(Bytes{}, zero_point.dtype, [&]<class Q>() { zero = *zero_point.data<Q>(); });
  return zero;
}

/// Y[m, first + r] = rows[r, m], Y having `columns` columns.
template <class T>
void write_columns(const T* rows, std::int64_t count, std::int64_t M, T* Y, std::int64_t columns) {
  for (std::int64_t m = 0; m < M; ++m) {
    for (std::int64_t r = 0; r < count; ++r) Y[m * columns + r] = rows[r * M + m];
  }
}

struct MatMulInteger final : Op, PacksConstants {
  std::vector<ValueType> infer(const InferArgs& args) const override {
    return {{DType::int32, matmul_dims(args.inputs[0], args.inputs[1])}};
  }
  DimProduct macs(const FoldArgs& args) const override { return matmul_macs(args); }

  void run(const RunArgs& args) const override {
    const TensorView a_zero = args.in_or_undefined(2);
    const TensorView b_zero = args.in_or_undefined(3);
    const MutableTensorView& Y = args.out(0);
    if (multiply_packed(ahead, args, args.in(0), a_zero, args.in(1), b_zero, Y.data<std::int32_t>())) return;
    write_int32(multiply(args.in(0), a_zero, args.in(1), b_zero, Y.elements()), Y);
  }

  std::shared_ptr<const Op> packed(const FoldArgs& args) const override {
    return with_packed_matrix(*this, args.constant(1));
  }

  std::shared_ptr<const ByteProduct> ahead;  ///< input 1, where that is constant
};

struct QLinearMatMul final : Op, PacksConstants, MultipliesIntegers {
  std::vector<ValueType> infer(const InferArgs& args) const override {
    return {{args.inputs[7].dtype, matmul_dims(args.inputs[0], args.inputs[3])}};
  }
  DimProduct macs(const FoldArgs& args) const override { return matmul_macs(args); }

  void run(const RunArgs& args) const override {
    const MutableTensorView& Y = args.out(0);
    if (run_packed(args)) return;
    const auto sums = multiply(args.in(0), args.in(2), args.in(3), args.in(5), Y.elements());
    const auto factors =
        factors_over(Y.shape, along(args.in(1), Y.shape.rank(), axis_from_back(Y.shape, 2)),
                     along(args.in(4), Y.shape.rank(), axis_from_back(Y.shape, 1)), args.in(6));
    requantize(sums, factors, args.in(7), Y);
  }

  std::shared_ptr<const Op> packed(const FoldArgs& args) const override {
    return with_packed_matrix(*this, args.constant(3));
  }

  std::optional<IntegerLayer> integer_layer(const FoldArgs& args) const override {
    const Tensor* B = args.constant(3);
    if (B == nullptr || B->shape().rank() != 2 || B->elements() == 0) return std::nullopt;
    auto layer = known_layer(args, B->shape()[1]);
    if (layer) layer->dense = DenseForm{*B, {}};
    return layer;
  }

  std::shared_ptr<const ByteProduct> ahead;  ///< input 3, where that is constant

 private:
  bool run_packed(const RunArgs& args) const {
    const TensorView& B = args.in(3);
    const MutableTensorView& Y = args.out(0);
    if (B.shape.rank() == 0 || B.shape.rank() > 2 || Y.dtype != args.in(7).dtype) return false;
    const std::int64_t N = B.shape.rank() == 2 ? B.shape[1] : 1;
    const auto factors = column_factors(B.shape[0], N, args.in(1), args.in(4), args.in(6), args.in(7));
    if (!factors) return false;
    const SumScale scale(*factors);
    const ByteRange range{zero_of(args.in(7)), Y.dtype == DType::int8};
    const auto take = [&](std::int64_t first, std::int64_t rows, const std::int32_t* sums) {
      requantize_rows(sums, rows, scale, range, bytes_of(Y) + first * N);
    };
    return multiply_packed(ahead, args, args.in(0), args.in(2), B, args.in(5), TakeRows(take));
  }
};

struct ConvInteger final : Op, PacksConstants {
  explicit ConvInteger(AttributeReader& node) : convolution(ConvolutionAttributes::read(node)) {}

  std::vector<ValueType> infer(const InferArgs& args) const override {
    return {{DType::int32, convolution.infer_dims(args.inputs[0], args.inputs[1])}};
  }
  DimProduct macs(const FoldArgs& args) const override { return convolution_macs(args, 1); }

  void run(const RunArgs& args) const override {
    const TensorView& X = args.in(0);
    const TensorView& W = args.in(1);
    const MutableTensorView& Y = args.out(0);
    const auto x_zero = zero_points(X, args.in_or_undefined(2), 1);
    const auto w_zeros = zero_points(W, args.in_or_undefined(3), W.shape[0]);
    if (!x_zero || !w_zeros)
      return write_int32(convolve(convolution, X, args.in_or_undefined(2), W, args.in_or_undefined(3)), Y);
    const std::int64_t M = W.shape[0];
    const std::int64_t plane = Y.shape.elements(2, Y.shape.rank());
    std::optional<ByteConvolution> packed_now;
    if (ahead == nullptr) packed_now.emplace(W, convolution.group);
    const ByteConvolution& convolution_of_bytes = packed_now ? *packed_now : *ahead;
    convolution_of_bytes.run(
        convolution.over(X.shape, W.shape), X, false, x_zero->front(), *w_zeros, args.workspace,
        [&](std::int64_t n, std::int64_t first, std::int64_t rows, const std::int32_t* sums) {
          write_columns(sums, rows, M, Y.data<std::int32_t>() + n * M * plane + first, plane);
        });
  }

  std::shared_ptr<const Op> packed(const FoldArgs& args) const override {
    return with_packed_filters(*this, args.constant(1));
  }

  ConvolutionAttributes convolution;
  std::shared_ptr<const ByteConvolution> ahead;  ///< input 1, where that is constant
};

struct QLinearConv final : Op, PacksConstants, MultipliesIntegers {
  explicit QLinearConv(AttributeReader& node) : convolution(ConvolutionAttributes::read(node)) {}

  std::vector<ValueType> infer(const InferArgs& args) const override {
    if (args.present(8) && args.inputs[8].dtype != DType::int32)
      fail(ErrorCode::invalid_model, "B is {}, it must be int32", name_of(args.inputs[8].dtype));
    return {{args.inputs[7].dtype, convolution.infer_dims(args.inputs[0], args.inputs[3])}};
  }

  DimProduct macs(const FoldArgs& args) const override { return convolution_macs(args, 3); }

  void run(const RunArgs& args) const override {
    const MutableTensorView& Y = args.out(0);
    if (args.present(8)) {
      const std::int64_t biases = args.in(8).elements();
      const std::int64_t channels = Y.shape[1];
      if (biases != channels)
        fail(ErrorCode::invalid_model, "B has {} elements, Y has {} channels", biases, channels);
    }
    if (run_packed(args)) return;
    auto sums = convolve(convolution, args.in(0), args.in(2), args.in(3), args.in(5));
    if (args.present(8)) {
      const auto B = args.in(8).span<std::int32_t>();
      const auto plane = static_cast<std::size_t>(Y.shape.elements(2, Y.shape.rank()));
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += B[i / plane % B.size()];
    }
    const auto factors = factors_over(Y.shape, along(args.in(1), Y.shape.rank(), 1),
                                      along(args.in(4), Y.shape.rank(), 1), args.in(6));
    requantize(sums, factors, args.in(7), Y);
  }

  std::shared_ptr<const Op> packed(const FoldArgs& args) const override {
    return with_packed_filters(*this, args.constant(3));
  }

  std::optional<IntegerLayer> integer_layer(const FoldArgs& args) const override {
    const Tensor* W = args.constant(3);
    if (W == nullptr || W->shape().rank() < 3 || W->elements() == 0 || W->shape()[0] % convolution.group != 0)
      return std::nullopt;
    auto layer = known_layer(args, W->shape()[0]);
    if (layer) layer->convolution = ConvolutionForm{*W, {}, convolution.window, convolution.group};
    return layer;
  }

  ConvolutionAttributes convolution;
  std::shared_ptr<const ByteConvolution> ahead;  ///< input 3, where that is constant

 private:
  bool run_packed(const RunArgs& args) const {
    const TensorView& X = args.in(0);
    const TensorView& W = args.in(3);
    const MutableTensorView& Y = args.out(0);
    const std::int64_t M = W.shape[0];
    const auto x_zero = zero_points(X, args.in(2), 1);
    const auto w_zeros = zero_points(W, args.in(5), M);
    const auto factors = column_factors(W.shape.elements(1, W.shape.rank()), M, args.in(1), args.in(4),
                                        args.in(6), args.in(7));
    if (!x_zero || !w_zeros || !factors || Y.dtype != args.in(7).dtype) return false;
    const SumScale scale(*factors,
                         args.present(8) ? args.in(8).span<std::int32_t>() : std::span<const std::int32_t>());
    const ByteRange range{zero_of(args.in(7)), Y.dtype == DType::int8};
    const std::int64_t plane = Y.elements() / std::max<std::int64_t>(1, Y.shape[0] * M);
    std::optional<ByteConvolution> packed_now;
    if (ahead == nullptr) packed_now.emplace(W, convolution.group);
    const ByteConvolution& convolution_of_bytes = packed_now ? *packed_now : *ahead;
    convolution_of_bytes.run(
        convolution.over(X.shape, W.shape), X, false, x_zero->front(), *w_zeros, args.workspace,
        [&](std::int64_t n, std::int64_t first, std::int64_t rows, const std::int32_t* sums) {
          TemporaryBuffer<std::uint8_t> bytes(static_cast<std::size_t>(rows * M));
          requantize_rows(sums, rows, scale, range, bytes.data());
          write_columns(bytes.data(), rows, M, bytes_of(Y) + n * M * plane + first, plane);
        });
    return true;
  }
};

}  // namespace

std::unique_ptr<const Op> make_matmul_integer(AttributeReader& node) {
  check_inputs(node, 2, 4);
  return std::make_unique<MatMulInteger>();
}

std::unique_ptr<const Op> make_qlinear_matmul(AttributeReader& node) {
  check_inputs(node, 8, 8);
  return std::make_unique<QLinearMatMul>();
}

std::unique_ptr<const Op> make_conv_integer(AttributeReader& node) {
  check_inputs(node, 2, 4);
  return std::make_unique<ConvInteger>(node);
}

std::unique_ptr<const Op> make_qlinear_conv(AttributeReader& node) {
  check_inputs(node, 8, 9);
  return std::make_unique<QLinearConv>(node);
}

}  // namespace bnrun
