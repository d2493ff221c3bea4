#include "train/layer.h"

#include <algorithm>
#include <cmath>

#include "affine/channel_affine.h"
#include "base/fail.h"
#include "kernels/gemm/blas.h"
#include "kernels/math/activation.h"

namespace bnrun::train {
namespace {

std::size_t count_of(std::int64_t elements) {
  return static_cast<std::size_t>(elements);
}

template <class T>
Tensor tensor_of(const Shape& shape, const T* values) {
  return Tensor::copy_of({dtype_of<T>, shape, values});
}

// Y[M,N] = X[M,K] * W[K,N] + b[N]
//   dW = X' * dY,  db = column sums of dY,  dX = dY * W'
template <class T>
class DenseLayer final : public Layer<T> {
 public:
  DenseLayer(const Dense& spec, std::int64_t inputs) : Layer<T>(inputs, spec.units), spec_(spec) {}

  std::int64_t trainable() const override { return K() * N() + (spec_.use_bias ? N() : 0); }

  void bind(T* weights, T* gradients) override {
    W_ = weights;
    dW_ = gradients;
    if (!spec_.use_bias) return;
    b_ = weights + K() * N();
    db_ = gradients + K() * N();
  }

  void initialize(Random& random) override {
    const bool glorot = spec_.initializer == Initializer::glorot_uniform;
    const double limit = std::sqrt(6.0 / static_cast<double>(glorot ? K() + N() : K()));
    std::generate_n(W_, K() * N(), [&] { return static_cast<T>(random.uniform(-limit, limit)); });
    if (b_ != nullptr) std::fill_n(b_, N(), T(0));
  }

  void forward(std::int64_t rows, const T* x, T* y) override { infer(rows, x, y); }

  void infer(std::int64_t rows, const T* x, T* y) const override {
    if (b_ != nullptr) {
      for (std::int64_t m = 0; m < rows; ++m) std::copy_n(b_, N(), y + m * N());
    }
    blas_gemm<T>(Transpose::no, Transpose::no, rows, N(), K(), T(1), x, K(), W_, N(),
                 b_ != nullptr ? T(1) : T(0), y, N());
  }

  void backward(std::int64_t rows, const T* x, const T* /*y*/, const T* dy, T* dx) override {
    blas_gemm<T>(Transpose::yes, Transpose::no, K(), N(), rows, T(1), x, K(), dy, N(), T(0), dW_, N());
    if (b_ != nullptr) {
      std::fill_n(db_, N(), T(0));
      for (std::int64_t m = 0; m < rows; ++m) {
        for (std::int64_t n = 0; n < N(); ++n) db_[n] += dy[m * N() + n];
      }
    }
    if (dx != nullptr) {
      blas_gemm<T>(Transpose::no, Transpose::yes, rows, K(), N(), T(1), dy, N(), W_, N(), T(0), dx, K());
    }
  }

  std::vector<std::pair<std::string, Tensor>> weights() const override {
    std::vector<std::pair<std::string, Tensor>> list{{"W", tensor_of({K(), N()}, W_)}};
    if (b_ != nullptr) list.emplace_back("b", tensor_of({N()}, b_));
    return list;
  }

 private:
  std::int64_t K() const { return this->inputs(); }
  std::int64_t N() const { return this->outputs(); }

  Dense spec_;
  T* W_ = nullptr;
  T* b_ = nullptr;
  T* dW_ = nullptr;
  T* db_ = nullptr;
};

// n = (x - mean) / sqrt(var + epsilon),  y = scale * n + B, with the batch's mean and population variance
//   dB = sum dy,  dscale = sum dy * n,
//   dx = scale / sqrt(var + epsilon) * (dy - dB / rows - n * dscale / rows)
// (Ioffe and Szegedy 2015, section 3)
template <class T>
class BatchNormalizationLayer final : public Layer<T> {
 public:
  BatchNormalizationLayer(const BatchNormalization& spec, std::int64_t channels)
      : Layer<T>(channels, channels),
        spec_(spec),
        running_mean_(count_of(channels), 0.0),
        running_var_(count_of(channels), 1.0),
        mean_(count_of(channels)),
        var_(count_of(channels)),
        inverse_(count_of(channels)),
        slope_(count_of(channels)),
        sum_(count_of(channels)),
        sum_n_(count_of(channels)) {}

  std::int64_t trainable() const override { return C() * ((spec_.scale ? 1 : 0) + (spec_.center ? 1 : 0)); }
  std::int64_t fixed() const override { return 2 * C(); }

  void bind(T* weights, T* gradients) override {
    if (spec_.scale) {
      scale_ = weights;
      dscale_ = gradients;
    }
    if (spec_.center) {
      const std::int64_t first = spec_.scale ? C() : 0;
      B_ = weights + first;
      dB_ = gradients + first;
    }
  }

