// Dense: Y[M,N] = X[M,K] * W[K,N] + b[N].
#pragma once

#include "train/layers/layer.h"

namespace bnrun::train {

//   dW = X' * dY,  db = column sums of dY,  dX = dY * W'
template <class T>
class DenseLayer final : public Layer<T> {
 public:
  DenseLayer(const Dense& spec, std::int64_t inputs);

  std::int64_t trainable() const override { return K() * N() + (spec_.use_bias ? N() : 0); }
  std::int64_t kernel_elements() const override { return K() * N(); }
  void bind(T* weights, T* gradients) override;
  void initialize(Random& random) override;
  void forward(std::int64_t rows, const T* x, T* y) override { infer(rows, x, y); }
  void infer(std::int64_t rows, const T* x, T* y) const override;
  void backward(std::int64_t rows, const T* x, const T* y, const T* dy, T* dx) override;
  std::vector<std::pair<std::string, Tensor>> weights() const override;

  /// For the layer that folds it: its weights, and where their gradients go; b and db are null without bias.
  const T* W() const { return W_; }
  const T* b() const { return b_; }
  T* dW() const { return dW_; }
  T* db() const { return db_; }

 private:
  std::int64_t K() const { return this->inputs(); }
  std::int64_t N() const { return this->outputs(); }

  Dense spec_;
  T* W_ = nullptr;
  T* b_ = nullptr;
  T* dW_ = nullptr;
  T* db_ = nullptr;
};

extern template class DenseLayer<float>;
extern template class DenseLayer<double>;

}  // namespace bnrun::train
