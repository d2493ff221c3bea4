// Training: networks of Dense, BatchNormalization and activation layers, exported as standard ONNX models.
// Everything runs on one thread, in float32 with statistics in double, and the same seed gives the same bits
// on the same machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "bnrun/export.h"
#include "bnrun/model.h"
#include "bnrun/tensor.h"

namespace bnrun::train {

// -------- data

/// A table to learn from: either `labels` or `targets` is filled. Rows are counted from 1 in messages.
struct Dataset {
  std::int64_t columns = 0;
  std::vector<float> features;       ///< [rows, columns]
  std::vector<std::int64_t> labels;  ///< [rows], from 0: classification
  std::vector<float> targets;        ///< [rows, outputs]: regression

  std::int64_t rows() const {
    return columns == 0 ? 0 : static_cast<std::int64_t>(features.size()) / columns;
  }
};

/// The named rows (from 0), in that order.
BNRUN_API Dataset take_rows(const Dataset& data, std::span<const std::size_t> rows);
/// The numbers 0..rows-1 in an order that depends on the seed alone.
BNRUN_API std::vector<std::size_t> shuffled_rows(std::size_t rows, std::uint64_t seed);

/// Rows drawn by seed, and those that are left, both in an order that depends on seed and data alone.
struct RowSplit {
  std::vector<std::size_t> drawn;
  std::vector<std::size_t> rest;
};
/// Draws `count` rows: of labelled data from each class its share, leaving at least one row of each class
/// where the numbers allow it. Throws invalid_input when there are fewer rows.
BNRUN_API RowSplit split_rows(const Dataset& data, std::size_t count, std::uint64_t seed);

/// (x - offset) * factor per column. Empty vectors: every x as it is.
struct Scaling {
  std::vector<float> offset;
  std::vector<float> factor;

  bool identity() const { return factor.empty(); }
  BNRUN_API void apply(std::span<float> rows) const;
  BNRUN_API Scaling inverted() const;

  /// Mean 0 and population variance 1, or the range 0..1, of the given rows [rows, columns]; a column that is
  /// constant in them becomes 0.
  BNRUN_API static Scaling standardize(std::span<const float> rows, std::int64_t columns);
  BNRUN_API static Scaling min_max(std::span<const float> rows, std::int64_t columns);
  BNRUN_API static Scaling by(double factor, std::int64_t columns);
};

// -------- columns as tables have them

/// What becomes of a missing value. Of text all but `indicator` make a value that is none of those known.
enum class MissingRule {
  error,      ///< there is none
  mean,       ///< the mean of the column in the rows learnt from
  median,     ///< its median
  zero,       ///< 0
  indicator,  ///< the mean, and a column of its own that says 1; in text, a value like the others
};
BNRUN_API std::string_view name_of(MissingRule rule);

/// The columns of a Dataset before it is prepared: first numbers, NaN where one is missing, then text, of
/// which the Dataset holds positions in `values`, NaN where it is missing.
struct TableColumns {
  struct Text {
    std::string name;
    std::vector<std::string> values;
  };
  std::vector<std::string> numbers;  ///< names
  std::vector<Text> texts;

  std::int64_t count() const { return static_cast<std::int64_t>(numbers.size() + texts.size()); }
};

/// The way from such columns to the inputs of a network: missing numbers filled, then one column for each
/// indicator, then for each column of text as many as it has values, 1 where it holds that value. The
/// exported model goes the same way in standard operators.
struct Preparation {
  TableColumns columns;
  MissingRule missing = MissingRule::error;
  std::vector<float> fill;               ///< one for each number; empty with MissingRule::error
  std::vector<std::int64_t> indicators;  ///< the numbers that have one: those missing in a row learnt from
  std::vector<std::vector<std::string>> vocabularies;  ///< of each text: what the rows learnt from hold
  bool refuse_unknown = false;  ///< a value in no vocabulary is an error, not all zeros

