// Reasons for which a fold is declined.
#pragma once

#include <string>
#include <string_view>

#include "bnrun/export.h"

namespace bnrun {

enum class Decline {
  not_affine,                   ///< the operator is no per-channel affine map, nothing to fold
  no_linear_neighbour,          ///< neither side leads to a linear operator with constant weights
  intermediate_used_elsewhere,  ///< a value that would change has a second reader
  intermediate_is_output,       ///< a value that would change is an output of the graph or read by a subgraph
  training_mode,                ///< the BatchNormalization computes batch statistics
  extra_outputs_used,           ///< another output of the BatchNormalization has a reader
  not_constant,                 ///< a parameter is an input of the graph, or an overridable initializer
  spatial,                      ///< spatial=0 with parameters that are not per channel
  axis_unproven,                ///< the channel axis cannot be proven
  shape_would_change,           ///< the affine map broadcasts its input to a larger shape
  activation_between,           ///< an operator that lets no affine map pass stands between
  padding,                      ///< a shift in front of a padded convolution
  bad_variance,                 ///< var + epsilon is not positive and finite
  overflow,                     ///< a folded weight or bias leaves the range of the storage type
  ill_conditioned,              ///< the error bound would grow beyond the limit
  type_mismatch,                ///< parameter types that cannot be combined without loss
  in_subgraph,                  ///< it stands in a subgraph: the body of a loop, the branch of an If
  switched_off,                 ///< the caller asked to leave it alone
  limit_reached,                ///< it would fold, but the limit of rewrites was reached
};

/// The name as it stands in reports, e.g. "intermediate_is_output".
BNRUN_API std::string_view name_of(Decline reason);
/// What would make the fold possible, as one clause that names
/// members of FoldOptions; empty when nothing would.
BNRUN_API std::string_view remedy_of(Decline reason);

struct Declined {
  Decline reason;
  std::string detail;  ///< which value, node or channel; may be empty
};

}  // namespace bnrun
