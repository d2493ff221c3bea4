#include "program/lowering.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <variant>

#include "base/elements.h"
#include "program/convolution_op.h"
#include "program/fused_ops.h"

namespace bnrun {
namespace {

constexpr std::array kFloats = {DType::float32, DType::float64};
constexpr std::array kFloat32 = {DType::float32};
constexpr std::array kOfBytes = {DType::float32, DType::int8, DType::uint8};
#ifndef BNRUN_FEW_TARGETS
constexpr std::array kBfloat16 = {DType::bfloat16};
#endif

/// Y[M,N] = alpha * X[M,K] * W[K,N] + beta * b[N]. The rank of the input may be unknown where the operator tells that of its
/// output, which is the same.
std::optional<KernelForm> begin_dense(const Op& op, const FoldArgs& args, const IntegerProduct*) {
  auto dense = op.as_dense(args);
  if (!dense || !args.outputs[0].ranked()) return std::nullopt;
  const auto N = static_cast<std::size_t>(dense->W.shape()[1]);
  KernelForm form{.W = std::move(dense->W),
                  .affine = ChannelAffine{}.on_axis(static_cast<int>(args.outputs[0].rank()) - 1, N)};
  form.affine.scale.assign(N, dense->alpha);
  if (dense->b.defined()) form.affine.shift = read_doubles(dense->b);
  for (double& t : form.affine.shift) t *= dense->beta;
  return form;
}

/// Y[N,M,...] = X[N,C,...] convolved with W, plus b[M].
std::optional<KernelForm> begin_convolution(const Op& op, const FoldArgs& args, const IntegerProduct*) {
  auto convolution = op.as_convolution(args);
  if (!convolution || !has_convolution_kernel(*convolution)) return std::nullopt;
  // Its layout is told by its rank. A constant image lies with its channels first.
  if (!args.inputs[0].ranked() || args.constant(0) != nullptr) return std::nullopt;
  const auto M = static_cast<std::size_t>(convolution->W.shape()[0]);
  KernelForm form{.affine = ChannelAffine{}.on_axis(1, M)};
  if (convolution->b.defined()) form.affine.shift = read_doubles(convolution->b);
  form.convolution = std::move(convolution);
  return form;
}

/// The same in tiles of so many outputs, where these are the quickest.
template <std::int64_t kTile>
std::optional<KernelForm> begin_winograd(const Op& op, const FoldArgs& args, const IntegerProduct*) {
  auto form = begin_convolution(op, args, nullptr);
  if (!form || winograd_tile(*form->convolution, *args.outputs[0].dims) != kTile) return std::nullopt;
  return form;
}

/// Y = affine(sums of bytes), with or without a window that slides over them.
template <bool kSlides>
std::optional<KernelForm> begin_on_bytes(const Op&, const FoldArgs&, const IntegerProduct* integers) {
  if (integers == nullptr || integers->convolution.has_value() != kSlides) return std::nullopt;
  return KernelForm{.integers = *integers, .affine = integers->affine, .output = integers->output};
}

/// Y = scale[c] * X + shift[c].
std::optional<KernelForm> begin_affine(const Op& op, const FoldArgs& args, const IntegerProduct*) {
  auto map = op.as_affine(args);
  auto* affine = std::get_if<AffineForm>(&map);
  if (affine == nullptr || !args.only_first_output_used() || affine->affine.is_identity())
    return std::nullopt;
  return KernelForm{.input = affine->input, .affine = std::move(affine->affine)};
}

bool dense_fits(const KernelForm& form) {
  return epilogue_fits(form.W.dtype(), form.affine) && epilogue_fits(form.W.dtype(), form.behind) &&
         (form.behind.is_identity() || is_bend(form.activation));
}

bool convolution_fits(const KernelForm& form) {
  return epilogue_fits(form.convolution->W.dtype(), form.affine);
}

/// Sums of bytes are scaled in double.
bool bytes_fit(const KernelForm& form) {
  const auto finite = [](const std::vector<double>& numbers) {
    return std::ranges::all_of(numbers, [](double number) { return std::isfinite(number); });
  };
  return finite(form.affine.scale) && finite(form.affine.shift);
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

std::shared_ptr<const Op> make_on_bytes(const KernelForm& form, MatrixBackend) {
  return make_byte_op(*form.integers, form.affine, form.activation, form.output);
}

std::shared_ptr<const Op> make_affine(const KernelForm& form, MatrixBackend) {
  return make_channel_affine_op(form.affine, form.activation);
}

// Two affine maps without a dense layer are not fused: each rounds as its operator does.
constexpr std::array kTable = {
    KernelRow{.name = "dense, bytes",
              .types = kOfBytes,
              .begin = begin_on_bytes<false>,
              .takes_affine = true,
              .takes_activation = true,
              .takes_output = true,
              .fits = bytes_fit,
              .make = make_on_bytes},
    KernelRow{.name = "convolution, bytes",
              .types = kOfBytes,
              .begin = begin_on_bytes<true>,
              .takes_affine = true,
              .takes_activation = true,
              .takes_output = true,
              .channels_last = true,
              .fits = bytes_fit,
              .make = make_on_bytes},
    KernelRow{.name = "dense, packed",
              .types = kFloats,
              .begin = begin_dense,
              .takes_affine = true,
              .takes_activation = true,
              .takes_affine_behind = true,
              .fits = dense_fits,
              .make = make_dense},
#ifndef BNRUN_FEW_TARGETS  // the small library has no room for it
    KernelRow{.name = "dense, bfloat16",
              .types = kBfloat16,
              .begin = begin_dense,
              .takes_affine = true,
              .takes_activation = true,
              .fits = dense_fits,
              .make = make_bfloat16_dense},
#endif
    KernelRow{.name = "convolution, Winograd F(4x4,3x3)",
              .types = kFloat32,
              .begin = begin_winograd<4>,
              .takes_affine = true,
              .takes_activation = true,
              .takes_addend = true,
              .channels_last = true,
              .fast = true,
              .weights = 36.0 / 9.0,
              .fits = convolution_fits,
              .make = make_winograd<4>},
    KernelRow{.name = "convolution, Winograd F(2x2,3x3)",
              .types = kFloat32,
              .begin = begin_winograd<2>,
              .takes_affine = true,
              .takes_activation = true,
              .takes_addend = true,
              .channels_last = true,
              .fast = true,
              .weights = 16.0 / 9.0,
              .fits = convolution_fits,
              .make = make_winograd<2>},
    KernelRow{.name = "convolution, packed",
              .types = kFloats,
              .begin = begin_convolution,
              .takes_affine = true,
              .takes_activation = true,
              .takes_addend = true,
              .channels_last = true,
              .fits = convolution_fits,
              .make = make_convolution},
    KernelRow{.name = "affine map",
              .types = kFloats,
              .begin = begin_affine,
              .takes_activation = true,
              .fits = affine_fits,
              .make = make_affine},
};

}  // namespace

std::span<const KernelRow> kernel_table() {
  return kTable;
}

}  // namespace bnrun
