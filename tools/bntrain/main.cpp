// bntrain: trains networks on tables and measures models on them.
#include "commands.h"

int main(int argc, char** argv) {
  bnrun::cli::Program program(
      "bntrain", "Trains networks with BatchNormalization on tables of data.",
      "  bntrain fit models/data/iris.csv --target species -o iris.onnx\n"
      "  bntrain tune iris.onnx models/data/iris.csv --target species -o tuned.onnx --epochs 10\n"
      "  bntrain eval iris.onnx models/data/iris.csv --target species");
  bnrun::add_fit(program);
  bnrun::add_tune(program);
  bnrun::add_eval(program);
  bnrun::add_compare(program);
  return program.main(argc, argv);
}