  void initialize(Random& /*random*/) override {
    if (scale_ != nullptr) std::fill_n(scale_, C(), T(1));
    if (B_ != nullptr) std::fill_n(B_, C(), T(0));
  }

  void forward(std::int64_t rows, const T* x, T* y) override {
    const auto each = [&](auto visit) {
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t c = 0; c < C(); ++c) visit(count_of(c), static_cast<double>(x[r * C() + c]));
      }
    };
    std::fill(mean_.begin(), mean_.end(), 0.0);
    each([this](std::size_t c, double value) { mean_[c] += value; });
    for (double& mean : mean_) mean /= static_cast<double>(rows);
    std::fill(var_.begin(), var_.end(), 0.0);
    each([this](std::size_t c, double value) {
      const double distance = value - mean_[c];
      var_[c] += distance * distance;
    });
    for (double& var : var_) var /= static_cast<double>(rows);
    for (std::size_t c = 0; c < mean_.size(); ++c) {
      running_mean_[c] = running_mean_[c] * spec_.momentum + mean_[c] * (1.0 - spec_.momentum);
      running_var_[c] = running_var_[c] * spec_.momentum + var_[c] * (1.0 - spec_.momentum);
    }
    normalize(rows, x, y, mean_, var_);
  }

  void infer(std::int64_t rows, const T* x, T* y) const override {
    normalize(rows, x, y, running_mean_, running_var_);
  }

  void backward(std::int64_t rows, const T* x, const T* /*y*/, const T* dy, T* dx) override {
    const auto each = [&](auto visit) {
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t c = 0; c < C(); ++c) visit(count_of(c), r * C() + c);
      }
    };
    std::fill(sum_.begin(), sum_.end(), 0.0);
    std::fill(sum_n_.begin(), sum_n_.end(), 0.0);
    for (std::size_t c = 0; c < mean_.size(); ++c) {
      inverse_[c] = batch_normalization_channel(1.0, 0.0, mean_[c], var_[c], spec_.epsilon).first;
      slope_[c] = scale_at(c) * inverse_[c];
    }
    const auto n = [&](std::size_t c, std::int64_t i) {
      return (static_cast<double>(x[i]) - mean_[c]) * inverse_[c];
    };
    each([&](std::size_t c, std::int64_t i) {
      sum_[c] += static_cast<double>(dy[i]);
      sum_n_[c] += static_cast<double>(dy[i]) * n(c, i);
    });
    if (dscale_ != nullptr) round_to(dscale_, sum_n_);
    if (dB_ != nullptr) round_to(dB_, sum_);
    if (dx == nullptr) return;
    const double share = 1.0 / static_cast<double>(rows);
    each([&](std::size_t c, std::int64_t i) {
      dx[i] =
          static_cast<T>(slope_[c] * (static_cast<double>(dy[i]) - share * (sum_[c] + n(c, i) * sum_n_[c])));
    });
  }

  std::vector<std::pair<std::string, Tensor>> weights() const override {
    const Shape shape{C()};
    std::vector<T> values[4];
    for (std::size_t c = 0; c < mean_.size(); ++c) {
      values[0].push_back(static_cast<T>(scale_at(c)));
      values[1].push_back(static_cast<T>(B_at(c)));
      values[2].push_back(static_cast<T>(running_mean_[c]));
      values[3].push_back(static_cast<T>(running_var_[c]));
    }
    return {{"scale", Tensor(shape, values[0])},
            {"B", Tensor(shape, values[1])},
            {"mean", Tensor(shape, values[2])},
            {"var", Tensor(shape, values[3])}};
  }

 private:
  std::int64_t C() const { return this->outputs(); }
  static void round_to(T* out, const std::vector<double>& values) {
    for (const double value : values) *out++ = static_cast<T>(value);
  }
  double scale_at(std::size_t c) const { return scale_ != nullptr ? static_cast<double>(scale_[c]) : 1.0; }
  double B_at(std::size_t c) const { return B_ != nullptr ? static_cast<double>(B_[c]) : 0.0; }

  void normalize(std::int64_t rows, const T* x, T* y, const std::vector<double>& mean,
                 const std::vector<double>& var) const {
    std::vector<std::pair<double, double>> affine(mean.size());
    for (std::size_t c = 0; c < affine.size(); ++c) {
      affine[c] = batch_normalization_channel(scale_at(c), B_at(c), mean[c], var[c], spec_.epsilon);
    }
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::size_t c = 0; c < affine.size(); ++c) {
        const std::size_t i = count_of(r * C()) + c;
        y[i] = static_cast<T>(affine[c].first * static_cast<double>(x[i]) + affine[c].second);
      }
    }
  }

  BatchNormalization spec_;
  T* scale_ = nullptr;
  T* B_ = nullptr;
  T* dscale_ = nullptr;
  T* dB_ = nullptr;
  std::vector<double> running_mean_, running_var_;
  std::vector<double> mean_, var_;                     // of the batch
  std::vector<double> inverse_, slope_, sum_, sum_n_;  // of backward
};

