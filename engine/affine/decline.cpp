#include "bnrun/decline.h"

namespace bnrun {

std::string_view name_of(Decline reason) {
  switch (reason) {
    case Decline::not_affine:
      return "not_affine";
    case Decline::no_linear_neighbour:
      return "no_linear_neighbour";
    case Decline::intermediate_used_elsewhere:
      return "intermediate_used_elsewhere";
    case Decline::intermediate_is_output:
      return "intermediate_is_output";
    case Decline::training_mode:
      return "training_mode";
    case Decline::extra_outputs_used:
      return "extra_outputs_used";
    case Decline::not_constant:
      return "not_constant";
    case Decline::spatial:
      return "spatial";
    case Decline::axis_unproven:
      return "axis_unproven";
    case Decline::shape_would_change:
      return "shape_would_change";
    case Decline::activation_between:
      return "activation_between";
    case Decline::padding:
      return "padding";
    case Decline::bad_variance:
      return "bad_variance";
    case Decline::overflow:
      return "overflow";
    case Decline::ill_conditioned:
      return "ill_conditioned";
    case Decline::type_mismatch:
      return "type_mismatch";
    case Decline::in_subgraph:
      return "in_subgraph";
    case Decline::switched_off:
      return "switched_off";
    case Decline::limit_reached:
      return "limit_reached";
  }
  return "unknown";
}

std::string_view remedy_of(Decline reason) {
  switch (reason) {
    case Decline::no_linear_neighbour:
      return "put it next to a linear layer with constant weights";
    case Decline::intermediate_used_elsewhere:
      return "give the other reader its own copy of the layer";
    case Decline::intermediate_is_output:
      return "remove it from the outputs of the graph";
    case Decline::training_mode:
      return "export the model in inference mode, or fold with as_inference";
    case Decline::extra_outputs_used:
      return "drop the batch statistics from the graph";
    case Decline::not_constant:
      return "export the parameters as initializers that are not inputs";
    case Decline::spatial:
      return "export with one parameter per channel (spatial = 1)";
    case Decline::axis_unproven:
      return "export with known rank and channels, along the axis of the layer";
    case Decline::shape_would_change:
      return "give its constants no more dimensions than its input has";
    case Decline::activation_between:
      return "move it right next to the linear layer";
    case Decline::padding:
      return "put it behind the convolution";
    case Decline::bad_variance:
      return "repair the running variance";
    case Decline::overflow:
      return "store the weights in a wider type";
    case Decline::ill_conditioned:
      return "raise max_growth if the accuracy suffices";
    case Decline::type_mismatch:
      return "store all parameters in one type";
    case Decline::in_subgraph:
      return "export it outside of the loop or branch";
    case Decline::switched_off:
      return "let skip and only not leave it out";
    case Decline::limit_reached:
      return "raise max_rewrites";
    case Decline::not_affine:
      break;
  }
  return "";
}

}  // namespace bnrun
