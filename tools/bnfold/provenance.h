// What a report speaks of: which files, by which program, when.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace bnrun {

struct HashedFile {
  std::string role;  ///< "model", "folded", "first", "second", "data"
  std::string path;
  std::optional<std::string> sha256;  ///< of a regular file
};

struct Provenance {
  std::string program;  ///< "bnfold 0.1.0"
  std::string built;    ///< compiler, kernels, BLAS
  std::string date;     ///< UTC, ISO 8601
  std::vector<HashedFile> files;

  /// Hashes the file now.
  void add(const std::string& role, const std::string& path);
};

/// Of this program, now.
Provenance make_provenance();

/// One line on program and date, then one for each file that has a hash.
std::vector<std::string> lines_of(const Provenance& provenance);
nlohmann::json json_of(const Provenance& provenance);

}  // namespace bnrun
