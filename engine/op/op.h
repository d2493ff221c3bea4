// Op: one ONNX operator at one version, and what others may ask of it.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "affine/channel_affine.h"
#include "affine/scaled_tensor.h"
#include "base/workspace.h"
#include "bnrun/tensor.h"
#include "kernels/math/activation.h"
#include "op/attributes.h"
#include "op/axes.h"
#include "op/dim_product.h"
#include "op/value_type.h"
#include "op/window.h"

namespace bnrun {

class Op;

/// What an operator may look at to tell the types of its outputs.
struct InferArgs {
  std::span<const ValueType> inputs;  ///< an absent optional input has dtype undefined
  /// As many as inputs: the elements of an input where they are known already, else undefined.
  std::span<const TensorView> values;
  std::size_t outputs = 1;  ///< how many outputs the node lists

  std::size_t count() const { return inputs.size(); }
  bool present(std::size_t i) const { return i < inputs.size() && inputs[i].dtype != DType::undefined; }
  /// The elements of input i, or nullptr while they are unknown (or the input is absent).
  const TensorView* value(std::size_t i) const {
    return i < values.size() && values[i].defined() ? &values[i] : nullptr;
  }
};

/// Where an operator whose output shape depends on its input's elements puts that output.
class OutputAllocator {
 public:
  virtual ~OutputAllocator() = default;
  /// Zero-filled elements for output i.
  virtual MutableTensorView allocate(std::size_t i, DType dtype, const Shape& shape) = 0;
};

/// Inputs and outputs of one execution. Outputs are allocated when `infer` gave them a static shape for these
/// inputs and otherwise undefined: then `run` calls `make`.
struct RunArgs {
  std::span<const TensorView> inputs;
  std::span<MutableTensorView> outputs;    ///< a trailing or unused optional output is undefined
  std::span<const TensorView> captures{};  ///< values of the graph around a subgraph, in Node::captures order
  OutputAllocator* allocator = nullptr;
  Workspace workspace{};  ///< threads that may help, and `Op::scratch_bytes` for each

  std::size_t count() const { return inputs.size(); }
  bool present(std::size_t i) const { return i < inputs.size() && inputs[i].defined(); }
  const TensorView& in(std::size_t i) const { return inputs[i]; }
  TensorView in_or_undefined(std::size_t i) const { return present(i) ? inputs[i] : TensorView{}; }
  const MutableTensorView& out(std::size_t i) const { return outputs[i]; }
  const MutableTensorView& make(std::size_t i, DType dtype, const Shape& shape) const {
    return outputs[i] = allocator->allocate(i, dtype, shape);
  }
};

/// What the fold may look at.
struct FoldArgs {
  std::span<const ValueType> inputs;
  std::span<const ValueType> outputs;
  std::span<const Tensor* const> constants;  ///< nullptr where an input is not constant
  std::span<const bool> output_used;         ///< has a reader or is a graph output
  /// A sum that passes a map backward gives the shift, and a product the scale, to its last operand instead of its
  /// first.
  bool shift_to_last = false;
  /// An operator that reads a part of a value (Slice, Gather) passes a map of all elements backward to that
  /// part alone.
  bool to_part_only = false;

