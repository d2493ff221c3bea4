// bntrain: trains networks on tables and measures models on them.
#include "commands.h"

int main(int argc, char** argv) {
  bnrun::cli::Program program("bntrain", "Trains networks with BatchNormalization on tables of data.");
  bnrun::add_fit(program);
  bnrun::add_eval(program);
  return program.main(argc, argv);
}
