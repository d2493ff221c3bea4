// bnrun test: ONNX backend-test folders.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>

#include "bnrun/conformance.h"
#include "commands.h"
#include "common/printable.h"

namespace bnrun {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 3> kNames = {"PASS", "FAIL", "SKIP"};
constexpr std::array<const char*, 3> kColours = {"\033[32m", "\033[31m", "\033[33m"};

/// A folder without a model stands for the folders with models in it, ordered by name.
std::vector<fs::path> expand(const std::vector<std::string>& folders) {
  std::vector<fs::path> expanded;
  for (const fs::path folder : folders) {
    const std::size_t before = expanded.size();
    if (fs::is_directory(folder) && !fs::exists(folder / "model.onnx")) {
      for (const auto& entry : fs::directory_iterator(folder))
        if (fs::exists(entry.path() / "model.onnx")) expanded.push_back(entry.path());
    }
    if (expanded.size() == before) expanded.push_back(folder);
    std::sort(expanded.begin() + static_cast<std::ptrdiff_t>(before), expanded.end());
  }
  return expanded;
}

std::string name_of_folder(const fs::path& folder) {
  return folder.has_filename() ? folder.filename().string() : folder.parent_path().filename().string();
}

int run_tests(const cli::Console& console, const std::vector<std::string>& arguments) {
  const bool colour = cli::colour_output();
  std::array<int, 3> counts{};
  const auto folders = expand(arguments);
  cli::Progress progress(console, "testing", folders.size());
  for (std::size_t i = 0; i < folders.size(); ++i) {
    progress.update(i, name_of_folder(folders[i]));
    const auto result = run_backend_test(folders[i]);
    const auto outcome = static_cast<std::size_t>(result.outcome);
    ++counts[outcome];
    if (console.quiet && result.outcome != TestOutcome::fail) continue;
    progress.wipe();
    fmt::print("{}{}{} {}{}{}\n", colour ? kColours[outcome] : "", kNames[outcome], colour ? "\033[0m" : "",
               cli::printable(name_of_folder(folders[i])), result.detail.empty() ? "" : ": ",
               cli::printable(result.detail));
  }
  progress.wipe();
  fmt::print("{} passed, {} failed, {} skipped\n", counts[0], counts[1], counts[2]);
  return counts[1] == 0 ? cli::kDone : cli::kAnswerIsNo;
}

}  // namespace

void add_test(cli::Program& program) {
  const auto folders = std::make_shared<std::vector<std::string>>();
  auto& command = program.add("test", "Run ONNX backend-test folders: PASS, FAIL or SKIP, and the totals",
                              "  bnrun test /usr/share/libonnx-testdata/data/node/test_gemm_*\n"
                              "  bnrun test --quiet /usr/share/libonnx-testdata/data/simple",
                              [&program, folders] { return run_tests(program.console(), *folders); });
  command
      .add_option("DIR", *folders, "Folders with model.onnx and test_data_set_*, or folders of such folders")
      ->required();
}

}  // namespace bnrun
