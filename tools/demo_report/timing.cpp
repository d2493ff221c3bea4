// bndemo timing: one model as it is against the same model folded, in turns, so that a machine that slows
// down slows down both.
#include "common/timing.h"

#include <fmt/format.h>

#include <memory>

#include "bnrun/model.h"
#include "commands.h"

namespace bnrun {
namespace {

int show_timing(const std::string& label, const std::string& unfolded, const std::string& folded) {
  const Model before = Model::load(unfolded);
  const Model after = Model::load(folded);
  for (const std::int64_t rows : {1, 32, 256}) {
    const auto [timed, from, to] = cli::time_in_turns(before, after, rows);
    fmt::print("  {:<10} batch {:<4} {:8.3f} us per row, folded {:8.3f} us   {:.2f} x\n", label, timed, from,
               to, from / to);
  }
  return cli::kDone;
}

}  // namespace

void add_timing(cli::Program& program) {
  struct Options {
    std::string label, unfolded, folded;
  };
  const auto options = std::make_shared<Options>();
  auto& command = program.add(
      "timing", "Time a model before and after folding", "  bndemo timing relu relu.onnx relu.folded.onnx",
      [options] { return show_timing(options->label, options->unfolded, options->folded); });
  command.add_option("LABEL", options->label, "How the lines begin")->required();
  command.add_option("UNFOLDED", options->unfolded, "A model of one input [N, columns] and one output")
      ->required();
  command.add_option("FOLDED", options->folded, "The same after bnfold")->required();
}

}  // namespace bnrun