  BNRUN_API std::int64_t outputs() const;
  /// Throws invalid_input naming a column in which every number is missing.
  BNRUN_API static Preparation learn(const Dataset& rows, TableColumns columns, MissingRule missing,
                                     bool refuse_unknown = false);
  /// Throws invalid_input naming row and column of a value that is refused.
  BNRUN_API Dataset apply(const Dataset& rows) const;
};

// -------- networks

enum class Initializer {
  glorot_uniform,  ///< +-sqrt(6 / (inputs + units)): Glorot and Bengio 2010
  he_uniform,      ///< +-sqrt(6 / inputs), for ReLU: He et al. 2015, arXiv 1502.01852
};

struct Dense {
  std::int64_t units = 1;
  bool use_bias = true;
  Initializer initializer = Initializer::glorot_uniform;
};

/// running = running * momentum + batch * (1 - momentum). The default momentum is 0.9, not
/// the 0.99 of Keras: a table of some thousand rows gives only a few hundred steps, and
/// with 0.99 the running statistics would still be those of early weights.
struct BatchNormalization {
  double momentum = 0.9;
  double epsilon = 1e-3;
  bool center = true;  ///< learn B
  bool scale = true;   ///< learn scale
};

enum class Activation { linear, relu, tanh, sigmoid, softmax };

using LayerSpec = std::variant<Dense, BatchNormalization, Activation>;

enum class Loss {
  cross_entropy,       ///< mean over rows of -log(probability of the row's label); the last layer is softmax
  mean_squared_error,  ///< mean over rows and outputs; the last layer is anything else
};

BNRUN_API std::string_view name_of(Loss loss);

/// What a summary prints of one layer.
struct LayerSummary {
  std::string name;  ///< of its node in the exported model, e.g. "batch_normalization_1"
  std::string type;
  std::int64_t outputs = 0;
  std::int64_t trainable = 0;
  std::int64_t fixed = 0;  ///< running statistics
};

struct Weight {
  std::string name;  ///< e.g. "dense_1.W", "dense_1.b", "batch_normalization_1.mean"
  Tensor tensor;
};

/// A feed-forward network and its weights. Movable. Const use is thread-safe.
class BNRUN_API Network {
 public:
  /// Initial weights drawn from `seed`. Throws invalid_input unless there is a Dense layer, every number
  /// makes sense, and softmax stands at the end or nowhere.
  Network(std::int64_t inputs, std::vector<LayerSpec> layers, std::uint64_t seed = 1);
  Network(Network&&) noexcept;
  Network& operator=(Network&&) noexcept;
  ~Network();

  std::int64_t inputs() const;
  std::int64_t outputs() const;
  Loss loss() const;
  std::vector<LayerSummary> layers() const;
  std::vector<Weight> weights() const;

  /// Applied to features before the first layer; the exported model does the same.
  void set_input_scaling(Scaling scaling);
  /// Applied to targets before the loss, inverted on predictions. Regression only.
  void set_target_scaling(Scaling scaling);
  const Scaling& input_scaling() const;
  const Scaling& target_scaling() const;

  /// Inference with running statistics, from unscaled features [rows, inputs].
  /// Returns probabilities or predictions [rows, outputs].
  std::vector<float> predict(std::span<const float> features) const;

