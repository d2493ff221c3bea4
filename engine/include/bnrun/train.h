// Training: networks of Dense, convolution, pooling, normalisation and activation layers, exported as standard ONNX models.
// Everything runs on one thread unless more are asked for, in float32 with statistics in double, and the same seed gives the same bits
// on the same machine.
#pragma once

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
#include "bnrun/train_data.h"
#include "bnrun/train_network.h"
#include "bnrun/train_score.h"

namespace bnrun::train {

// -------- optimisers

/// velocity = momentum * velocity - learning_rate * gradient;  weight += velocity. With `nesterov`
/// weight += momentum * velocity - learning_rate * gradient: Sutskever et al. 2013.
struct Sgd {
  double learning_rate = 0.01;
  double momentum = 0.0;
  bool nesterov = false;
};

/// Kingma and Ba 2014, arXiv 1412.6980.
struct Adam {
  double learning_rate = 1e-3;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double epsilon = 1e-7;
};

/// Adam, and before each step weight -= learning_rate * weight_decay * weight: Loshchilov and Hutter 2017,
/// arXiv 1711.05101. Every trainable weight decays, as in Keras and PyTorch.
struct AdamW {
  double learning_rate = 1e-3;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double epsilon = 1e-7;
  double weight_decay = 0.004;
};

/// square = rho * square + (1 - rho) * gradient^2;  step = gradient / (sqrt(square) + epsilon);
/// velocity = momentum * velocity + step;  weight -= learning_rate * velocity. Hinton's lecture 6e, 2012.
struct RmsProp {
  double learning_rate = 1e-3;
  double rho = 0.9;
  double momentum = 0.0;
  double epsilon = 1e-7;
};

/// weight -= learning_rate * (sign(beta_1 * m + (1 - beta_1) * gradient) + weight_decay * weight);
/// m = beta_2 * m + (1 - beta_2) * gradient. Chen et al. 2023, arXiv 2302.06675.
struct Lion {
  double learning_rate = 1e-4;
  double beta_1 = 0.9;
  double beta_2 = 0.99;
  double weight_decay = 0.0;
};

using Optimizer = std::variant<Sgd, Adam, AdamW, RmsProp, Lion>;

/// The learning rate of a step, as a multiple of the optimiser's.
struct Schedule {
  enum class Kind {
    constant,
    step,    ///< times `factor` after every `every` epochs
    cosine,  ///< from 1 to `factor` over the whole training: Loshchilov and Hutter 2016, arXiv 1608.03983
  };
  Kind kind = Kind::constant;
  double factor = 0.1;
  int every = 10;
  /// Over this many epochs the rate first grows from 0 in equal parts, a step at a time.
  double warm_up = 0.0;
};

/// The learning rate times `factor` when the watched loss has not fallen for `patience` epochs.
struct Plateau {
  int patience = 5;
  double factor = 0.1;
  double least = 0.0;  ///< no learning rate below
};

/// Ends training when the watched loss has not fallen by more than `least_gain` for `patience` epochs.
struct EarlyStopping {
  int patience = 10;
  double least_gain = 0.0;
};

// -------- fitting

struct EpochReport {
  int epoch = 0;        ///< from 1
  double loss = 0.0;    ///< mean over the epoch's steps, each before its update; in scaled units
  double metric = 0.0;  ///< cross-entropies: accuracy; else: mean absolute error, in the data's units
  std::optional<double> validation_loss;  ///< after the epoch, with running statistics
  std::optional<double> validation_metric;
  double learning_rate = 0.0;  ///< of the last step
  double seconds = 0.0;        ///< of training, validation not counted
  /// Of the last epoch, once `finish` has been called: the rows trained on, as the exported model computes
  /// them (with running statistics).
  std::optional<double> trained_loss;
  std::optional<double> trained_metric;
};

/// Names and values.
using Facts = std::vector<std::pair<std::string, std::string>>;

struct FitOptions {
  int epochs = 20;
  /// Rows per step. The last step of an epoch takes what is left; a single row left over joins the step
  /// before when the network has a BatchNormalization, because one row has no variance.
  std::int64_t batch = 32;
  Optimizer optimizer = Adam{};
  double validation = 0.0;  ///< fraction of the rows set aside, drawn by seed as split_rows draws
  std::uint64_t seed = 1;   ///< of the validation split, of the order of rows and of what Dropout drops
  std::function<void(const EpochReport&)> on_epoch;
  /// Rows to validate on, instead of a fraction.
  std::optional<Dataset> validation_data;
  Schedule schedule;
  // The loss that these two watch is that of validation, or of training where there is none.
  std::optional<Plateau> plateau;
  std::optional<EarlyStopping> early_stopping;
  /// The network ends with the weights and statistics of the epoch whose watched loss was least.
  bool restore_best = false;
  double l2 =
      0.0;  ///< adds l2 * sum of squares of the kernels of Dense and Conv2D to the loss, as Keras does
  double clip_norm = 0.0;   ///< scales all gradients of a step down to this Euclidean norm; 0: does not
  double clip_value = 0.0;  ///< cuts each gradient to this size; 0: does not
  /// From this epoch on (from 1) training normalises with the running statistics and leaves them as they are.
  std::optional<int> freeze_statistics;
  /// Threads that share the large loops of a step: convolutions, BatchNormalization of images, large matrices. The
  /// results do not depend on it.
  int threads = 1;
  /// With Folding::int8 training rounds from this epoch on, beginning with the ranges of all rows; before, it is
  /// that of Folding::none to the bit, and so is the network (Jacob et al. 2017, arXiv 1712.05877, section 3.1).
  int quantise_from = 1;
  /// Asked before each step; true ends training there, with the best epoch so far.
  std::function<bool()> stop;
  /// What else a checkpoint is bound to, such as the names of the columns: `resume` compares it.
  Facts bound_to;
};

/// A training that can be left and taken up again. Not thread-safe; network and options.on_epoch outlive it.
class BNRUN_API Training {
 public:
  /// Throws invalid_input when the data does not fit the network (naming the row), or an option makes no sense.
  Training(Network& network, const Dataset& data, FitOptions options);
  ~Training();
  Training(const Training&) = delete;
  Training& operator=(const Training&) = delete;

