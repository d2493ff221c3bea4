// Stack: the layers of a network over one scalar type, with their weights, gradients and buffers.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "train/layer.h"
#include "train/loss.h"

namespace bnrun::train {

template <class T>
class Stack {
 public:
  Stack(std::int64_t inputs, std::span<const LayerSpec> specs);
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  std::int64_t inputs() const { return layers_.front()->inputs(); }
  std::int64_t outputs() const { return layers_.back()->outputs(); }
  const std::vector<std::unique_ptr<Layer<T>>>& layers() const { return layers_; }
  std::span<T> weights() { return weights_; }
  std::span<const T> weights() const { return weights_; }
  std::span<const T> gradients() const { return gradients_; }

  void initialize(Random& random);
  /// Forward in training mode and the loss of it. Buffers grow with the largest batch seen.
  double forward(const Batch<T>& batch);
  /// REQUIRES: `forward` of the same batch came before. Fills `gradients()`.
  void backward(const Batch<T>& batch);
  /// What the last `forward` gave: [rows, outputs].
  std::span<const T> output(const Batch<T>& batch) const;
  /// y[rows, outputs] of x[rows, inputs], in inference mode.
  void infer(std::int64_t rows, const T* x, T* y) const;

 private:
  void reserve(std::int64_t rows);

  bool softmax_;
  std::int64_t widest_ = 0;
  std::vector<std::unique_ptr<Layer<T>>> layers_;
  std::vector<T> weights_;
  std::vector<T> gradients_;
  std::int64_t reserved_rows_ = 0;
  std::vector<std::vector<T>> outputs_;  // of each layer
  std::vector<T> upper_, lower_;         // gradients above and below the layer at hand
};

extern template class Stack<float>;
extern template class Stack<double>;

}  // namespace bnrun::train
