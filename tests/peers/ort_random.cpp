#include "ort_random.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "api/model_access.h"
#include "bnrun/fold.h"
#include "bnrun/session.h"
#include "io/npy.h"
#include "op/shape_rules.h"
#include "passes/widen.h"
#include "support/error_bound.h"
#include "support/random_graph.h"
#include "verify/interpret.h"

namespace bnrun::testing {
namespace {

namespace fs = std::filesystem;

using Tensors = std::vector<NamedTensor>;

/// Element types have the same numbers in both engines.
Tensors run_in_ort(Ort::Env& env, const fs::path& model, const Tensors& inputs, const Tensors& like,
                   GraphOptimizationLevel level = ORT_ENABLE_ALL) {
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(1);
  options.SetInterOpNumThreads(1);
  options.SetGraphOptimizationLevel(level);
  Ort::Session session(env, model.c_str(), options);
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  std::vector<Tensor> copies;
  std::vector<Ort::Value> values;
  std::vector<const char*> input_names;
  std::vector<const char*> output_names;
  for (const auto& [name, tensor] : inputs) {
    copies.push_back(Tensor::copy_of(tensor));
    values.push_back(Ort::Value::CreateTensor(memory, copies.back().mutable_view().bytes, tensor.bytes(),
                                              tensor.shape().begin(), tensor.shape().rank(),
                                              static_cast<ONNXTensorElementDataType>(tensor.dtype())));
    input_names.push_back(name.c_str());
  }
  for (const auto& [name, tensor] : like) output_names.push_back(name.c_str());
  const auto results = session.Run(Ort::RunOptions{nullptr}, input_names.data(), values.data(), values.size(),
                                   output_names.data(), output_names.size());
  Tensors outputs;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const auto info = results[i].GetTensorTypeAndShapeInfo();
    const auto dims = info.GetShape();
    Tensor tensor(static_cast<DType>(info.GetElementType()), Shape(dims));
    const auto* bytes = static_cast<const std::byte*>(results[i].GetTensorRawData());
    std::copy_n(bytes, tensor.bytes(), static_cast<std::byte*>(tensor.mutable_view().bytes));
    outputs.push_back({like[i].name, std::move(tensor)});
  }
  return outputs;
}

/// Largest error as a part of its bound; infinite for another type or shape.
double error_of(const Tensors& outputs, const Tensors& truth, const ErrorBound& bound, DType dtype) {
  double worst = 0.0;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const auto& [name, output] = outputs[i];
    if (output.dtype() != dtype || !(output.shape() == truth[i].tensor.shape())) return INFINITY;
    const auto got = read_doubles(output);
    const auto expected = read_doubles(truth[i].tensor);
    for (std::size_t k = 0; k < got.size(); ++k) {
      const double allowed = bound(name, k);
      const double error = std::abs(got[k] - expected[k]);
      if (!std::isfinite(allowed) || error == 0.0) continue;
      const double part = error / allowed;
      worst = part <= worst ? worst : part;  // NaN stays
    }
  }
  return worst;
}

/// Largest |a - b| / (1 + |b|).
double distance(const Tensors& a, const Tensors& b) {
  double largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto x = read_doubles(a[i].tensor);
    const auto y = read_doubles(b[i].tensor);
    for (std::size_t k = 0; k < x.size(); ++k) {
      const double d = std::abs(x[k] - y[k]) / (1.0 + std::abs(y[k]));
      if (std::isfinite(d)) largest = std::max(largest, d);
    }
  }
  return largest;
}

/// "Conv(11) float64" where ONNX Runtime has no kernel, else what it says up to the first name.
std::string reason_of(const std::string& message, DType dtype) {
  for (const std::string_view phrase : {"implementation for ", "kernel for "}) {
    const auto at = message.find(phrase);
    if (at == std::string::npos) continue;
    const std::string text = message.substr(at + phrase.size());
    return fmt::format("{} {}", text.substr(0, text.find(' ')), name_of(dtype));
  }
  return message.substr(0, message.find_first_of("('\n"));
}

class Comparison {
 public:
  Comparison(Ort::Env& env, const RandomOptions& options) : env_(env), options_(options) {
    folder_ = options.keep.empty() ? fs::temp_directory_path() / fmt::format("ort_compare_{}", ::getpid())
                                   : fs::path(options.keep);
    fs::create_directories(folder_);
  }
  ~Comparison() {
    std::error_code ignored;
    if (options_.keep.empty()) fs::remove_all(folder_, ignored);
  }