  bool present(std::size_t i) const { return i < inputs.size() && inputs[i].dtype != DType::undefined; }
  const Tensor* constant(std::size_t i) const { return i < constants.size() ? constants[i] : nullptr; }
  bool only_first_output_used() const {
    for (std::size_t i = 1; i < output_used.size(); ++i) {
      if (output_used[i]) return false;
    }
    return true;
  }
};

/// The axes of an operator that works element by element on input 0.
inline std::optional<AxisMap> elementwise_axes(const FoldArgs& args) {
  return args.inputs[0].ranked() ? std::optional(AxisMap::identity(args.inputs[0].rank())) : std::nullopt;
}

/// "Output 0 is `affine` of input `input`."
struct AffineForm {
  std::size_t input = 0;
  ChannelAffine affine;
};

/// A linear operator that has taken affine maps into its constants.
struct Absorbed {
  /// Input index and its fresh constant; the driver rounds to the storage type, once.
  std::vector<std::pair<std::size_t, ScaledTensor>> inputs;
  Attributes attributes;  ///< attributes that change
  /// What still has to be applied to output 0: a shift, if the operator has no bias input.
  ChannelAffine remaining{};
};

/// A per-channel map of an operator's own constants that comes last in it, and the constants without that map.
struct OwnAffine {
  ChannelAffine affine;  ///< of output 0
  Absorbed without;
};

/// Y[M,N] = alpha * X[M,K] * W[K,N] + beta * b[N] with constant W and b, in the type the model stores.
struct DenseForm {
  Tensor W;  ///< [K,N], row-major
  Tensor b;  ///< [N], or undefined: no bias
  double alpha = 1.0;
  double beta = 1.0;
};

/// Y[N,M,...] = X[N,C,...] convolved with W[M,C/group,...], plus b[M], in the type the model stores.
struct ConvolutionForm {
  Tensor W;
  Tensor b;  ///< or undefined: no bias
  WindowAttributes window;
  std::int64_t group = 1;
};

/// How an operator computes where the channels of every data input X[N,C,D1,...] and of every output lie last,
/// X[N,D1,...,C].
struct ChannelsLast {
  std::shared_ptr<const Op> op;  ///< nullptr: this one as it is
  /// Constant inputs that change, or are read no more (undefined); other constants stay, all else is laid out anew.
  std::vector<std::pair<std::size_t, Tensor>> constants{};
};

/// How a node that computes as in training is changed to compute as at inference.
struct InferenceForm {
  Attributes attributes;   ///< those that change
  std::size_t inputs = 1;  ///< how many of its inputs stay; of its outputs, the first does
  std::string_view now;    ///< what it does then, one clause
};

/// One operator at one version, with its attributes as typed members. Immutable; every method is thread-safe.
/// Errors carry no node name: whoever holds the node adds it.
class Op {
 public:
  virtual ~Op() = default;

  /// Types of all outputs, as precise as the inputs allow. Throws
  /// invalid_model when the inputs do not fit the operator.
  virtual std::vector<ValueType> infer(const InferArgs& args) const = 0;
  /// What every valid model obeys about the types of this operator's inputs, told by those of the other inputs
  /// and of the outputs: one type for each input, or none at all. It is asked below an operator that the engine
  /// does not know, whose outputs have no type of their own.
  virtual std::vector<ValueType> required_inputs(const FoldArgs&) const { return {}; }
  /// Computes the outputs in a plain way: the reference for all compiled code. Throws `unsupported` for an
  /// element type that the operator lacks.
  virtual void run(const RunArgs& args) const = 0;

  /// The output of an operator that holds it as an attribute (Constant), so
  /// that it can be shared instead of copied. Else nullptr.
  virtual const Tensor* held_output() const { return nullptr; }

  /// False when equal inputs may give different outputs (random numbers), so that it is never computed ahead.
  virtual bool deterministic() const { return true; }

  /// Whether the outputs depend on the elements of this input, and not on its type and dimensions alone.
  virtual bool reads_elements(std::size_t /*input*/) const { return true; }

  /// Every element of the outputs is one of the inputs' or a constant of the operator: nothing is rounded.
  virtual bool copies() const { return false; }

  /// Output 0 as a per-channel affine map of one input, or why it is none. An operator that returns its input
  /// is the identity.
  virtual OrDeclined<AffineForm> as_affine(const FoldArgs&) const {
    return Declined{Decline::not_affine, {}};
  }

