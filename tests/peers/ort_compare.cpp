// bnrun beside ONNX Runtime: do they agree?
//   ort_compare agree MODEL... [-i FILE]     exit 0 when every output is within --atol
//   ort_compare random -n 500                exit 0 when both agree on random networks, as they are and folded
#include <fmt/format.h>
#include <onnxruntime_cxx_api.h>

#include <CLI/CLI.hpp>

#include "bnrun/error.h"
#include "bnrun/session.h"
#include "io/data.h"
#include "ort_model.h"
#include "ort_random.h"

namespace {

using bnrun::Tensor;

Tensor read_input(const std::string& path, const std::vector<bnrun::PortInfo>& ports) {
  const bnrun::io::InputFile file{"", path};
  return bnrun::io::read_inputs(std::span(&file, 1), ports).at(0).tensor;
}

struct Options {
  std::vector<std::string> models;
  std::string input;
  double atol = 1e-5;
  bool fold = true;
};

bnrun::SessionOptions session_options(const Options& options) {
  bnrun::SessionOptions session;
  if (!options.fold) session.fold.reset();
  return session;
}

int agree(Ort::Env& env, const Options& options) {
  bool all = true;
  for (const auto& path : options.models) {
    const auto session = bnrun::Session::load(path, session_options(options));
    const auto& port = session.inputs().at(0);
    const Tensor x = options.input.empty() ? bnrun::testing::batch_for(port, 64)
                                           : read_input(options.input, session.inputs());
    const auto ours = session.run({{port.name, x}});
    bnrun::testing::OrtModel ort(env, path, 1);
    ort.bind(port.name, x, ours);
    ort.run();
    const double largest = bnrun::testing::largest_difference(ours, ort.outputs());
    const bool good = largest <= options.atol;
    all = all && good;
    fmt::print("{} {}: {} rows, largest difference {:.3g}\n", good ? "agree" : "DIFFER", path, x.shape()[0],
               largest);
  }
  return all ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"bnrun beside ONNX Runtime"};
  Options options;
  app.add_flag("!--no-fold", options.fold, "Run bnrun without folding");
  auto* agree_command = app.add_subcommand("agree", "Compare results");
  agree_command->add_option("MODEL", options.models)->required();
  agree_command->add_option("-i", options.input, "Rows to compare on (default: 64 random ones)");
  agree_command->add_option("--atol", options.atol);
  bnrun::testing::RandomOptions random;
  auto* random_command = app.add_subcommand("random", "Compare results on random networks, also folded");
  random_command->add_option("-n", random.networks, "Number of networks");
  random_command->add_option("--seed", random.seed, "The first one's");
  random_command->add_option("--keep", random.keep, "Folder for what they disagree on: models and inputs");
  app.require_subcommand(1);
  CLI11_PARSE(app, argc, argv);
  try {
    Ort::Env env(random_command->parsed() ? ORT_LOGGING_LEVEL_FATAL : ORT_LOGGING_LEVEL_ERROR);
    if (random_command->parsed()) return bnrun::testing::compare_on_random_networks(env, random) ? 0 : 1;
    return agree(env, options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "ort_compare: {}\n", error.what());
    return 1;
  }
}
