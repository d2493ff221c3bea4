// Folding: BatchNormalization and its disguises into the weights next to them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bnrun/decline.h"
#include "bnrun/export.h"
#include "bnrun/model.h"

namespace bnrun {

/// A rewrite that folding applies besides folding BatchNormalization.
struct Simplification {
  std::string_view name;
  std::string_view what;  ///< one clause
};
BNRUN_API std::span<const Simplification> simplifications();

struct FoldOptions {
  /// Glob patterns over node names, to select the BatchNormalizations and disguises
  /// to fold (not the layers to fold into). A node without a name is matched by the
  /// name of its first output. An empty `only` selects all.
  std::vector<std::string> only;
  std::vector<std::string> skip;
  /// Simplifications to leave out, by name.
  std::vector<std::string> without;
  /// Calls convert_to_inference first. Otherwise nodes in training mode stay as they are.
  bool as_inference = false;
  /// Stops after this many rewrites, to find a faulty one by bisection.
  std::size_t max_rewrites = std::numeric_limits<std::size_t>::max();
  /// A map s*x + t in front of a layer whose shift would make the rounding error more than this many times as
  /// large, (3 + |t|)/3 for normalised data in +-3, goes in its centred form in that channel: s goes into the
  /// layer, and x - c with c = -t/s stays as a Sub whose name ends in "_centre". A 2.4th of it where x comes from
  /// an input of the model and so has no rounding errors of its own. Behind a layer nothing grows.
  double max_growth = 4.0;
  /// Weights and biases that the model holds as integers, in front of a DequantizeLinear, stay integers; what folds
  /// into such weights goes into their scale, and what does not fit there stays. Without it they are computed first:
  /// a model that is run and not written needs its weights as floating-point numbers anyway.
  bool keep_integers = true;
};

enum class FoldDirection {
  backward,  ///< into the linear operator that produces its input
  forward,   ///< into the linear operator that consumes its output
};

/// The largest magnitude of a constant of the linear operators that took a map, before and after.
struct Magnitude {
  double before = 0.0;
  double after = 0.0;
};

/// What became of one BatchNormalization, or of a chain of other operators that scales and shifts per channel
/// as one does (a Mul and an Add, say): a disguise.
struct FoldEntry {
  std::string name;  ///< of the node, or of the first of the chain that scales
  std::string form;  ///< "BatchNormalization", "Mul+Add", ...
  bool folded = false;
  std::string into;  ///< the linear operator that took it, e.g. "Gemm 'dense_1'"
  FoldDirection direction = FoldDirection::backward;
  Decline reason = Decline::not_affine;  ///< when not folded
  std::string detail;                    ///< what stops it; of both directions where each has its reason
  std::size_t channels = 0;
  double max_scale = 0.0;  ///< largest |scale|: the factor by which the weights of its channel grow
  std::size_t max_scale_channel = 0;
  Magnitude weights;  ///< when folded
  Magnitude bias;
  /// The largest growth of the rounding error over the channels; see FoldOptions::max_growth.
  double max_growth = 0.0;
  std::size_t flushed_denormals = 0;
  /// In so many channels a shift stays where the map stood: forward a Sub, for the sake of max_growth or where
  /// a shift cannot pass what a scale can (padding, say); backward an Add, for the latter.
  std::size_t centred_channels = 0;
};

/// One operator that computed as in training and now computes as at inference.
struct Conversion {
  std::string name;
  std::string op_type;
  std::string now;  ///< what it does now, one clause
};

struct ModelCounts {
  std::map<std::string, std::size_t> operators;  ///< operator name -> number of nodes
  std::size_t nodes = 0;
  std::int64_t parameters = 0;  ///< elements of floating-point constants

  friend bool operator==(const ModelCounts&, const ModelCounts&) = default;
};

struct FoldReport {
  std::vector<FoldEntry> entries;
  std::vector<Conversion> converted;         ///< with FoldOptions::as_inference
  std::vector<std::string> simplifications;  ///< what else was done, one line each
  ModelCounts before;
  ModelCounts after;
  std::size_t rewrites = 0;
  /// True when no BatchNormalization and no disguise of one is left.
  BNRUN_API bool complete() const;
  /// Whether anything was done to the model: folds, simplifications, conversions, computed constants.
  BNRUN_API bool changed() const;
};

BNRUN_API ModelCounts count(const Model& model);

/// Patterns of `only` and `skip` that match no node of the model: likely mistyped.
BNRUN_API std::vector<std::string> unmatched_patterns(const Model& model, const FoldOptions& options);

/// Switches training mode off, which a node may have by an attribute, a constant input or the outputs it
/// lists: BatchNormalization then normalises with its running statistics, and Dropout returns its input. A
/// node whose outputs besides Y are read stays as it is, and so do subgraphs. The outputs of the model
/// change unless no node was in training mode. Throws unsupported or invalid_model.
BNRUN_API std::vector<Conversion> convert_to_inference(Model& model);

/// Folds in place: the model becomes an equivalent standard ONNX model. Folding twice equals folding once.
/// Constants are computed in double and rounded to the storage type once. Inputs, outputs, their names and
/// types, metadata and opsets stay. Throws unsupported or invalid_model as loading does, and invalid_input
/// when `without` names no simplification; the model is then unchanged.
BNRUN_API FoldReport fold(Model& model, const FoldOptions& options = {});

}  // namespace bnrun
