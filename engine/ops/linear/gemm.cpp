// Gemm: Y[M,N] = alpha * op(A)[M,K] * op(B)[K,N] + beta * C, C broadcast to [M,N].
#include <vector>

#include "affine/exact_sum.h"
#include "base/dispatch.h"
#include "base/fail.h"
#include "base/transpose.h"
#include "kernels/gemm/blas.h"
#include "op/op.h"
#include "op/shape_rules.h"
#include "ops/elementwise/broadcast.h"

namespace bnrun {
namespace {

class Gemm final : public Op {
 public:
  explicit Gemm(AttributeReader& node)
      : alpha_(node.get_float("alpha", 1.0)),
        beta_(node.get_float("beta", 1.0)),
        trans_a_(node.get_bool("transA", false)),
        trans_b_(node.get_bool("transB", false)),
        needs_broadcast_flag_(node.version() < 7) {
    if (node.version() < 11 && node.inputs() == 2)
      fail(ErrorCode::invalid_model,
           "before opset 11 a Gemm takes 3 inputs, the node has no C: export the model with opset 11 or "
           "later");
    check_inputs(node, node.version() < 11 ? 3 : 2, 3);
    // Before opset 7 C was stretched only with broadcast = 1; a C of full shape means the same either way.
    if (needs_broadcast_flag_) node.ignore("broadcast");
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& A = args.inputs[0];
    const ValueType& B = args.inputs[1];
    if (A.dtype != B.dtype)
      fail(ErrorCode::invalid_model, "A is {} and B is {}", name_of(A.dtype), name_of(B.dtype));
    if (args.present(2) && args.inputs[2].dtype != A.dtype)
      fail(ErrorCode::invalid_model, "A is {} and C is {}", name_of(A.dtype), name_of(args.inputs[2].dtype));
    for (const ValueType* matrix : {&A, &B}) {
      if (matrix->ranked() && matrix->rank() != 2) {
        fail(ErrorCode::invalid_model, "A and B must be matrices, one is {}", to_string(*matrix));
      }
    }
    const Dim M = A.ranked() ? (*A.dims)[trans_a_ ? 1 : 0] : Dim();
    const Dim N = B.ranked() ? (*B.dims)[trans_b_ ? 0 : 1] : Dim();
    if (A.ranked() && B.ranked()) {
      const Dim& k_of_A = (*A.dims)[trans_a_ ? 0 : 1];
      const Dim& k_of_B = (*B.dims)[trans_b_ ? 1 : 0];
      if (k_of_A.known() && k_of_B.known() && !(k_of_A == k_of_B)) {
        fail(ErrorCode::invalid_model, "A has {} columns, B has {} rows", k_of_A.extent(), k_of_B.extent());
      }
    }
    const ValueType Y{A.dtype, Dims{M, N}};
    if (args.present(2) && args.inputs[2].ranked()) {
      const Dims pair[] = {*args.inputs[2].dims, *Y.dims};
      const Dims stretched = broadcast_dims(pair);
      const bool grows = stretched.size() > 2 ||
                         (M == Dim(1) && stretched[0].known() && !(stretched[0] == M)) ||
                         (N == Dim(1) && stretched[1].known() && !(stretched[1] == N));
      if (grows)
        fail(ErrorCode::invalid_model, "C is {}, which does not broadcast to {}", to_string(args.inputs[2]),
             to_string(Y));
    }
    return {Y};
  }

  std::vector<ValueType> required_inputs(const FoldArgs& args) const override {
    auto types = inputs_of_one_type(args);
    const ValueType& B = args.inputs[1];
    if (types[0].ranked()) return types;
    types[0].dims.emplace(2);
    if (B.ranked() && B.rank() == 2) (*types[0].dims)[trans_a_ ? 0 : 1] = (*B.dims)[trans_b_ ? 1 : 0];
    return types;
  }

  DimProduct macs(const FoldArgs& args) const override {
    DimProduct macs = DimProduct::of(args.outputs[0]);
    const ValueType& A = args.inputs[0];
    return macs *= A.ranked() && A.rank() == 2 ? (*A.dims)[trans_a_ ? 0 : 1] : Dim();
  }

  void run(const RunArgs& args) const override {
    dispatch(NumericTypes{}, args.in(0).dtype, [&]<class T>() {
      if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) {
        // BLAS does not compute the product then, or does for few rows: a NaN in it would vanish, or not.
        if (alpha_ != 0.0) return run_blas<T>(args);
      }
      run_plain<T>(args);
    });
  }

