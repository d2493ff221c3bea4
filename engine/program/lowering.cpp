#include "program/lowering.h"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include "base/elements.h"
#include "program/convolution_op.h"
#include "program/fused_ops.h"

namespace bnrun {
namespace {

constexpr std::array kFloats = {DType::float32, DType::float64};
constexpr std::array kFloat32 = {DType::float32};
#ifndef BNRUN_FEW_TARGETS
constexpr std::array kBfloat16 = {DType::bfloat16};
#endif

/// Y[M,N] = X[M,K] * W[K,N] + b[N]. The rank of the input may be unknown where the operator tells that of its
/// output, which is the same.
std::optional<KernelForm> begin_dense(const Op& op, const FoldArgs& args) {
  auto dense = op.as_dense(args);
  if (!dense || !args.outputs[0].ranked()) return std::nullopt;
  const auto N = static_cast<std::size_t>(dense->W.shape()[1]);
  KernelForm form{0, std::move(dense->W), std::nullopt,
                  ChannelAffine{}.on_axis(static_cast<int>(args.outputs[0].rank()) - 1, N)};
  if (dense->b.defined()) form.affine.shift = read_doubles(dense->b);
  return form;
}

/// Y[N,M,...] = X[N,C,...] convolved with W, plus b[M].
std::optional<KernelForm> begin_convolution(const Op& op, const FoldArgs& args) {
  auto convolution = op.as_convolution(args);
  if (!convolution || !has_convolution_kernel(*convolution)) return std::nullopt;
  // Its layout is told by its rank. A constant image lies with its channels first.
  if (!args.inputs[0].ranked() || args.constant(0) != nullptr) return std::nullopt;
  const auto M = static_cast<std::size_t>(convolution->W.shape()[0]);
  KernelForm form{0, {}, std::nullopt, ChannelAffine{}.on_axis(1, M)};
  if (convolution->b.defined()) form.affine.shift = read_doubles(convolution->b);
  form.convolution = std::move(convolution);
  return form;
}

/// The same in tiles of so many outputs, where these are the quickest.
template <std::int64_t kTile>
std::optional<KernelForm> begin_winograd(const Op& op, const FoldArgs& args) {
  auto form = begin_convolution(op, args);
  if (!form || winograd_tile(*form->convolution, *args.outputs[0].dims) != kTile) return std::nullopt;
  return form;
}

/// Y = scale[c] * X + shift[c].
std::optional<KernelForm> begin_affine(const Op& op, const FoldArgs& args) {
  auto map = op.as_affine(args);
  auto* affine = std::get_if<AffineForm>(&map);
  if (affine == nullptr || !args.only_first_output_used() || affine->affine.is_identity())
    return std::nullopt;
  return KernelForm{affine->input, {}, std::nullopt, std::move(affine->affine)};
}

bool dense_fits(const KernelForm& form) {
  return epilogue_fits(form.W.dtype(), form.affine) && epilogue_fits(form.W.dtype(), form.behind) &&
         (form.behind.is_identity() || is_bend(form.activation));
}

bool convolution_fits(const KernelForm& form) {
  return epilogue_fits(form.convolution->W.dtype(), form.affine);
}

bool affine_fits(const KernelForm&) {
  return true;
}

std::shared_ptr<const Op> make_dense(const KernelForm& form, MatrixBackend backend) {
  return make_dense_op(form.W, form.affine, form.activation, form.behind, backend);
}

#ifndef BNRUN_FEW_TARGETS
std::shared_ptr<const Op> make_bfloat16_dense(const KernelForm& form, MatrixBackend) {
  return make_bfloat16_dense_op(form.W, form.affine, form.activation);
}
#endif

std::shared_ptr<const Op> make_convolution(const KernelForm& form, MatrixBackend) {
  return make_convolution_op(*form.convolution, form.affine, form.activation);
}

template <std::int64_t kTile>
std::shared_ptr<const Op> make_winograd(const KernelForm& form, MatrixBackend) {
  return make_winograd_op(kTile, *form.convolution, form.affine, form.activation);
}

std::shared_ptr<const Op> make_affine(const KernelForm& form, MatrixBackend) {
  return make_channel_affine_op(form.affine, form.activation);
}

// Two affine maps without a dense layer are not fused: each rounds as its operator does.
constexpr std::array kTable = {
    KernelRow{"dense, packed", kFloats, begin_dense, true, true, true, false, false, false, 1.0, dense_fits,
              make_dense},
#ifndef BNRUN_FEW_TARGETS  // the small library has no room for it
    KernelRow{"dense, bfloat16", kBfloat16, begin_dense, true, true, false, false, false, false, 1.0,
              dense_fits, make_bfloat16_dense},
#endif
    KernelRow{"convolution, Winograd F(4x4,3x3)", kFloat32, begin_winograd<4>, true, true, false, true, true,
              true, 36.0 / 9.0, convolution_fits, make_winograd<4>},
    KernelRow{"convolution, Winograd F(2x2,3x3)", kFloat32, begin_winograd<2>, true, true, false, true, true,
              true, 16.0 / 9.0, convolution_fits, make_winograd<2>},
    KernelRow{"convolution, packed", kFloats, begin_convolution, true, true, false, true, true, false, 1.0,
              convolution_fits, make_convolution},
    KernelRow{"affine map", kFloats, begin_affine, false, true, false, false, false, false, 1.0, affine_fits,
              make_affine},
};

}  // namespace

std::span<const KernelRow> kernel_table() {
  return kTable;
}

}  // namespace bnrun
