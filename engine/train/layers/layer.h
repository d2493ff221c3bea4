// Layers over a scalar type: float to train, double to check gradients.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/thread_pool.h"
#include "bnrun/train_network.h"
#include "train/random.h"

namespace bnrun::train {

/// Which step of which training this is: what a Dropout draws depends on it.
struct Step {
  std::uint64_t seed = 0;
  std::uint64_t number = 0;
};

/// One layer: x[rows, inputs] to y[rows, outputs]. Its trainable weights and their gradients lie in arrays of
/// the whole network, so that an optimiser is one loop.
template <class T>
class Layer {
 public:
  Layer(std::int64_t inputs, std::int64_t outputs) : inputs_(inputs), outputs_(outputs) {}
  virtual ~Layer() = default;

  std::int64_t inputs() const { return inputs_; }
  std::int64_t outputs() const { return outputs_; }

  virtual std::int64_t trainable() const { return 0; }
  /// How many of them, from the first on, are a kernel, which is what a penalty on weights is for.
  virtual std::int64_t kernel_elements() const { return 0; }
  /// What training changes besides the trainable weights: running statistics and ranges.
  virtual std::span<double> statistics() { return {}; }
  /// Its `trainable()` elements of both arrays, which outlive the layer.
  virtual void bind(T* /*weights*/, T* /*gradients*/) {}
  virtual void initialize(Random& /*random*/) {}
  virtual void begin(const Step& /*step*/) {}
  /// What training may share its loops among; null: nothing. It outlives its use.
  virtual void use(ThreadPool* /*pool*/) {}
  /// Whether each row is a matter of its own, and `forward` and `backward` may be called with some of the rows
  /// by several threads at a time.
  virtual bool by_rows() const { return false; }
  /// From now on training computes with the running statistics and leaves them as they are.
  virtual void freeze_statistics(bool /*frozen*/) {}

  /// Training: batch statistics, running ones updated; keeps what `backward` needs besides x and y.
  virtual void forward(std::int64_t rows, const T* x, T* y) = 0;
  /// Inference.
  virtual void infer(std::int64_t rows, const T* x, T* y) const = 0;
  /// After `forward` of the same x and y: writes its gradients, and dx unless that is null.
  virtual void backward(std::int64_t rows, const T* x, const T* y, const T* dy, T* dx) = 0;

  /// The constants of its ONNX node, in the order of the node's inputs behind the first.
  virtual std::vector<std::pair<std::string, Tensor>> weights() const { return {}; }

 private:
  std::int64_t inputs_;
  std::int64_t outputs_;
};

/// The layer over rows that `shape_behind` accepted. Throws invalid_input when a number in `spec` makes no sense.
template <class T>
std::unique_ptr<Layer<T>> make_layer(const LayerSpec& spec, const Shape& below);

extern template std::unique_ptr<Layer<float>> make_layer(const LayerSpec&, const Shape&);
extern template std::unique_ptr<Layer<double>> make_layer(const LayerSpec&, const Shape&);

inline std::size_t count_of(std::int64_t elements) {
  return static_cast<std::size_t>(elements);
}

}  // namespace bnrun::train