// Elementwise; the derivative is a function of y: 1, y > 0, 1 - y^2, y * (1 - y).
template <class T>
class ActivationLayer final : public Layer<T> {
 public:
  ActivationLayer(Activation kind, std::int64_t width) : Layer<T>(width, width), kind_(kind) {}

  void forward(std::int64_t rows, const T* x, T* y) override { infer(rows, x, y); }

  void infer(std::int64_t rows, const T* x, T* y) const override {
    const std::int64_t elements = rows * this->outputs();
    std::copy_n(x, elements, y);
    activate<T>({kernel()}, {y, count_of(elements)});
  }

  void backward(std::int64_t rows, const T* /*x*/, const T* y, const T* dy, T* dx) override {
    if (dx == nullptr) return;
    const std::int64_t elements = rows * this->outputs();
    const auto each = [&](auto derivative) {
      for (std::int64_t i = 0; i < elements; ++i) dx[i] = dy[i] * derivative(y[i]);
    };
    switch (kind_) {
      case Activation::relu:
        return each([](T value) { return value > T(0) ? T(1) : T(0); });
      case Activation::tanh:
        return each([](T value) { return T(1) - value * value; });
      case Activation::sigmoid:
        return each([](T value) { return value * (T(1) - value); });
      default:
        return each([](T /*value*/) { return T(1); });
    }
  }

 private:
  bnrun::Activation::Kind kernel() const {
    using Kind = bnrun::Activation::Kind;
    switch (kind_) {
      case Activation::relu:
        return Kind::relu;
      case Activation::tanh:
        return Kind::tanh;
      case Activation::sigmoid:
        return Kind::sigmoid;
      default:
        return Kind::identity;
    }
  }

  Activation kind_;
};

// y = exp(x - max) / sum exp(x - max) of each row. The cross-entropy's gradient is taken with respect to x,
// so that backward has nothing left to do.
template <class T>
class SoftmaxLayer final : public Layer<T> {
 public:
  explicit SoftmaxLayer(std::int64_t classes) : Layer<T>(classes, classes) {}

  void forward(std::int64_t rows, const T* x, T* y) override { infer(rows, x, y); }

  void infer(std::int64_t rows, const T* x, T* y) const override {
    const std::int64_t classes = this->outputs();
    for (std::int64_t r = 0; r < rows; ++r, x += classes, y += classes) {
      const T largest = *std::max_element(x, x + classes);
      T sum = T(0);
      for (std::int64_t c = 0; c < classes; ++c) sum += y[c] = std::exp(x[c] - largest);
      for (std::int64_t c = 0; c < classes; ++c) y[c] /= sum;
    }
  }

  void backward(std::int64_t rows, const T* /*x*/, const T* /*y*/, const T* dy, T* dx) override {
    if (dx != nullptr) std::copy_n(dy, rows * this->outputs(), dx);
  }
};

void check(const Dense& dense) {
  if (dense.units < 1 || dense.units > (std::int64_t{1} << 24)) {
    fail(ErrorCode::invalid_input, "a dense layer of {} units", dense.units);
  }
}

void check(const BatchNormalization& spec) {
  if (!(spec.momentum >= 0.0 && spec.momentum < 1.0)) {
    fail(ErrorCode::invalid_input, "BatchNormalization with momentum {}, expected 0 <= momentum < 1",
         spec.momentum);
  }
  if (!(spec.epsilon > 0.0) || !std::isfinite(spec.epsilon)) {
    fail(ErrorCode::invalid_input, "BatchNormalization with epsilon {}, expected a positive number",
         spec.epsilon);
  }
}

}  // namespace

template <class T>
std::unique_ptr<Layer<T>> make_layer(const LayerSpec& spec, std::int64_t inputs) {
  if (const auto* dense = std::get_if<Dense>(&spec)) {
    check(*dense);
    return std::make_unique<DenseLayer<T>>(*dense, inputs);
  }
  if (const auto* normalization = std::get_if<BatchNormalization>(&spec)) {
    check(*normalization);
    return std::make_unique<BatchNormalizationLayer<T>>(*normalization, inputs);
  }
  const auto kind = std::get<Activation>(spec);
  if (kind == Activation::softmax) return std::make_unique<SoftmaxLayer<T>>(inputs);
  return std::make_unique<ActivationLayer<T>>(kind, inputs);
}

template std::unique_ptr<Layer<float>> make_layer(const LayerSpec&, std::int64_t);
template std::unique_ptr<Layer<double>> make_layer(const LayerSpec&, std::int64_t);

}  // namespace bnrun::train
