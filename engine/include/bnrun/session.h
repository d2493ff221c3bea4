// Session: a compiled model, ready to run batches.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "bnrun/export.h"
#include "bnrun/fold.h"
#include "bnrun/model.h"
#include "bnrun/profile.h"
#include "bnrun/tensor.h"

namespace bnrun {

/// What multiplies matrices with constant weights, and convolves with them.
enum class Kernels {
  /// Those of `packed`. A layer whose data and weights a model holds as bytes, in front of DequantizeLinear, and a sum of
  /// such data are computed on these: exactly, and worked out to floats or to the bytes of QuantizeLinear in double.
  automatic,
  packed,  ///< the engine's own kernels on weights packed at compile time, in the types that the operators have
  /// OpenBLAS. The last bits of a row may depend on the number of rows, which they never do with `packed`.
  blas,
  /// Those of `automatic`, and where these are quicker convolutions of 3x3 taps with fewer multiplications (Winograd's).
  /// They round otherwise: a sum over C channels is off by at most 16 (C + 7) or 176 (C + 17) times 2^-24 max |x| sum |w|,
  /// the maximum over what its tile of 2x2 or 4x4 outputs reads. The same bits for any batch and any number of threads.
  fast,
};

class ThreadPool;

/// Threads for several sessions: while one session's run has them, a run of another goes on by itself. As
/// many as asked for, the caller's among them, or fewer where the system starts no more; 0: as many as the
/// process may use. Throws as a Session does for its own threads.
BNRUN_API std::shared_ptr<ThreadPool> make_thread_pool(int threads);

struct SessionOptions {
  /// Threads that share one run, at most Session::kMaxThreads; 0: as many as the process may use (affinity and
  /// cgroup limits).
  int threads = 1;
  /// How BatchNormalization is folded into the weights first; std::nullopt: not at all.
  std::optional<FoldOptions> fold = FoldOptions{};
  Kernels kernels = Kernels::automatic;
  std::shared_ptr<ThreadPool> pool;  ///< in place of `threads` of its own
};

struct RunOptions {
  /// Called before each operator and each block of rows, on the thread that called `run`, with the fraction of
  /// the run that is done. What it throws ends the run and comes out of it: the way to cancel. The outputs then
  /// hold anything. A loop of the model is one operator.
  std::function<void(double done)> progress;
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
  const ModelMetadata& metadata() const;
  const std::vector<std::string>& class_names() const;  ///< see Model::class_names
  /// What folding did on load; empty without folding.
  const FoldReport& fold_report() const;
  /// The threads that share a run: those asked for, or fewer where the system would start no more.
  int threads() const;

  /// Outputs in model order, freshly allocated. Inputs by name, each required one exactly once.
  /// Throws invalid_input naming the input and what was expected.
  std::vector<NamedTensor> run(std::span<const NamedTensor> inputs) const;
  /// The same for inputs written in place: run({{"x", x}}).
  std::vector<NamedTensor> run(std::initializer_list<NamedTensor> inputs) const;

  /// The same by position: views in model order, an undefined one for an optional input to keep its default.
  std::vector<Tensor> run(std::span<const TensorView> inputs, const RunOptions& options = {}) const;

  /// The same between the caller's buffers, in model order. Once this batch shape has been run a few times nothing is
  /// allocated, but for strings, for values whose shapes depend on data and by If, Loop and Scan. An undefined view keeps
  /// an optional input's default. `outputs` have the type and shape that `output_types` tells and share no memory with
  /// inputs or each other; throws invalid_input otherwise and for null pointers to elements, before anything is written.
  void run(std::span<const TensorView> inputs, std::span<const MutableTensorView> outputs,
           const RunOptions& options = {}) const;

  /// Types and shapes of the outputs for inputs of these types and shapes (bytes are not looked at). Throws
  /// unsupported when an output's shape depends on the data.
  std::vector<TensorType> output_types(std::span<const TensorView> inputs) const;

  /// Runs on these inputs and tells where the time goes: of `runs` runs the quickest. Nothing is
  /// kept, and other runs are as fast as ever. Throws as `run` does.
  Profile profile(std::span<const TensorView> inputs, int runs = 15) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bnrun
