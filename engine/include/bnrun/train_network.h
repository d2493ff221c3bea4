// Networks to train: layers as one names them, the network that they make, what it minimises.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "bnrun/export.h"
#include "bnrun/tensor.h"
#include "bnrun/train_data.h"

namespace bnrun::train {

// -------- layers

/// How the first weights of a layer are drawn, named as in Keras. Normal ones with a fan are cut off at two
/// standard deviations and widened by 1/0.8796, so that their variance is as stated. For the kernel of a
/// convolution inputs and units are channels and filters, times the elements of the window.
enum class Initializer {
  glorot_uniform,    ///< +-sqrt(6 / (inputs + units)): Glorot and Bengio 2010
  he_uniform,        ///< +-sqrt(6 / inputs), for ReLU: He et al. 2015, arXiv 1502.01852
  glorot_normal,     ///< variance 2 / (inputs + units)
  he_normal,         ///< variance 2 / inputs
  lecun_uniform,     ///< +-sqrt(3 / inputs)
  lecun_normal,      ///< variance 1 / inputs, for SELU: Klambauer et al. 2017, arXiv 1706.02515
  random_normal,     ///< standard deviation 0.05
  random_uniform,    ///< +-0.05
  truncated_normal,  ///< standard deviation 0.05, drawn again beyond two of them
  orthogonal,        ///< orthonormal columns or rows, whichever are fewer: Saxe et al. 2013, arXiv 1312.6120
  zeros,
  ones,
};
/// As Keras writes it: "glorot_uniform".
BNRUN_API std::string_view name_of(Initializer initializer);

struct Dense {
  std::int64_t units = 1;
  bool use_bias = true;
  Initializer initializer = Initializer::glorot_uniform;
  double initial_scale = 1.0;  ///< the drawn weights times this
};

/// For each number of a row, or each channel of an image:
/// running = running * momentum + batch * (1 - momentum). The default momentum is 0.9, not
/// the 0.99 of Keras: a table of some thousand rows gives only a few hundred steps, and
/// with 0.99 the running statistics would still be those of early weights.
struct BatchNormalization {
  double momentum = 0.9;
  double epsilon = 1e-3;
  bool center = true;  ///< learn B
  bool scale = true;   ///< learn scale
};

/// Each row to mean 0 and variance 1, then * scale + B: Ba et al. 2016, arXiv 1607.06450.
struct LayerNormalization {
  double epsilon = 1e-3;
  bool center = true;  ///< learn B
  bool scale = true;   ///< learn scale
};

/// In training each value is 0 with probability `rate`, else divided by 1 - rate; nothing at inference.
/// Srivastava et al. 2014. The values that fall out depend on FitOptions::seed, the step and the
/// position alone.
struct Dropout {
  double rate = 0.5;
};

/// gelu is x * Phi(x), exact: Hendrycks and Gimpel 2016, arXiv 1606.08415.
enum class Activation { linear, relu, tanh, sigmoid, softmax, gelu, selu };

/// alpha * x below 0.
struct LeakyRelu {
  double alpha = 0.3;
};
/// alpha * (exp(x) - 1) below 0.
struct Elu {
  double alpha = 1.0;
};

/// The end of a residual block: y = x + what went into the layer that stands `layers` before this one. He et
/// al. 2015, arXiv 1512.03385.
struct Shortcut {
  std::int64_t layers = 2;
};

/// The first layer of a network whose features are categories among other numbers. Each of these columns (in
/// ascending order) holds a whole number from 0 to `values`; `width` learnt numbers stand for it, and zeros for
/// `values` itself, which is none of them. Behind come the other columns in order, then these numbers. First
/// ones are within +-0.05, as in Keras.
struct Embedding {
  struct Column {
    std::int64_t column = 0;  ///< of the features, from 0
    std::int64_t values = 1;
    std::int64_t width = 1;
  };
  std::vector<Column> columns;
};

// Images: a row of numbers that lie as [height, width, channels].

struct Size2D {
  std::int64_t height = 1;
  std::int64_t width = 1;
};

/// same: an image is as large behind a layer as before it, over the strides, rounded up; what lies around it
/// is 0 for a convolution and not there for pooling, and of an odd number the larger part is below and to the
/// right.
enum class Padding { valid, same };

/// y[h,w,m] = sum over window and channels c of x[h * strides + i, w * strides + j, c] * W[i,j,c,m], + b[m]
struct Conv2D {
  std::int64_t filters = 1;
  Size2D kernel{3, 3};
  Size2D strides{1, 1};
  Padding padding = Padding::valid;
  bool use_bias = true;
  Initializer initializer = Initializer::glorot_uniform;
  double initial_scale = 1.0;  ///< the drawn weights times this
};

/// The largest of each window, or their mean, channel by channel.
struct Pooling2D {
  enum class Kind { maximum, average };
  Kind kind = Kind::maximum;
  Size2D window{2, 2};
  Size2D strides{2, 2};
  Padding padding = Padding::valid;
};

/// The mean of each channel: a row of as many numbers.
struct GlobalAveragePooling2D {};

/// An image as the row of numbers that it is.
struct Flatten {};

using LayerSpec = std::variant<Dense, BatchNormalization, Activation, LayerNormalization, Dropout, LeakyRelu,
                               Elu, Shortcut, Conv2D, Pooling2D, GlobalAveragePooling2D, Flatten, Embedding>;

// -------- losses

enum class Loss {
  cross_entropy,       ///< mean over rows of -log(probability of the row's label); the last layer is softmax
  mean_squared_error,  ///< mean over rows and outputs
  binary_cross_entropy,  ///< mean over rows and outputs, targets 0 to 1; the last layer is sigmoid
  mean_absolute_error,   ///< mean over rows and outputs
  huber,                 ///< e^2 / 2 where |e| <= delta, else delta * (|e| - delta / 2)
};
BNRUN_API std::string_view name_of(Loss loss);

struct LossOptions {
  /// Cross-entropies: each target y becomes y * (1 - smoothing) + smoothing / classes (of two for a binary
  /// one).
  double label_smoothing = 0.0;
  /// Cross-entropy: a row's loss times the weight of its label; the mean is still over the rows, as in Keras.
  std::vector<double> class_weights;
  double huber_delta = 1.0;
};

/// rows / (classes * rows of the class) for each class; 0 where it has no row.
BNRUN_API std::vector<double> balanced_class_weights(std::span<const std::int64_t> labels,
                                                     std::int64_t classes);

// -------- folding while training

/// How a Dense layer, or a convolution, with a BatchNormalization right behind it is trained.
enum class Folding {
  none,  ///< as two layers
  /// As one, with the weights W * scale / sigma of the running statistics, corrected by sigma of the running
  /// over sigma of the batch until the statistics are frozen: Jacob et al. 2017, arXiv 1712.05877, section
  /// 3.2; Krishnamoorthi 2018, arXiv 1806.08342, section 3.2.2. The same function as `none`.
  folded,
  /// `folded`, with weights and inputs of every Dense layer rounded to what int8 can hold: weights
  /// symmetric for each unit, inputs to 0..255 over a moving range; gradients pass through the rounding. Not
  /// for networks that have convolutions.
  int8,
};

// -------- the network

/// What a summary prints of one layer.
struct LayerSummary {
  std::string name;  ///< of its node in the exported model, e.g. "batch_normalization_1"
  std::string type;
  std::int64_t outputs = 0;  ///< numbers in a row
  Shape shape;               ///< [outputs], or [height, width, channels]
  std::int64_t trainable = 0;
  std::int64_t fixed = 0;  ///< running statistics
};

struct Weight {
  std::string name;  ///< e.g. "dense_1.W", "dense_1.b", "batch_normalization_1.mean"
  Tensor tensor;
};

/// Mean and standard deviation of what a layer puts out.
struct Spread {
  double mean = 0.0;
  double deviation = 0.0;
};

/// A feed-forward network and its weights. Movable. Const use is thread-safe.
class BNRUN_API Network {
 public:
  /// Initial weights drawn from `seed`. Throws invalid_input unless there is a Dense layer or a convolution,
  /// every layer can read what the one before it puts out and every number makes sense.
  Network(std::int64_t inputs, std::vector<LayerSpec> layers, std::uint64_t seed = 1);
  /// A row is as many numbers as the shape has elements: [inputs], or an image [height, width, channels].
  Network(const Shape& input, std::vector<LayerSpec> layers, std::uint64_t seed = 1);
  Network(Network&&) noexcept;
  Network& operator=(Network&&) noexcept;
  ~Network();

