// bnrun: runs, inspects, times and tests ONNX models.
#include "commands.h"

int main(int argc, char** argv) {
  bnrun::cli::Program program(
      "bnrun",
      "Runs ONNX models with BatchNormalization folded away.\n"
      "`bnrun MODEL` is short for `bnrun run MODEL`. bnfold folds models into files, bntrain trains them;\n"
      "programs have the same engine in C++ and C (`pkg-config bnrun`, CMake's find_package(bnrun)) and in\n"
      "Python (`import bnrun`).",
      "  bnrun model.onnx -i rows.csv\n"
      "  bnrun predict model.onnx -i rows.csv\n"
      "  bnrun inspect model.onnx");
  bnrun::add_run(program);
  bnrun::add_predict(program);
  bnrun::add_inspect(program);
  bnrun::add_bench(program);
  bnrun::add_profile(program);
  bnrun::add_test(program);
  bnrun::add_operators(program);
  program.set_default("run");
  return program.main(argc, argv);
}
