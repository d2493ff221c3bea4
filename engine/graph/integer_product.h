// Layers whose data and weights a model holds as bytes: operators that are defined so (QLinearConv), and those that have a
// DequantizeLinear in front of both; and sums of such numbers.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "affine/channel_affine.h"
#include "graph/graph.h"
#include "op/op.h"

namespace bnrun {

/// q = saturate(round half to even(x / scale) + zero), in int8 or uint8.
struct ByteOutput {
  double scale = 1.0;  ///< finite and above 0
  std::int32_t zero = 0;
  bool is_signed = false;
};

/// What a layer computes of bytes:
///   Y = affine(bias + sum of (x - x_zero) * (W - w_zeros)),
/// the sum being that of a matrix product or a convolution.
struct IntegerProduct {
  ValueId x;
  DType x_type = DType::undefined;  ///< int8 or uint8
  std::int32_t x_zero = 0;
  /// Bytes as well: X[..,K] * W[K,N], or a convolution with W[M,C/group,...]. No bias.
  std::optional<DenseForm> dense;
  std::optional<ConvolutionForm> convolution;
  std::vector<std::int32_t> w_zeros;  ///< one, or one for each output channel
  std::vector<std::int32_t> bias;     ///< likewise one for each; empty: 0
  /// x_scale * w_scale, and a bias that is held in no steps of these: on the axis of the output channels.
  ChannelAffine affine;
  std::optional<ByteOutput> output;  ///< where the operator makes bytes of Y

  const Tensor& W() const { return convolution ? convolution->W : dense->W; }
};

/// The node as a product of integers; nullopt where it is none, or its sums need not be exact in 32 bits. An int32 bias is
/// one of integers where its scale is x_scale * w_scale but for the rounding of that to float32.
std::optional<IntegerProduct> integer_product(const Graph& graph, NodeId id);

/// Whether a packed constant (is_packed) is read by products of integers alone, and so are all packed constants of these.
bool is_multiplied_as_integers(const Graph& graph, ValueId packed);

/// Y = (a - zero of a) * scale of a + (b - zero of b) * scale of b, of bytes and element by element.
struct IntegerSum {
  struct Term {
    ValueId bytes;
    bool is_signed = false;
    std::int32_t zero = 0;
    double scale = 1.0;  ///< finite
  };
  std::array<Term, 2> terms;
};

/// The node as a sum of what computed bytes of the same dimensions stand for; nullopt where it is none.
std::optional<IntegerSum> integer_sum(const Graph& graph, NodeId id);

/// The bytes that a node makes of its input 0 (QuantizeLinear), where all have one scale; nullopt where it makes none.
std::optional<ByteOutput> byte_output(const Graph& graph, NodeId id);

/// Whether a layer reads what computed integers stand for: whether it may be a product of integers once constants are known.
bool may_multiply_integers(const Graph& graph);

}  // namespace bnrun
