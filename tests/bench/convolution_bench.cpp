// Single convolutions by each algorithm: what share of the limit of multiply-adds they reach, and what the choice between the
// algorithms (kernels/conv/winograd_choice.cpp) is fitted to.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "kernels/conv/convolution.h"
#include "kernels/conv/winograd.h"
#include "kernels/limits/fma.h"
#include "support/tensors.h"

namespace bnrun::testing {
namespace {

/// C to M channels on extent x extent positions, padded so that these stay.
struct Layer {
  std::int64_t taps;  ///< along each axis
  std::int64_t C, M, extent;
};

constexpr Layer kLayers[] = {
    {1, 64, 64, 56},   {1, 64, 256, 56},  {1, 256, 64, 56},   {1, 256, 128, 56},  {1, 128, 512, 28},
    {1, 512, 128, 28}, {1, 512, 256, 28}, {1, 256, 1024, 14}, {1, 1024, 256, 14}, {1, 1024, 512, 14},
    {1, 512, 2048, 7}, {1, 2048, 512, 7}, {3, 3, 64, 224},    {3, 3, 16, 64},     {3, 8, 8, 64},
    {3, 16, 16, 64},   {3, 16, 32, 32},   {3, 48, 16, 64},    {3, 32, 32, 32},    {3, 96, 32, 32},
    {3, 32, 64, 16},   {3, 64, 64, 16},   {3, 64, 64, 56},    {3, 64, 64, 24},    {3, 64, 128, 112},
    {3, 128, 128, 28}, {3, 128, 128, 12}, {3, 128, 256, 56},  {3, 256, 256, 56},  {3, 256, 256, 14},
    {3, 256, 256, 6},  {3, 256, 512, 28}, {3, 512, 512, 28},  {3, 512, 512, 14},  {3, 512, 512, 7},
    {3, 512, 512, 3},
};

double seconds_of(const auto& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

template <class Make>
void add(const char* algorithm, const Layer& layer, Make make) {
  const std::string name = std::string(algorithm) + "/" + std::to_string(layer.taps) + "x" +
                           std::to_string(layer.taps) + "/" + std::to_string(layer.C) + "x" +
                           std::to_string(layer.M) + "/" + std::to_string(layer.extent);
  const auto run = [layer, make](benchmark::State& state) {
    const Tensor W = random_tensor<float>({layer.M, layer.C, layer.taps, layer.taps}, 1, -0.1, 0.1);
    const auto kernel =
        make(ConvolutionWeights<float>{layer.C, layer.M, 1, {layer.taps, layer.taps}, W.data<float>()},
             Dense<float>::Epilogue{{}, {}, {Activation::Kind::relu}});
    const std::int64_t pad = layer.taps / 2;
    const WindowAxis axis{layer.extent, layer.extent, layer.taps, 1, 1, pad, pad};
    const Window window{{axis, axis}};
    const std::int64_t positions = layer.extent * layer.extent;
    const Tensor X = random_tensor<float>({positions * layer.C}, 2, -1.0, 1.0);
    std::vector<float> Y(static_cast<std::size_t>(positions * layer.M));
    const std::size_t bytes = kernel.scratch_bytes(window, 1);
    const AlignedBuffer<std::byte> scratch(bytes);
    const Workspace workspace(nullptr, scratch.data(), bytes);
    const FmaLoop limit = widest_fma_loop();
    const auto layer_once = [&] {
      kernel.run(window, 1, X.data<float>(), nullptr, Y.data(), workspace);
      benchmark::ClobberMemory();
    };
    const double flops = 2.0 * static_cast<double>(layer.taps * layer.taps * positions * layer.C * layer.M);
    std::vector<double> rates;   // FLOP/s
    std::vector<double> shares;  // of the limit, measured just before
    // As between the other layers of a network: weights beyond the second-level cache are no longer in it.
    std::vector<char> others(std::size_t{8} << 20);
    for (auto _ : state) {
      for (std::size_t i = 0; i < others.size(); i += kCacheLine) ++others[i];
      // The best of some: the first wide vectors behind a pause are slower.
      double of_limit = limit.run != nullptr ? seconds_of(limit.run) : 0.0;
      for (int i = 0; i < 4 && limit.run != nullptr; ++i)
        of_limit = std::min(of_limit, seconds_of(limit.run));
      const double seconds = seconds_of(layer_once);
      state.SetIterationTime(seconds);
      rates.push_back(flops / seconds);
      shares.push_back(rates.back() * of_limit / std::max(1.0, limit.flops));
    }
    state.counters["GFLOP/s"] = median(rates) / 1e9;
    if (limit.run != nullptr) state.counters["share"] = median(shares);
  };
  benchmark::RegisterBenchmark(name.c_str(), run)
      ->Iterations(20)
      ->UseManualTime()
      ->Unit(benchmark::kMicrosecond);
}

void add_all() {
  for (const Layer& layer : kLayers) {
    add("direct", layer,
        [](const auto& weights, const auto& epilogue) { return Convolution<float>(weights, epilogue); });
    if (layer.taps != 3) continue;
    for (const int tile : {2, 4}) {
      add(tile == 2 ? "tiles of 2" : "tiles of 4", layer,
          [tile](const auto& weights, const auto& epilogue) { return Winograd(tile, weights, epilogue); });
    }
  }
}

}  // namespace
}  // namespace bnrun::testing

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  bnrun::testing::add_all();
  benchmark::RunSpecifiedBenchmarks();
}