  /// The trainer's own view; its type is private.
  struct State;
  const State& state() const { return *state_; }
  State& state() { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

// -------- fitting

/// velocity = momentum * velocity - learning_rate * gradient;  weight += velocity
struct Sgd {
  double learning_rate = 0.01;
  double momentum = 0.0;
};

/// Kingma and Ba 2014, arXiv 1412.6980.
struct Adam {
  double learning_rate = 1e-3;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double epsilon = 1e-7;
};

using Optimizer = std::variant<Sgd, Adam>;

struct EpochReport {
  int epoch = 0;        ///< from 1
  double loss = 0.0;    ///< mean over the epoch's steps, each before its update; in scaled units
  double metric = 0.0;  ///< classification: accuracy; regression: mean absolute error, in the data's units
  std::optional<double> validation_loss;  ///< after the epoch, with running statistics
  std::optional<double> validation_metric;
  double seconds = 0.0;  ///< of training, validation not counted
  /// Of the last epoch: the rows trained on after it, as the exported model computes them (with running
  /// statistics).
  std::optional<double> trained_loss;
  std::optional<double> trained_metric;
};

struct FitOptions {
  int epochs = 20;
  /// Rows per step. The last step of an epoch takes what is left; a single row left over joins the step
  /// before when the network has a BatchNormalization, because one row has no variance.
  std::int64_t batch = 32;
  Optimizer optimizer = Adam{};
  double validation = 0.0;  ///< fraction of the rows set aside, drawn by seed as split_rows draws
  std::uint64_t seed = 1;   ///< of the validation split and of the order of rows
  std::function<void(const EpochReport&)> on_epoch;
};

/// Trains in place. Throws invalid_input when the data does not fit the network (naming the row), when an
/// option makes no sense, and when training diverges: the loss of a step or a weight is no longer finite.
BNRUN_API std::vector<EpochReport> fit(Network& network, const Dataset& data, const FitOptions& options = {});

struct Evaluation {
  double loss = 0.0;
  double metric = 0.0;  ///< as in EpochReport
};
BNRUN_API Evaluation evaluate(const Network& network, const Dataset& data);

/// The largest relative difference between the gradients of backpropagation and those of finite differences,
/// over every trainable weight, in double and with batch statistics. Relative to the gradient itself, but to
/// no less than a thousandth of the network's largest, below which differences are rounding.
BNRUN_API double check_gradients(const Network& network, const Dataset& batch);

// -------- measuring predictions

struct ClassificationScore {
  std::int64_t rows = 0;
  std::int64_t correct = 0;
  std::vector<std::int64_t> confusion;  ///< [true class, predicted class]
  BNRUN_API double accuracy() const;
};
/// `probabilities` [rows, classes]; the first of equal largest ones counts. Throws invalid_input naming the
/// row whose label is outside.
BNRUN_API ClassificationScore score_classes(std::span<const float> probabilities,
                                            std::span<const std::int64_t> labels, std::int64_t classes);

struct RegressionScore {
  std::int64_t elements = 0;
  double mean_squared_error = 0.0;
  double mean_absolute_error = 0.0;
  double r2 = 0.0;  ///< 1 - squared error / squared deviation from the mean target; 0 when all are equal
};
BNRUN_API RegressionScore score_predictions(std::span<const float> predictions,
                                            std::span<const float> targets);

// -------- export

/// Written into the model's metadata, for programs that prepare its inputs and read its outputs.
struct ModelDescription {
  std::vector<std::string> features;  ///< column names in the table's order, "bnrun.features" as a JSON array
  std::vector<std::string> classes;   ///< "bnrun.classes"
  std::string target;                 ///< "bnrun.target"
  /// What was a missing value besides a blank cell, where it was not the usual: "bnrun.na" as a JSON array.
  std::optional<std::vector<std::string>> missing_spellings;
};

/// The network at inference: input "input" float32 [N, inputs]; output "probabilities" or "prediction"
/// [N, outputs]; opset 17. Scaling is Sub and Mul, Dense is Gemm, and each BatchNormalization stays one: to
/// take them away is what folding is for.
///
/// With a preparation the input is what a table has: "input" float32 [N, numbers] with NaN for what is
/// missing, and for each column of text a string [N, 1] of its name, "" for what is missing; "bnrun.columns"
/// tells, as a JSON object, which columns each input takes, and "bnrun.missing" the rule. Text needs
/// ai.onnx.ml 3.
BNRUN_API Model to_model(const Network& network, const ModelDescription& description = {},
                         const Preparation& preparation = {});

}  // namespace bnrun::train
