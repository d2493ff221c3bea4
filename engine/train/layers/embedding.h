// Embedding: learnt numbers in place of categories.
#pragma once

#include "train/layers/layer.h"

namespace bnrun::train {

/// x[rows, features], y[rows, other features and embeddings]; tables one after another as [values, width].
template <class T>
class EmbeddingLayer final : public Layer<T> {
 public:
  EmbeddingLayer(const Embedding& spec, std::int64_t features);

  std::int64_t trainable() const override { return tables_; }
  void bind(T* weights, T* gradients) override;
  void initialize(Random& random) override;
  void forward(std::int64_t rows, const T* x, T* y) override { infer(rows, x, y); }
  void infer(std::int64_t rows, const T* x, T* y) const override;
  void backward(std::int64_t rows, const T* x, const T* y, const T* dy, T* dx) override;
  /// "W_1", "W_2", ... [values + 1, width], the last row zeros.
  std::vector<std::pair<std::string, Tensor>> weights() const override;

 private:
  template <class F>
  void each_embedding(std::int64_t rows, const T* x, F visit) const;

  std::vector<Embedding::Column> columns_;
  std::vector<std::int64_t> others_;
  std::int64_t tables_ = 0;  // elements of all
  T* W_ = nullptr;
  T* dW_ = nullptr;
};

/// The features that are no categories, in order.
std::vector<std::int64_t> other_columns(const Embedding& spec, std::int64_t features);
/// Numbers in a row behind it. Throws invalid_input when a column is not there, or given twice.
std::int64_t width_behind(const Embedding& spec, std::int64_t features);

extern template class EmbeddingLayer<float>;
extern template class EmbeddingLayer<double>;

}  // namespace bnrun::train