  bool linear() const override { return true; }

  OrDeclined<Absorbed> absorb_affine(const ChannelAffine& before, const ChannelAffine& after,
                                     const FoldArgs& args) const override {
    const Tensor* B = args.constant(1);
    if (B == nullptr) return Declined{Decline::not_constant, "the weights are not constant"};
    if (!is_floating(B->dtype())) return Declined{Decline::type_mismatch, "integer weights"};
    const bool has_C = args.present(2) && beta_ != 0.0;
    if (has_C && args.constant(2) == nullptr)
      return Declined{Decline::not_constant, "the bias is not constant"};
    if (!before.uniform() && (before.axis != 1 || trans_a_))
      return Declined{Decline::axis_unproven, "not on the columns of A"};
    if (!after.uniform() && after.axis != 1)
      return Declined{Decline::axis_unproven, "not on the columns of the result"};
    const auto K = static_cast<std::size_t>(B->shape()[trans_b_ ? 1 : 0]);
    const auto N = static_cast<std::size_t>(B->shape()[trans_b_ ? 0 : 1]);
    const ChannelAffine s_in = before.on_axis(1, K);
    const ChannelAffine s_out = after.on_axis(1, N);

    // W'[k,n] = alpha*W[k,n]*s_in[k]*s_out[n];  c[n] = sum_k t_in[k]*alpha*W[k,n]
    std::vector<double> k_factors = s_in.scale;
    for (double& factor : k_factors) factor *= alpha_;
    const ScaledTensor W =
        trans_b_ ? ScaledTensor{*B, s_out.scale, k_factors} : ScaledTensor{*B, k_factors, s_out.scale};
    std::vector<ExactSum> carried(N);
    if (before.has_shift()) {
      for_each_element(W, [&](std::size_t row, std::size_t column, double w) {
        const auto [k, n] = trans_b_ ? std::pair(column, row) : std::pair(row, column);
        carried[n].add_product(s_in.shift[k], alpha_ * w);
      });
    }
    // C'[m,n] = (beta*C[m,n] + c[n])*s_out[n] + t_out[n]; one row unless C differs from row to row
    std::size_t rows = 1;
    std::vector<double> C(1, 0.0);
    Shape C_shape;
    if (has_C) {
      C = read_doubles(args.constant(2)->view());
      C_shape = args.constant(2)->shape();
      if (C_shape.rank() == 2) rows = static_cast<std::size_t>(C_shape[0]);
    }
    const Shape full{static_cast<std::int64_t>(rows), static_cast<std::int64_t>(N)};
    const Shape strides = broadcast_strides(C_shape, full);
    Tensor folded_C(DType::float64, rows == 1 ? Shape{full[1]} : full);
    for (std::size_t m = 0; m < rows; ++m) {
      for (std::size_t n = 0; n < N; ++n) {
        const auto at = static_cast<std::int64_t>(m) * strides[0] + static_cast<std::int64_t>(n) * strides[1];
        const double c = has_C ? beta_ * C[static_cast<std::size_t>(at)] : 0.0;
        folded_C.mutable_data<double>()[m * N + n] =
            (c + carried[n].value()) * s_out.scale[n] + s_out.shift[n];
      }
    }
    Absorbed absorbed;
    absorbed.inputs = {{1, W}, {2, {folded_C}}};
    absorbed.attributes = {{"alpha", 1.0F}, {"beta", 1.0F}};
    if (needs_broadcast_flag_) absorbed.attributes["broadcast"] = std::int64_t{1};
    return absorbed;
  }

  std::optional<DenseForm> as_dense(const FoldArgs& args) const override {
    const Tensor* B = args.constant(1);
    const bool has_C = args.present(2) && beta_ != 0.0;
    const Tensor* C = args.constant(2);
    // A product of 0 and NaN is NaN: what is not multiplied is left to run().
    if (B == nullptr || trans_a_ || alpha_ == 0.0 || (has_C && C == nullptr)) return std::nullopt;
    if (has_C && C->shape().rank() == 2 && C->shape()[0] != 1) return std::nullopt;
    std::optional<DenseForm> form;
    if (B->dtype() == DType::float32) form = dense_of<float>(*B, has_C ? C : nullptr);
    if (B->dtype() == DType::float64) form = dense_of<double>(*B, has_C ? C : nullptr);
    if (B->dtype() == DType::bfloat16) form = dense_of<BFloat16>(*B, has_C ? C : nullptr);
    const bool plain_bytes = !has_C && alpha_ == 1.0;
    if (B->dtype() == DType::int8 && plain_bytes) form = dense_of<std::int8_t>(*B, nullptr);
    if (B->dtype() == DType::uint8 && plain_bytes) form = dense_of<std::uint8_t>(*B, nullptr);
    return form;
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    const Tensor* C = args.constant(2);
    const bool row_of_C =
        args.present(2) && beta_ != 0.0 && (C == nullptr || (C->shape().rank() == 2 && C->shape()[0] != 1));
    if (trans_a_ || args.constant(1) == nullptr || row_of_C) return std::nullopt;
    return AxisMap::leading(1, 2);
  }

