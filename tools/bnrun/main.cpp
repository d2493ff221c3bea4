// bnrun: runs, inspects and tests ONNX models.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "bnrun/conformance.h"

namespace {

int run_tests(const std::vector<std::string>& folders) {
  int counts[3] = {};
  for (const auto& folder : folders) {
    const auto result = bnrun::run_backend_test(folder);
    constexpr const char* kNames[] = {"PASS", "FAIL", "SKIP"};
    const auto outcome = static_cast<std::size_t>(result.outcome);
    ++counts[outcome];
    const std::string name = std::filesystem::path(folder).filename().string();
    std::printf("%s %s%s%s\n", kNames[outcome], name.c_str(), result.detail.empty() ? "" : ": ",
                result.detail.c_str());
  }
  std::printf("%d passed, %d failed, %d skipped\n", counts[0], counts[1], counts[2]);
  return counts[1] == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Runs ONNX models with BatchNormalization folded away."};
  std::vector<std::string> folders;
  auto* test = app.add_subcommand("test", "Run ONNX backend-test folders");
  test->add_option("DIR", folders, "Folders with model.onnx and test_data_set_*")->required();
  app.require_subcommand(1);
  CLI11_PARSE(app, argc, argv);
  return run_tests(folders);
}
