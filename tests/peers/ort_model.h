// A model in ONNX Runtime as its best users run it: all graph optimisations, IoBinding between preallocated buffers.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <span>
#include <string>
#include <vector>

#include "bnrun/session.h"

namespace bnrun::testing {

/// One model, bound to buffers for one input.
class OrtModel {
 public:
  OrtModel(Ort::Env& env, const std::string& path, int threads);

  /// Copies `x` for the input of this name; outputs get the types and shapes of `like`.
  void bind(const std::string& input, const Tensor& x, std::span<const NamedTensor> like);
  /// Runs with numbers made up for a single row of the first input; the engine makes the outputs.
  void run_once(std::uint32_t seed);
  void run() { session_.Run(Ort::RunOptions{nullptr}, binding_); }
  const std::vector<Tensor>& outputs() const { return outputs_; }

 private:
  Ort::Session session_{nullptr};
  Ort::MemoryInfo memory_ = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  Ort::IoBinding binding_{nullptr};
  Tensor input_;
  std::vector<Tensor> outputs_;
};

/// The largest difference of an element; NaN where one is.
double largest_difference(std::span<const NamedTensor> a, std::span<const Tensor> b);

/// Numbers from -3 to 3.
Tensor random_batch(const Shape& shape, DType dtype, std::uint32_t seed);
/// What this input may be for a batch of so many rows. REQUIRES: its rank is known.
Tensor batch_for(const PortInfo& port, std::int64_t rows);

}  // namespace bnrun::testing
