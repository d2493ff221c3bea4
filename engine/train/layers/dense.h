// Dense: Y[M,N] = X[M,K] * W[K,N] + b[N].
#pragma once

#include "train/layers/linear.h"

namespace bnrun::train {

template <class T>
class DenseLayer final : public LinearLayer<T> {
 public:
  DenseLayer(const Dense& spec, std::int64_t inputs);

  void use(ThreadPool* pool) override { pool_ = pool; }
  void forward(std::int64_t rows, const T* x, T* y) override;
  void infer(std::int64_t rows, const T* x, T* y) const override { this->multiply(rows, x, y); }
  void backward(std::int64_t rows, const T* x, const T* y, const T* dy, T* dx) override;

  void apply(const T* W, const T* b, std::int64_t rows, const T* x, T* y) const override {
    this->multiply(W, b, rows, x, y);
  }
  bool reads_whole() const override { return true; }
  void gather(std::int64_t rows, const T* x, T* panels) const override;
  void scatter(std::int64_t rows, const T* dpanels, T* dx) const override;
  Tensor kernel_tensor(const T* W) const override;

 private:
  ThreadPool* pool_ = nullptr;
};

extern template class DenseLayer<float>;
extern template class DenseLayer<double>;

}  // namespace bnrun::train