 private:
  template <class T>
  DenseForm dense_of(const Tensor& B, const Tensor* C) const {
    DenseForm form{B, {}, alpha_};
    if (trans_b_) {
      const std::int64_t N = B.shape()[0];
      const std::int64_t K = B.shape()[1];
      form.W = Tensor(B.dtype(), {K, N});
      transpose(B.data<T>(), N, K, 0, K, form.W.mutable_data<T>());
    }
    if (C != nullptr) {
      const std::int64_t N = form.W.shape()[1];
      form.b = Tensor(B.dtype(), {N});
      form.beta = beta_;
      T* b = form.b.mutable_data<T>();
      for (std::int64_t n = 0; n < N; ++n) b[n] = C->data<T>()[C->elements() == 1 ? 0 : n];
    }
    return form;
  }

  struct Extents {
    std::int64_t M, N, K;
  };
  Extents extents(const RunArgs& args) const {
    const Shape& A = args.in(0).shape;
    return {A[trans_a_ ? 1 : 0], args.out(0).shape[1], A[trans_a_ ? 0 : 1]};
  }

  template <class T>
  void run_blas(const RunArgs& args) const {
    const auto [M, N, K] = extents(args);
    const MutableTensorView& Y = args.out(0);
    const bool has_C = args.present(2) && beta_ != 0.0;
    if (has_C) {
      broadcast_apply<T, T, T>(args.in(2), Y, Y, [](T c, T) { return c; });
    }
    blas_gemm<T>(trans_a_ ? Transpose::yes : Transpose::no, trans_b_ ? Transpose::yes : Transpose::no, M, N,
                 K, static_cast<T>(alpha_), args.in(0).data<T>(), args.in(0).shape[1], args.in(1).data<T>(),
                 args.in(1).shape[1], has_C ? static_cast<T>(beta_) : T(0), Y.data<T>(), N);
  }

  /// fp16 and bf16 accumulate in float; integers wrap around, alpha and beta being read as integers.
  template <class T>
  void run_plain(const RunArgs& args) const {
    using Acc = std::conditional_t<std::is_integral_v<T>, std::uint64_t, ComputeType<T>>;
    const auto [M, N, K] = extents(args);
    const bool has_C = args.present(2) && beta_ != 0.0;
    const Shape c_strides = has_C ? broadcast_strides(args.in(2).shape, args.out(0).shape) : Shape{0, 0};
    const auto widen = [](T x) { return static_cast<Acc>(static_cast<ComputeType<T>>(x)); };
    const auto factor = [](double x) {
      if constexpr (std::is_integral_v<T>)
        return static_cast<Acc>(static_cast<std::int64_t>(x));
      else
        return static_cast<Acc>(x);
    };
    for (std::int64_t m = 0; m < M; ++m) {
      for (std::int64_t n = 0; n < N; ++n) {
        Acc sum{};
        for (std::int64_t k = 0; k < K; ++k) {
          sum += widen(args.in(0).data<T>()[trans_a_ ? k * M + m : m * K + k]) *
                 widen(args.in(1).data<T>()[trans_b_ ? n * K + k : k * N + n]);
        }
        sum *= factor(alpha_);
        if (has_C) sum += factor(beta_) * widen(args.in(2).data<T>()[m * c_strides[0] + n * c_strides[1]]);
        args.out(0).data<T>()[m * N + n] = T(static_cast<ComputeType<T>>(sum));
      }
    }
  }

  double alpha_;
  double beta_;
  bool trans_a_;
  bool trans_b_;
  bool needs_broadcast_flag_;
};

}  // namespace

std::unique_ptr<const Op> make_gemm(AttributeReader& node) {
  return std::make_unique<Gemm>(node);
}

}  // namespace bnrun
