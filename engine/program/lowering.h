// The table of kernels: which one an operator becomes, for which types and constants, and what it fuses.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "affine/channel_affine.h"
#include "graph/integer_product.h"
#include "kernels/gemm/dense.h"
#include "kernels/math/activation.h"
#include "op/op.h"
#include "program/byte_ops.h"

namespace bnrun {

/// What one kernel computes: Y = behind(act(affine(core(X)) + addend)), X being one input of the operator it began with or
/// what that holds as bytes.
struct KernelForm {
  std::size_t input = 0;  ///< of the operator
  Tensor W{};             ///< core(X) = X * W; undefined: core(X) = X, or the convolution
  std::optional<ConvolutionForm> convolution{};
  std::optional<IntegerProduct> integers{};  ///< or core(X) = sums of bytes, and their bias
  ChannelAffine affine{};
  Activation activation{};
  ChannelAffine behind{};              ///< on the axis of `affine`, or the identity
  std::optional<ByteOutput> output{};  ///< of Y in these bytes
};

/// One row of the table.
struct KernelRow {
  std::string_view name;
  std::span<const DType> types;  ///< of the operator's output
  /// The operator as this kernel sees it, or the product of integers that it is; nullopt where it cannot be one.
  std::optional<KernelForm> (*begin)(const Op& op, const FoldArgs& args, const IntegerProduct* integers);
  bool takes_affine = false;         ///< maps behind it become part of the form
  bool takes_activation = false;     ///< so does one activation behind those
  bool takes_affine_behind = false;  ///< and maps behind the activation
  bool takes_output = false;         ///< and a quantisation to bytes behind an activation that is a bound
  bool takes_addend = false;         ///< and before it a value of the same type: input 1 of what is made
  bool channels_last = false;        ///< what is made has its channels last, and there is none for BLAS
  bool fast = false;     ///< rounds otherwise than the rows behind it: only where that is asked for
  double weights = 1.0;  ///< numbers that what is made holds for each one of W
  bool (*fits)(const KernelForm& form);  ///< into the element type: what `make` needs
  /// Packs what is constant, which takes time and memory: once it is known how long the form gets.
  std::shared_ptr<const Op> (*make)(const KernelForm& form, MatrixBackend backend);
};

/// In order of preference: the first row that can begin with an operator takes it.
std::span<const KernelRow> kernel_table();

}  // namespace bnrun
