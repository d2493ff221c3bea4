// Layers that multiply by a kernel: Dense, and Conv2D, which does it with what each window sees.
#pragma once

#include "train/layers/layer.h"

namespace bnrun::train {

//   H[M,N] = P[M,K] * W[K,N] + b[N];  dW = P' * dH,  db = column sums of dH,  dP = dH * W'
/// P are the panels of the input: it itself, or its windows.
template <class T>
class LinearLayer : public Layer<T> {
 public:
  std::int64_t trainable() const final { return K_ * N_ + (use_bias_ ? N_ : 0); }
  std::int64_t kernel_elements() const final { return K_ * N_; }
  void bind(T* weights, T* gradients) final;
  void initialize(Random& random) final;
  std::vector<std::pair<std::string, Tensor>> weights() const final;

  std::int64_t K() const { return K_; }
  std::int64_t N() const { return N_; }
  /// Rows of the product for each row of a batch.
  std::int64_t positions() const { return this->outputs() / N_; }

  /// For the layer that folds it: its weights, and where their gradients go; b and db are null without bias.
  const T* W() const { return W_; }
  const T* b() const { return b_; }
  T* dW() const { return dW_; }
  T* db() const { return db_; }

  /// Whether the panels are the input itself.
  virtual bool reads_whole() const = 0;
  /// P of these rows of x.
  virtual void gather(std::int64_t rows, const T* x, T* panels) const = 0;
  /// dx of dP.
  virtual void scatter(std::int64_t rows, const T* dpanels, T* dx) const = 0;
  /// H of P, with the layer's own weights or such.
  void multiply(std::int64_t M, const T* P, T* H) const { multiply(W_, b_, M, P, H); }
  void multiply(const T* W, const T* b, std::int64_t M, const T* P, T* H) const;
  /// y of x with such weights, at inference.
  virtual void apply(const T* W, const T* b, std::int64_t rows, const T* x, T* y) const = 0;
  /// Such a kernel as its ONNX node has it.
  virtual Tensor kernel_tensor(const T* W) const = 0;

 protected:
  struct Kernel {
    std::int64_t K = 0;
    std::int64_t N = 0;
    std::int64_t window = 1;  ///< pixels that K counts
    bool use_bias = true;
    Initializer initializer = Initializer::glorot_uniform;
    double initial_scale = 1.0;
    const char* name = "";  ///< of the layer, in messages
  };
  LinearLayer(std::int64_t inputs, std::int64_t outputs, const Kernel& kernel);

  /// dW = beta * dW + P' * dH into `dW`.
  void kernel_gradient(std::int64_t M, const T* P, const T* dH, T beta, T* dW) const;
  /// Into `db` [N].
  void bias_gradient(std::int64_t M, const T* dH, T* db) const;
  void panel_gradient(std::int64_t M, const T* dH, T* dP) const;

 private:
  std::int64_t K_;
  std::int64_t N_;
  std::int64_t window_;
  bool use_bias_;
  Initializer initializer_;
  double initial_scale_;
  T* W_ = nullptr;
  T* b_ = nullptr;
  T* dW_ = nullptr;
  T* db_ = nullptr;
};

extern template class LinearLayer<float>;
extern template class LinearLayer<double>;

}  // namespace bnrun::train
