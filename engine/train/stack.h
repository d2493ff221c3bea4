// Stack: the layers of a network over one scalar type, with their weights, gradients and buffers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "train/layers/layer.h"
#include "train/loss.h"

namespace bnrun::train {

template <class T>
class BatchNormalizationLayer;

/// What runs: a layer, or one that stands for several.
template <class T>
struct Stage {
  Layer<T>* layer = nullptr;
  std::size_t last = 0;  ///< of the layers that it stands for
};

template <class T>
class Stack {
 public:
  /// Throws invalid_input when the layers make no network.
  Stack(const Shape& input, std::vector<LayerSpec> specs);
  Stack(std::int64_t inputs, std::vector<LayerSpec> specs) : Stack(Shape{inputs}, std::move(specs)) {}
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  std::int64_t inputs() const { return layers_.front()->inputs(); }
  std::int64_t outputs() const { return layers_.back()->outputs(); }
  /// Of a row: shapes()[0] of what comes in, shapes()[i + 1] of what layer i puts out.
  const std::vector<Shape>& shapes() const { return shapes_; }
  const std::vector<LayerSpec>& specs() const { return specs_; }
  const std::vector<std::unique_ptr<Layer<T>>>& layers() const { return layers_; }
  /// In the order in which they run; without folding they are the layers.
  const std::vector<Stage<T>>& stages() const { return stages_; }
  /// The stage whose output stage s adds to what it receives, -1 the features; nullopt unless it is a
  /// Shortcut.
  std::optional<std::int64_t> added_to(std::size_t s) const;

  std::span<T> weights() { return weights_; }
  std::span<const T> weights() const { return weights_; }
  std::span<const T> gradients() const { return gradients_; }
  std::span<T> gradients() { return gradients_; }
  /// Parts of weights() that are kernels, as first element and count.
  const std::vector<std::pair<std::size_t, std::size_t>>& kernels() const { return kernels_; }
  /// Running statistics and ranges, of all layers one after another.
  std::vector<double> statistics() const;
  void set_statistics(std::span<const double> values);

  const Objective& objective() const { return objective_; }
  void set_objective(Objective objective) { objective_ = std::move(objective); }
  Folding folding() const { return folding_; }
  void set_folding(Folding folding);
  void freeze_statistics(bool frozen);
  /// Training shares its loops among these threads, null: none, with the same results. The pool outlives its use.
  void use(ThreadPool* pool);
  /// With Folding::int8: whether what runs rounds, or is as with Folding::none; ranges and statistics stay.
  void round_in_training(bool on);

  void initialize(Random& random);
  /// Which step the next `forward` is.
  void begin(const Step& step);
  /// Forward in training mode and the loss of it. Buffers grow with the largest batch seen.
  double forward(const Batch<T>& batch);
  /// REQUIRES: `forward` of the same batch came before. Fills `gradients()`.
  void backward(const Batch<T>& batch);
  /// What the last `forward` gave: [rows, outputs].
  std::span<const T> output(const Batch<T>& batch) const;
  /// y[rows, outputs] of x[rows, inputs], in inference mode.
  void infer(std::int64_t rows, const T* x, T* y) const { infer(rows, x, y, nullptr); }

  /// As `infer`, and shows visit(stage, rows, values) of what each stage puts out, block of rows by block.
  using Visit = std::function<void(std::size_t, std::int64_t, std::span<const T>)>;
  void infer(std::int64_t rows, const T* x, T* y, const Visit& visit) const;

 private:
  void reserve(std::int64_t rows);
  void check_specs() const;
  void check_shortcut(const Shortcut& shortcut) const;
  BatchNormalizationLayer<T>* folds_into(std::size_t i) const;
  void make_folded();
  void arrange();
  bool value_is_added(std::size_t value) const;
  const T* input_of(std::size_t s, const Batch<T>& batch) const;

  std::vector<LayerSpec> specs_;
  std::vector<Shape> shapes_;
  Objective objective_;
  Folding folding_ = Folding::none;
  std::int64_t widest_ = 0;
  std::vector<std::unique_ptr<Layer<T>>> layers_;
  std::vector<std::unique_ptr<Layer<T>>>
      folded_;          // of each layer: what runs in its place when folded, or null
  bool rounds_ = true;  // with Folding::int8
  std::vector<Stage<T>> stages_;
  std::vector<T> weights_;
  std::vector<T> gradients_;
  std::vector<std::pair<std::size_t, std::size_t>> kernels_;
  ThreadPool* pool_ = nullptr;
  std::int64_t reserved_rows_ = 0;
  std::vector<std::vector<T>> outputs_;  // of each stage
  std::vector<std::vector<T>> sums_;     // of each Shortcut: what it passes on
  std::vector<std::vector<T>> waiting_;  // of each stage: gradients from the Shortcuts that add its output
  std::vector<T> upper_, lower_;         // gradients above and below the stage at hand
};

extern template class Stack<float>;
extern template class Stack<double>;

}  // namespace bnrun::train
