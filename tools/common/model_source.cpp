#include "common/model_source.h"

#include <algorithm>
#include <utility>

#include "common/program.h"
#include "io/file.h"

namespace bnrun::cli {

Model load_model(const std::string& path) {
  if (path != "-") return Model::load(path);
  static const std::string bytes = io::read_file(path);
  return in_file(io::display_name(path), [] { return Model::parse(std::as_bytes(std::span(bytes))); });
}

Session open_session(const std::string& path, const SessionOptions& options) {
  return open_session(path, load_model(path), options);
}

Session open_session(const std::string& path, Model&& model, const SessionOptions& options) {
  try {
    return in_file(io::display_name(path), [&] { return Session(std::move(model), options); });
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unsupported) throw;
    throw Error(error.code(),
                std::string(error.what()) +
                    "; `bnrun inspect` shows the model and `bnfold --no-verify` folds the rest of it");
  }
}

void add_kernels_option(CLI::App& command, Kernels& kernels) {
  add_choice<Kernels>(
      command, "--kernels", kernels,
      {{"auto", Kernels::automatic},
       {"packed", Kernels::packed},
       {"blas", Kernels::blas},
       {"fast", Kernels::fast}},
      "What multiplies matrices; packed, blas: in the types that the operators have, also where a "
      "model holds bytes; fast: convolutions of 3x3 take fewer multiplications and round otherwise, "
      "within a bound (auto)");
}

void check_one_reads_standard_input(std::span<const std::string> paths) {
  if (std::count(paths.begin(), paths.end(), "-") > 1)
    throw UsageError("standard input cannot be read twice: only one file may be -");
}

}  // namespace bnrun::cli
