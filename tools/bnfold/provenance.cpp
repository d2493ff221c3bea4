#include "provenance.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

#include "bnrun/machine.h"
#include "bnrun/version.h"
#include "common/printable.h"
#include "common/sha256.h"
#include "io/file.h"

namespace bnrun {

void Provenance::add(const std::string& role, const std::string& path) {
  files.push_back({role, io::display_name(path), cli::sha256_of_file(path)});
}

Provenance make_provenance() {
  return {.program = "bnfold " BNRUN_VERSION,
          .built = build_description(),
          .date = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)))};
}

std::vector<std::string> lines_of(const Provenance& provenance) {
  std::vector<std::string> lines{fmt::format("{}, {}", provenance.program, provenance.date)};
  for (const HashedFile& file : provenance.files) {
    if (file.sha256)
      lines.push_back(fmt::format("sha256 {}  {} {}", *file.sha256, file.role, cli::printable(file.path)));
  }
  return lines;
}

nlohmann::json json_of(const Provenance& provenance) {
  nlohmann::json files = nlohmann::json::array();
  for (const auto& [role, path, sha256] : provenance.files)
    files.push_back(
        {{"role", role}, {"path", path}, {"sha256", sha256 ? nlohmann::json(*sha256) : nlohmann::json()}});
  return {{"program", provenance.program},
          {"built", provenance.built},
          {"date", provenance.date},
          {"files", std::move(files)}};
}

}  // namespace bnrun