  bool run() {
    for (std::uint64_t seed = options_.seed; seed < options_.seed + options_.networks; ++seed) compare(seed);
    std::size_t refused = 0;
    for (const auto& [reason, count] : not_run_) refused += count;
    fmt::print("{} networks compared, {} disagreements, {} that ONNX Runtime does not run\n", compared_,
               disagreements_, refused);
    for (const auto& [reason, count] : not_run_) fmt::print("  {:6} {}\n", count, reason);
    fmt::print("right only with its optimisations switched off:\n");
    for (const auto& [who, count] : own_) fmt::print("  {:6} {}\n", count, who);
    fmt::print("largest error as a part of the bound:\n");
    for (const auto& [who, worst] : worst_)
      fmt::print("  {:32} {:.3g} (seed {})\n", who, worst.first, worst.second);
    fmt::print("largest difference |a - b| / (1 + |b|), float32 only:\n");
    for (const auto& [who, difference] : differences_) fmt::print("  {:48} {:.3g}\n", who, difference);
    return disagreements_ == 0 && compared_ > 0;
  }

 private:
  void compare(std::uint64_t seed) {
    const RandomNetwork network = random_network(Recipe::of(seed));
    const Model& original = network.model;
    const std::vector<Tensor>& data = network.inputs;
    Model folded = original;
    fold(folded);
    const fs::path original_file = folder_ / fmt::format("original_{}.onnx", seed);
    const fs::path folded_file = folder_ / fmt::format("folded_{}.onnx", seed);
    original.save(original_file);
    folded.save(folded_file);

    Tensors inputs;
    std::vector<Tensor> wide;
    for (std::size_t i = 0; i < data.size(); ++i) {
      if (data[i].defined()) inputs.push_back({original.inputs()[i].name, data[i]});
      wide.push_back(is_floating(data[i].dtype()) ? convert(data[i], DType::float64) : data[i]);
    }
    const Graph exact = widened(graph_of(original));
    Tensors truth;
    for (Tensor& output : interpret(exact, std::vector<TensorView>(wide.begin(), wide.end())))
      truth.push_back({original.outputs()[truth.size()].name, std::move(output)});
    const DType dtype = data[0].dtype();
    const ErrorBound bound(exact, wide, dtype);

    bool good = true;
    std::string problem;
    const auto attempt = [&](const fs::path& file, GraphOptimizationLevel level) {
      std::optional<Tensors> outputs;
      try {
        outputs = run_in_ort(env_, file, inputs, truth, level);
      } catch (const Ort::Exception& error) {
        problem = error.what();
      }
      return outputs;
    };
    const auto check = [&](const std::string& who, const Tensors& outputs) {
      const double error = error_of(outputs, truth, bound, dtype);
      if (error <= 1.0) {
        auto& worst = worst_[who];
        worst = std::max(worst, {error, seed});
        return;
      }
      good = false;
      fmt::print("DISAGREE seed {} ({}, opset {}): {}: error / bound {:.3g}\n", seed, name_of(dtype),
                 graph_of(original).opset(""), who, error);
    };
    const auto check_peer = [&](const std::string& who, const fs::path& file, const Tensors& outputs) {
      if (error_of(outputs, truth, bound, dtype) > 1.0) {
        const auto plain = attempt(file, ORT_DISABLE_ALL);
        if (plain && error_of(*plain, truth, bound, dtype) <= 1.0) {
          ++own_[fmt::format("{}, {}", who, name_of(dtype))];
          fmt::print("seed {}: {} needs its optimisations switched off\n", seed, who);
          return check(who, *plain);
        }
      }
      check(who, outputs);
    };

    if (const auto peer_original = attempt(original_file, ORT_ENABLE_ALL)) {
      ++compared_;
      check_peer("ONNX Runtime on the original", original_file, *peer_original);
      const Tensors ours = Session(original).run(inputs);
      check("bnrun", ours);
      if (const auto peer_folded = attempt(folded_file, ORT_ENABLE_ALL)) {
        check_peer("ONNX Runtime on the folded model", folded_file, *peer_folded);
        if (dtype == DType::float32) {
          note(differences_["ONNX Runtime: folded from original"], distance(*peer_folded, *peer_original));
          note(differences_["folded in ONNX Runtime from bnrun"], distance(*peer_folded, ours));
        }
      } else {
        good = false;
        fmt::print("DISAGREE seed {}: the folded model does not run: {}\n", seed, problem);
      }
    } else {
      ++not_run_[reason_of(problem, dtype)];
    }
    disagreements_ += good ? 0 : 1;
    if (good) {
      fs::remove(original_file);
      fs::remove(folded_file);
    } else if (!options_.keep.empty()) {
      std::ofstream file(folder_ / fmt::format("inputs_{}.npz", seed), std::ios::binary);
      io::write_npz(file, inputs);
    }
  }

  static void note(double& largest, double value) { largest = std::max(largest, value); }

  Ort::Env& env_;
  const RandomOptions& options_;
  fs::path folder_;
  std::size_t compared_ = 0;
  std::size_t disagreements_ = 0;
  std::map<std::string, std::size_t> not_run_;
  std::map<std::string, std::size_t> own_;                         ///< right only without its optimisations
  std::map<std::string, std::pair<double, std::uint64_t>> worst_;  ///< and its seed
  std::map<std::string, double> differences_;
};

}  // namespace

bool compare_on_random_networks(Ort::Env& env, const RandomOptions& options) {
  return Comparison(env, options).run();
}

}  // namespace bnrun::testing
