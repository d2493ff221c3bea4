// bnfold: folds BatchNormalization into the weights next to it, and verifies that nothing else changed.
#include "commands.h"

int main(int argc, char** argv) {
  bnrun::cli::Program program("bnfold",
                              "Folds BatchNormalization into the weights next to it and writes a standard "
                              "ONNX model.\n`bnfold MODEL -o OUT` is short for `bnfold fold MODEL -o OUT`.",
                              "  bnfold model.onnx -o folded.onnx --strict\n"
                              "  bnfold verify model.onnx folded.onnx");
  bnrun::add_fold(program);
  bnrun::add_verify(program);
  program.set_default("fold");
  return program.main(argc, argv);
}
