// bnrun beside ONNX Runtime in one process: do they agree, and which is faster?
//   ort_compare agree MODEL... [-i FILE]     exit 0 when every output is within --atol
//   ort_compare bench MODEL... -b 1,64,256   ratio of medians, the engines taking turns
//   ort_compare random -n 500                exit 0 when both agree on random networks, as they are and
//   folded
// ONNX Runtime runs as its best users run it: all graph optimisations, IoBinding between preallocated
// buffers.
#include <fmt/format.h>
#include <onnxruntime_cxx_api.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>

#include "bnrun/error.h"
#include "bnrun/session.h"
#include "io/data.h"
#include "ort_random.h"

namespace {

using bnrun::DType;
using bnrun::Shape;
using bnrun::Tensor;

Tensor random_tensor(const Shape& shape, DType dtype, std::uint32_t seed) {
  std::mt19937 engine(seed);
  Tensor tensor(DType::float64, shape);
  for (double& x : tensor.mutable_span<double>()) x = (static_cast<double>(engine()) * 0x1p-31 - 1.0) * 3.0;
  return bnrun::convert(tensor, dtype);
}

/// The first input of a model for a batch of this many rows.
Tensor batch_for(const bnrun::PortInfo& port, std::int64_t rows) {
  Shape shape;
  for (const auto& dim : port.dims.value()) shape.push_back(dim.extent.value_or(rows));
  return random_tensor(shape, port.dtype, 7);
}

Tensor read_input(const std::string& path, const std::vector<bnrun::PortInfo>& ports) {
  const bnrun::io::InputFile file{"", path};
  return bnrun::io::read_inputs(std::span(&file, 1), ports).at(0).tensor;
}

/// One model in ONNX Runtime, bound to buffers for one input.
class OrtModel {
 public:
  OrtModel(Ort::Env& env, const std::string& path, int threads) : session_(nullptr) {
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(threads);
    options.SetGraphOptimizationLevel(ORT_ENABLE_ALL);
    session_ = Ort::Session(env, path.c_str(), options);
  }

  void bind(const std::string& input, const Tensor& x, const std::vector<bnrun::NamedTensor>& like) {
    binding_ = Ort::IoBinding(session_);
    outputs_.clear();
    const auto bind_to = [&](Tensor& tensor) {  // element types have the same numbers in both engines
      return Ort::Value::CreateTensor(memory_, tensor.mutable_view().bytes, tensor.bytes(),
                                      tensor.shape().begin(), tensor.shape().rank(),
                                      static_cast<ONNXTensorElementDataType>(tensor.dtype()));
    };
    input_ = Tensor::copy_of(x);
    binding_.BindInput(input.c_str(), bind_to(input_));
    outputs_.reserve(like.size());
    for (const auto& [name, tensor] : like) {
      outputs_.push_back(Tensor(tensor.dtype(), tensor.shape()));
      binding_.BindOutput(name.c_str(), bind_to(outputs_.back()));
    }
  }

  void run() { session_.Run(Ort::RunOptions{nullptr}, binding_); }
  const std::vector<Tensor>& outputs() const { return outputs_; }

 private:
  Ort::Session session_;
  Ort::MemoryInfo memory_ = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  Ort::IoBinding binding_{nullptr};
  Tensor input_;
  std::vector<Tensor> outputs_;
};

struct Options {
  std::vector<std::string> models;
  std::string input;
  double atol = 1e-5;
  std::vector<std::int64_t> batches{1, 8, 64, 256};
  int threads = 1;
  bool fold = true;
};

bnrun::SessionOptions session_options(const Options& options) {
  bnrun::SessionOptions session{.threads = options.threads};
  if (!options.fold) session.fold.reset();
  return session;
}

int agree(Ort::Env& env, const Options& options) {
  bool all = true;
  for (const auto& path : options.models) {
    const auto session = bnrun::Session::load(path, session_options(options));
    const auto& port = session.inputs().at(0);
    const Tensor x =
        options.input.empty() ? batch_for(port, 64) : read_input(options.input, session.inputs());
    const auto ours = session.run({{port.name, x}});
    OrtModel ort(env, path, 1);
    ort.bind(port.name, x, ours);
    ort.run();
    double largest = 0.0;
    for (std::size_t i = 0; i < ours.size(); ++i) {
      const Tensor wide_a = bnrun::convert(ours[i].tensor, DType::float64);
      const Tensor wide_b = bnrun::convert(ort.outputs()[i], DType::float64);
      const auto a = wide_a.span<double>();
      const auto b = wide_b.span<double>();
      for (std::size_t k = 0; k < a.size(); ++k) {
        const double d = std::abs(a[k] - b[k]);
        largest = d <= largest ? largest : d;  // NaN stays
      }
    }
    const bool good = largest <= options.atol;
    all = all && good;
    fmt::print("{} {}: {} rows, largest difference {:.3g}\n", good ? "agree" : "DIFFER", path, x.shape()[0],
               largest);
  }
  return all ? 0 : 1;
}

template <class F>
double seconds(F&& f, int repeats) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < repeats; ++i) f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / repeats;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

int bench(Ort::Env& env, const Options& options) {
  fmt::print("| model | rows | bnrun us/row | ONNX Runtime us/row | times faster |\n|---|---|---|---|---|\n");
  for (const auto& path : options.models) {
    const auto session = bnrun::Session::load(path, session_options(options));
    const auto& port = session.inputs().at(0);
    for (const auto rows : options.batches) {
      const Tensor x = batch_for(port, rows);
      auto ours = session.run({{port.name, x}});
      OrtModel ort(env, path, options.threads);
      ort.bind(port.name, x, ours);
      const std::vector<bnrun::TensorView> in{x.view()};
      std::vector<bnrun::MutableTensorView> out;
      for (auto& named : ours) out.push_back(named.tensor.mutable_view());
      const auto run_ours = [&] { session.run(in, out); };
      const auto run_ort = [&] { ort.run(); };
      const double once = std::max({seconds(run_ours, 3), seconds(run_ort, 3), 1e-7});
      const int repeats = std::max(1, static_cast<int>(0.01 / once));
      std::vector<double> a;
      std::vector<double> b;
      for (int round = 0; round < 25; ++round) {
        a.push_back(seconds(run_ours, repeats));
        b.push_back(seconds(run_ort, repeats));
      }
      const double per_row = 1e6 / static_cast<double>(rows);
      fmt::print("| {} | {} | {:.3f} | {:.3f} | {:.2f} |\n", path.substr(path.rfind('/') + 1), rows,
                 median(a) * per_row, median(b) * per_row, median(b) / median(a));
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"bnrun beside ONNX Runtime"};
  Options options;
  app.add_flag("!--no-fold", options.fold, "Run bnrun without folding");
  auto* agree_command = app.add_subcommand("agree", "Compare results");
  auto* bench_command = app.add_subcommand("bench", "Compare speed");
  for (auto* command : {agree_command, bench_command})
    command->add_option("MODEL", options.models)->required();
  agree_command->add_option("-i", options.input, "Rows to compare on (default: 64 random ones)");
  agree_command->add_option("--atol", options.atol);
  bench_command->add_option("-b", options.batches)->delimiter(',');
  bench_command->add_option("-t", options.threads);
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
    return agree_command->parsed() ? agree(env, options) : bench(env, options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "ort_compare: {}\n", error.what());
    return 1;
  }
}
