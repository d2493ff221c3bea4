#include <cmath>

#include "base/fail.h"
#include "train/layers/batch_normalization.h"
#include "train/layers/conv2d.h"
#include "train/layers/dense.h"
#include "train/layers/elementwise.h"
#include "train/layers/embedding.h"
#include "train/layers/layer_normalization.h"
#include "train/layers/pooling.h"
#include "train/layers/shapes.h"

namespace bnrun::train {
namespace {

using Kind = bnrun::Activation::Kind;

double checked_alpha(double alpha, const char* layer) {
  if (!std::isfinite(alpha)) fail(ErrorCode::invalid_input, "{} with alpha {}", layer, alpha);
  return alpha;
}

/// Makes the layer of a spec.
template <class T>
struct Maker {
  const Shape& below;
  std::int64_t inputs = below.elements();

  using Made = std::unique_ptr<Layer<T>>;
  Made operator()(const Dense& spec) const { return std::make_unique<DenseLayer<T>>(spec, inputs); }
  Made operator()(const BatchNormalization& spec) const {
    return std::make_unique<BatchNormalizationLayer<T>>(spec, below.back(), inputs / below.back());
  }
  Made operator()(const LayerNormalization& spec) const {
    return std::make_unique<LayerNormalizationLayer<T>>(spec, inputs);
  }
  Made operator()(const Dropout& spec) const { return std::make_unique<DropoutLayer<T>>(spec, inputs); }
  Made operator()(const LeakyRelu& spec) const {
    return activation({Kind::leaky_relu, checked_alpha(spec.alpha, "LeakyReLU")});
  }
  Made operator()(const Elu& spec) const { return activation({Kind::elu, checked_alpha(spec.alpha, "ELU")}); }
  Made operator()(const Shortcut& /*spec*/) const { return std::make_unique<PassingLayer<T>>(inputs); }
  Made operator()(const Conv2D& spec) const { return std::make_unique<Conv2DLayer<T>>(spec, below); }
  Made operator()(const Pooling2D& spec) const {
    const Windows windows = windows_of(spec, below);
    if (spec.kind == Pooling2D::Kind::maximum) return std::make_unique<MaxPoolingLayer<T>>(windows);
    return std::make_unique<AveragePoolingLayer<T>>(windows);
  }
  Made operator()(const GlobalAveragePooling2D& spec) const {
    return std::make_unique<AveragePoolingLayer<T>>(windows_of(spec, below));
  }
  Made operator()(const Embedding& spec) const { return std::make_unique<EmbeddingLayer<T>>(spec, inputs); }
  Made operator()(const Flatten& /*spec*/) const { return std::make_unique<PassingLayer<T>>(inputs); }
  Made operator()(Activation kind) const {
    if (kind == Activation::softmax) return std::make_unique<SoftmaxLayer<T>>(inputs);
    if (kind == Activation::linear) return std::make_unique<PassingLayer<T>>(inputs);
    return activation(kernel_of(kind));
  }

 private:
  Made activation(const bnrun::Activation& function) const {
    return std::make_unique<ActivationLayer<T>>(function, inputs);
  }
};

}  // namespace

template <class T>
std::unique_ptr<Layer<T>> make_layer(const LayerSpec& spec, const Shape& below) {
  return std::visit(Maker<T>{below}, spec);
}

template std::unique_ptr<Layer<float>> make_layer(const LayerSpec&, const Shape&);
template std::unique_ptr<Layer<double>> make_layer(const LayerSpec&, const Shape&);

}  // namespace bnrun::train