  /// All epochs are over, early stopping ended them, or `stop` did.
  bool done() const;
  /// Throws invalid_input naming epoch and step when training diverges: the loss of a step or a weight is no
  /// longer finite. The network then holds what it held after the last good epoch.
  void run_epoch();
  /// Gives the network its best weights where that was asked for, or training was interrupted in an epoch, and
  /// measures it on the rows that it was trained on.
  void finish();

  bool interrupted() const;
  const std::vector<EpochReport>& history() const;
  /// The epoch whose weights `finish` gives, or gave, the network.
  int kept_epoch() const;

  /// Everything that the rest of the training depends on, after an epoch, with a checksum.
  std::string checkpoint() const;
  /// REQUIRES: no epoch has run. The rest then gives the bits of a training that was never interrupted.
  /// Throws invalid_input when the bytes are damaged, or of another network, other data or other options, and
  /// names what differs; only `epochs` may, unless the schedule is cosine. The training is then as it was.
  void resume(std::string_view checkpoint);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Trains in place, all of a Training.
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

// -------- export

/// Written into the model's metadata, for programs that prepare its inputs and read its outputs.
struct ModelDescription {
  std::vector<std::string> features;  ///< column names in the table's order, "bnrun.features" as a JSON array
  std::vector<std::string> classes;   ///< "bnrun.classes"
  std::string target;                 ///< "bnrun.target"
  /// What each output is, where they are several numbers or labels: "bnrun.targets" as a JSON array.
  std::vector<std::string> targets;
  /// How one row of an image lies in the model's input, such as [28,28]: its elements in the same order, so that
  /// the input is [N, 28, 28]. Empty: [N, inputs].
  Shape row;
  /// What was a missing value besides a blank cell, where it was not the usual: "bnrun.na" as a JSON array.
  std::optional<std::vector<std::string>> missing_spellings;
};

/// The network at inference: input "input" float32 [N, inputs], or as the description says; output "probabilities" or "prediction"
/// [N, outputs]; opset 17. Scaling is Sub and Mul, Dense is Gemm, and each BatchNormalization stays one: to
/// take them away is what folding is for. A network that is trained folded has them folded already; with int8
/// every Gemm stands between QuantizeLinear and DequantizeLinear. Images are Conv, MaxPool, AveragePool and
/// GlobalAveragePool, to which a Reshape or a Transpose brings the channels first.
///
/// With a preparation the input is what a table has: "input" float32 [N, numbers] with NaN for what is
/// missing, and for each column of text a string [N, 1] of its name, "" for what is missing; "bnrun.columns"
/// tells, as a JSON object, which columns each input takes, and "bnrun.missing" the rule. Text needs
/// ai.onnx.ml 3.
BNRUN_API Model to_model(const Network& network, const ModelDescription& description = {},
                         const Preparation& preparation = {});

}  // namespace bnrun::train
