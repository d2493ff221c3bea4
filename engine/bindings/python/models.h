// Models and what the engine says of them, as Python objects: dicts that bnrun/_reports.py gives a face.
#pragma once

#include <pybind11/pybind11.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <span>

#include "bnrun/fold.h"
#include "bnrun/model.h"
#include "bnrun/session.h"

namespace bnrun::python {

/// A model by its path (str or os.PathLike) or its bytes (any buffer). Made with the GIL.
class ModelSource {
 public:
  explicit ModelSource(const pybind11::object& source);
  /// Needs no GIL. Throws as Model::load.
  Model load() const;

 private:
  std::optional<std::filesystem::path> path_;
  pybind11::object keeper_;  ///< of the bytes
  std::span<const std::byte> bytes_;
};

struct PoolHandle {
  std::shared_ptr<ThreadPool> pool;
};

/// A dict with some of the members of FoldOptions.
FoldOptions fold_options_of(const pybind11::dict& options);

pybind11::dict dict_of(const ModelMetadata& metadata);
pybind11::dict dict_of(const FoldReport& report);

/// fold, verify and inspect.
void add_models(pybind11::module_& module);

}  // namespace bnrun::python
