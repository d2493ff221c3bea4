// Random networks (support/random_graph.h) in ONNX Runtime, as they are and folded.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <cstdint>
#include <string>

namespace bnrun::testing {

struct RandomOptions {
  std::uint64_t seed = 1;
  std::uint64_t networks = 500;
  std::string keep;  ///< a folder for what they disagree on: models and inputs
};

/// ONNX Runtime on the original, ONNX Runtime on the folded model and bnrun each have to compute every output
/// within the bound that rounding allows around the result in double precision (support/error_bound.h), and
/// whatever ONNX Runtime runs it has to run folded. Prints what it finds; true when all holds.
bool compare_on_random_networks(Ort::Env& env, const RandomOptions& options);

}  // namespace bnrun::testing
