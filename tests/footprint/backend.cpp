// backend FOLDER...: runs ONNX backend tests on the installed library alone, and prints what failed and the totals.
#include <bnrun/conformance.h>

#include <cstdio>
#include <filesystem>

int main(int argc, char** argv) {
  int counts[3] = {};
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      if (!std::filesystem::exists(entry.path() / "model.onnx")) continue;
      const auto result = bnrun::run_backend_test(entry.path());
      ++counts[static_cast<int>(result.outcome)];
      if (result.outcome == bnrun::TestOutcome::fail)
        std::printf("FAIL %s: %s\n", entry.path().filename().c_str(), result.detail.c_str());
    }
  }
  std::printf("%d passed, %d failed, %d skipped\n", counts[0], counts[1], counts[2]);
  return counts[1] == 0 && counts[0] > 0 ? 0 : 1;
}
