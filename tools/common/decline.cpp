#include "common/decline.h"

#include <string_view>

namespace bnrun::cli {
namespace {

/// The options that set the members of FoldOptions which remedy_of() names.
std::string_view options_of(Decline reason) {
  switch (reason) {
    case Decline::training_mode:
      return "--as-inference";
    case Decline::ill_conditioned:
      return "--max-growth";
    case Decline::switched_off:
      return "--skip, --only";
    case Decline::limit_reached:
      return "--max-rewrites";
    default:
      return "";
  }
}

}  // namespace

std::string remedy_with_options(Decline reason) {
  std::string remedy(remedy_of(reason));
  if (const auto options = options_of(reason); !options.empty()) remedy += " (" + std::string(options) + ")";
  return remedy;
}

}  // namespace bnrun::cli
