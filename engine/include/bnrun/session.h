// Session: a compiled model, ready to run batches.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "bnrun/export.h"
#include "bnrun/fold.h"
#include "bnrun/model.h"
#include "bnrun/tensor.h"

namespace bnrun {

/// What multiplies matrices with constant weights.
enum class Kernels {
  automatic,
  packed,  ///< the engine's own kernels on weights packed at compile time
  /// OpenBLAS. The last bits of a row may depend on the number of rows, which they never do with `packed`.
  blas,
};

struct SessionOptions {
  /// Threads that share one run, at most Session::kMaxThreads; 0: as many as the process may use (affinity and
  /// cgroup limits).
  int threads = 1;
  /// How BatchNormalization is folded into the weights first; std::nullopt: not at all.
  std::optional<FoldOptions> fold = FoldOptions{};
  Kernels kernels = Kernels::automatic;
};

/// A compiled model. `run` is const and may be called from any number of threads at once; each call takes an
/// arena from the session's pool. A Session keeps nothing of the Model it was made from but shared constants.
class BNRUN_API Session {
 public:
  static constexpr int kMaxThreads = 1024;  ///< as many processors as Linux counts in a cpu_set_t

  /// Throws unsupported, naming operator, node and opset, when the engine lacks
  /// an operator, invalid_model when shapes do not fit together, and resource_limit for too many threads.
  explicit Session(const Model& model, const SessionOptions& options = {});
  /// Uses up the model, which saves a copy of its graph.
  explicit Session(Model&& model, const SessionOptions& options = {});
  static Session load(const std::filesystem::path& path, const SessionOptions& options = {});
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  const std::vector<PortInfo>& inputs() const;
  const std::vector<PortInfo>& outputs() const;
  /// What folding did on load; empty without folding.
  const FoldReport& fold_report() const;
  /// The threads that share a run: those asked for, or fewer where the system would start no more.
  int threads() const;

  /// Outputs in model order, freshly allocated. Inputs by name, each required one exactly once.
  /// Throws invalid_input naming the input and what was expected.
  std::vector<NamedTensor> run(std::span<const NamedTensor> inputs) const;
  /// The same for inputs written in place: run({{"x", x}}).
  std::vector<NamedTensor> run(std::initializer_list<NamedTensor> inputs) const;

  /// The same between the caller's buffers, in model order: nothing is allocated once this batch shape has
  /// been seen, except by operators whose output shapes depend on data and by subgraphs. No output overlaps
  /// an input. An undefined view keeps an optional input's default. `outputs` have the type and shape that
  /// `output_types` tells; throws invalid_input otherwise, before anything is written.
  void run(std::span<const TensorView> inputs, std::span<const MutableTensorView> outputs) const;

  /// Types and shapes of the outputs for inputs of these types and shapes (bytes are not looked at). Throws
  /// unsupported when an output's shape depends on the data.
  std::vector<TensorType> output_types(std::span<const TensorView> inputs) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bnrun