  /// Whether this is a BatchNormalization, which reports list by its own name whether it was folded or not.
  virtual bool is_normalisation() const { return false; }
  /// The map of input 0 to mean 0 and deviation 1, by the statistics of its data that the operator holds.
  virtual std::optional<ChannelAffine> standardisation(const FoldArgs&) const { return std::nullopt; }
  /// New constants and attributes with which this operator computes the given map; nullopt when it cannot.
  virtual std::optional<Absorbed> as_holder_of(const ChannelAffine&, const FoldArgs&) const {
    return std::nullopt;
  }

  /// The scale and bias of a normalisation by statistics of the data, which a layer behind it may take; nullopt
  /// where there are none, or no constant ones per channel.
  virtual std::optional<OwnAffine> own_affine(const FoldArgs&) const { return std::nullopt; }

  /// A linear operator in its data input 0: absorb_affine may succeed.
  virtual bool linear() const { return false; }
  /// A linear operator takes `before` (applied to its data input 0) and `after` (applied to its output 0),
  /// either possibly identity, into its constant weights; everything in double.
  virtual OrDeclined<Absorbed> absorb_affine(const ChannelAffine& /*before*/, const ChannelAffine& /*after*/,
                                             const FoldArgs&) const {
    return Declined{Decline::activation_between, {}};
  }

  /// Moves an affine map from one side of the operator to the other: op(affine(x)) ==
  /// passed(op(x)), for input 0 and output 0. By default an operator that only moves
  /// elements passes the map by its AxisMap (`carried`).
  virtual OrDeclined<ChannelAffine> pass_affine(Side from, const ChannelAffine& affine,
                                                const FoldArgs& args) const;
  /// The same for an operator with several data inputs or outputs (Add, Concat,
  /// Split). `maps` has one map for each input (from Side::input) or output; the
  /// result has one for each output or input that carries data.
  virtual OrDeclined<std::vector<ChannelAffine>> pass_affines(Side from, std::span<const ChannelAffine> maps,
                                                              const FoldArgs& args) const;

  /// How to change the node so that it computes as at inference; nullopt if it does already.
  virtual std::optional<InferenceForm> at_inference(const FoldArgs&) const { return std::nullopt; }

  /// For an operator that runs one of several subgraphs (If): the subgraph that the constant
  /// inputs choose, whose outputs are then those of the operator. Else nullptr.
  virtual std::shared_ptr<const Graph> chosen_branch(const FoldArgs&) const { return nullptr; }

  /// Where the axes of output 0 come from; nullopt where that is not known.
  virtual std::optional<AxisMap> axes(const FoldArgs&) const { return std::nullopt; }
  /// Row i (along axis 0) of every output that is used is computed from row i of each input that is no constant, all of
  /// which have equally many, and from constants, in the same way for every i. By default what `axes` says, where input 0
  /// is the only one that is no constant.
  virtual bool keeps_rows(const FoldArgs& args) const;
  /// Multiply-accumulates of matrix products and convolutions in one run: 0 for other operators, unknown
  /// where they depend on more than shapes.
  virtual DimProduct macs(const FoldArgs&) const { return DimProduct::zero(); }

  /// Output 0 is input 0 times input 1, by numpy's rules.
  virtual bool multiplies_matrices() const { return false; }
  /// Output 0 as a dense layer over the last axis of input 0 (leading axes are rows).
  virtual std::optional<DenseForm> as_dense(const FoldArgs&) const { return std::nullopt; }
  /// Output 0 as a convolution of input 0 with constant weights.
  virtual std::optional<ConvolutionForm> as_convolution(const FoldArgs&) const { return std::nullopt; }
  /// By default an operator that works element by element on input 0 does so wherever the elements lie.
  virtual std::optional<ChannelsLast> channels_last(const FoldArgs& args) const;
  /// Memory that `run` wants for each thread of its workspace; with less it allocates its own.
  virtual std::size_t scratch_bytes(std::span<const ValueType> /*inputs*/) const { return 0; }
  /// Output 0 as an activation of input 0.
  virtual std::optional<Activation> as_activation(const FoldArgs&) const { return std::nullopt; }
};

}  // namespace bnrun