  std::int64_t inputs() const;
  const Shape& input_shape() const;
  std::int64_t outputs() const;
  std::vector<LayerSummary> layers() const;
  std::vector<Weight> weights() const;

  /// cross_entropy where softmax is the last layer, else mean_squared_error, unless set.
  Loss loss() const;
  const LossOptions& loss_options() const;
  /// Throws invalid_input when the last layer does not fit the loss or a number makes no sense.
  void set_loss(Loss loss, LossOptions options = {});

  Folding folding() const;
  /// Weights and running statistics stay as they are; ranges of an earlier int8 are forgotten. Throws
  /// invalid_input naming the first convolution when that is to be int8.
  void set_folding(Folding folding);

  /// Applied to features before the first layer; the exported model does the same. Throws invalid_input where it
  /// would change a column that an Embedding reads.
  void set_input_scaling(Scaling scaling);
  /// Applied to targets before the loss, inverted on predictions. Regression only.
  void set_target_scaling(Scaling scaling);
  const Scaling& input_scaling() const;
  const Scaling& target_scaling() const;

  /// Inference with running statistics, from unscaled features [rows, inputs].
  /// Returns probabilities or predictions [rows, outputs].
  std::vector<float> predict(std::span<const float> features) const;

  /// Of each layer over these rows, at inference; layers that are trained as one have what they give together.
  std::vector<Spread> spreads(std::span<const float> features) const;

  /// The trainer's own view; its type is private.
  struct State;
  const State& state() const { return *state_; }
  State& state() { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

}  // namespace bnrun::train
