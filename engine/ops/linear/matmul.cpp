// MatMul: Y[...,M,N] = A[...,M,K] * B[...,K,N] with numpy's rules for ranks and batches.
#include "affine/exact_sum.h"
#include "base/bytes.h"
#include "base/dispatch.h"
#include "base/fail.h"
#include "kernels/gemm/blas.h"
#include "op/op.h"
#include "op/shape_rules.h"
#include "ops/linear/matmul_geometry.h"

namespace bnrun {
namespace {

class MatMul final : public Op {
 public:
  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& A = args.inputs[0];
    const ValueType& B = args.inputs[1];
    if (A.dtype != B.dtype)
      fail(ErrorCode::invalid_model, "A is {} and B is {}", name_of(A.dtype), name_of(B.dtype));
    return {{A.dtype, matmul_dims(A, B)}};
  }

  std::vector<ValueType> required_inputs(const FoldArgs& args) const override {
    auto types = inputs_of_one_type(args);
    const ValueType& B = args.inputs[1];
    const ValueType& Y = args.outputs[0];
    // [..,M,K] times [K,N] is [..,M,N]; a vector times it is a vector.
    if (types[0].ranked() || !B.ranked() || B.rank() != 2 || !Y.ranked() || Y.rank() == 0) return types;
    types[0].dims = Y.dims;
    types[0].dims->back() = (*B.dims)[0];
    return types;
  }

  DimProduct macs(const FoldArgs& args) const override { return matmul_macs(args); }

  void run(const RunArgs& args) const override {
    dispatch(NumericTypes{}, args.in(0).dtype, [&]<class T>() {
      for_each_product(args.in(0).shape, args.in(1).shape, [&](const MatrixProduct& p) {
        multiply<T>(p.M, p.N, p.K, args.in(0).data<T>() + p.A, args.in(1).data<T>() + p.B,
                    args.out(0).data<T>() + p.Y);
      });
    });
  }

  bool linear() const override { return true; }
  bool multiplies_matrices() const override { return true; }

  /// W'[k,n] = W[k,n]*s_in[k]*s_out[n]; the shift (sum_k t_in[k]*W[k,n])*s_out[n] + t_out[n] stays as an Add.
  OrDeclined<Absorbed> absorb_affine(const ChannelAffine& before, const ChannelAffine& after,
                                     const FoldArgs& args) const override {
    const Tensor* B = args.constant(1);
    if (B == nullptr) return Declined{Decline::not_constant, "the weights are not constant"};
    if (B->shape().rank() != 2) return Declined{Decline::axis_unproven, "the weights are no matrix"};
    if (!is_floating(B->dtype())) return Declined{Decline::type_mismatch, "integer weights"};
    if (!args.inputs[0].ranked() || args.inputs[0].rank() < 2)
      return Declined{Decline::axis_unproven, "the rank of A is unknown or 1"};
    const int last = static_cast<int>(args.inputs[0].rank()) - 1;
    if (!before.uniform() && before.axis != last)
      return Declined{Decline::axis_unproven, "not on the last axis of A"};
    if (!after.uniform() && after.axis != last)
      return Declined{Decline::axis_unproven, "not on the last axis of the result"};
    const auto K = static_cast<std::size_t>(B->shape()[0]);
    const auto N = static_cast<std::size_t>(B->shape()[1]);
    const ChannelAffine s_in = before.on_axis(last, K);
    const ChannelAffine s_out = after.on_axis(last, N);
    Absorbed absorbed;
    absorbed.remaining = {last, std::vector<double>(N, 1.0), s_out.shift};
    const ScaledTensor W{*B, s_in.scale, s_out.scale};
    if (before.has_shift()) {
      std::vector<ExactSum> carried(N);
      for_each_element(
          W, [&](std::size_t k, std::size_t n, double w) { carried[n].add_product(s_in.shift[k], w); });
      for (std::size_t n = 0; n < N; ++n) absorbed.remaining.shift[n] += carried[n].value() * s_out.scale[n];
    }
    absorbed.inputs = {{1, W}};
    return absorbed;
  }

  /// Of two computed matrices, a scale along the rows of A or the columns of B, or of all elements, is one of
  /// the result along the same axis.
  OrDeclined<std::vector<ChannelAffine>> pass_affines(Side from, std::span<const ChannelAffine> maps,
                                                      const FoldArgs& args) const override {
    const auto at_factor = [&](std::size_t i, const ChannelAffine& map) -> std::optional<Declined> {
      if (map.has_shift()) return Declined{Decline::activation_between, {}};
      if (map.uniform()) return std::nullopt;
      const ValueType& Y = args.outputs[0];
      const ValueType& factor = args.inputs[i];
      const bool same_rank = Y.ranked() && factor.ranked() && Y.rank() == factor.rank() && Y.rank() > 1;
      if (!same_rank) return Declined{Decline::axis_unproven, "a factor is not proven to have its rank"};
      if (map.axis != static_cast<int>(Y.rank() - (i == 0 ? 2 : 1)))
        return Declined{Decline::activation_between, "not on the rows of A or the columns of B"};
      return std::nullopt;
    };
    if (from == Side::output) {
      const std::size_t taker = args.shift_to_last ? 1 : 0;
      if (auto declined = at_factor(taker, maps[0])) return std::move(*declined);
      std::vector<ChannelAffine> parts(2);
      parts[taker] = maps[0];
      return parts;
    }
    for (std::size_t i = 0; i < 2; ++i) {
      if (auto declined = at_factor(i, maps[i])) return std::move(*declined);
    }
    auto both = compose(maps[0], maps[1]);
    if (auto* declined = std::get_if<Declined>(&both)) return std::move(*declined);
    return std::vector{std::get<ChannelAffine>(std::move(both))};
  }

  std::optional<DenseForm> as_dense(const FoldArgs& args) const override {
    const Tensor* B = args.constant(1);
    if (B == nullptr || B->shape().rank() != 2 || !args.inputs[0].ranked() || args.inputs[0].rank() < 2)
      return std::nullopt;
    if (!is_byte(B->dtype()) && (!is_floating(B->dtype()) || B->dtype() == DType::float16))
      return std::nullopt;
    return DenseForm{*B, {}};
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    const Tensor* B = args.constant(1);
    const ValueType& A = args.inputs[0];
    if (B == nullptr || B->shape().rank() != 2 || !A.ranked() || A.rank() < 2) return std::nullopt;
    return AxisMap::leading(A.rank() - 1, A.rank());
  }

 private:
  template <class T>
  static void multiply(std::int64_t M, std::int64_t N, std::int64_t K, const T* A, const T* B, T* Y) {
    if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) {
      blas_gemm<T>(Transpose::no, Transpose::no, M, N, K, T(1), A, K, B, N, T(0), Y, N);
    } else {
      using Acc = std::conditional_t<std::is_integral_v<T>, std::uint64_t, ComputeType<T>>;
      const auto widen = [](T x) { return static_cast<Acc>(static_cast<ComputeType<T>>(x)); };
      for (std::int64_t m = 0; m < M; ++m) {
        for (std::int64_t n = 0; n < N; ++n) {
          Acc sum{};
          for (std::int64_t k = 0; k < K; ++k) sum += widen(A[m * K + k]) * widen(B[k * N + n]);
          Y[m * N + n] = T(static_cast<ComputeType<T>>(sum));
        }
      }
    }
  }
};

}  // namespace

std::unique_ptr<const Op> make_matmul(AttributeReader& node) {
  check_inputs(node, 2, 2);
  return std::make_unique<MatMul>();
}

}  // namespace bnrun
