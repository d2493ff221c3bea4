// bnrun: runs, inspects and tests ONNX models.
#include "commands.h"

int main(int argc, char** argv) {
  bnrun::cli::Program program("bnrun", "Runs ONNX models with BatchNormalization folded away.");
  bnrun::add_test(program);
  return program.main(argc, argv);
}
