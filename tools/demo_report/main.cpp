// bndemo: what tools/demo shows besides the programs themselves.
#include "commands.h"

int main(int argc, char** argv) {
  bnrun::cli::Program program("bndemo", "Draws and measures for tools/demo.",
                              "  bndemo timing relu relu.onnx relu.folded.onnx");
  bnrun::add_curves(program);
  bnrun::add_timing(program);
  bnrun::add_digits(program);
  return program.main(argc, argv);
}
