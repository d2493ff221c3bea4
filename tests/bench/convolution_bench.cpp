// One 3x3 convolution by each algorithm: what the choice between them (kernels/conv/winograd_choice.cpp) is fitted to.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "kernels/conv/convolution.h"
#include "kernels/conv/winograd.h"
#include "support/graph_building.h"

namespace bnrun::testing {
namespace {

/// C to M channels on extent x extent positions.
struct Layer {
  std::int64_t C, M, extent;
};

constexpr Layer kLayers[] = {
    {3, 64, 224},   {3, 16, 64},    {8, 8, 64},     {16, 16, 64},   {16, 32, 32},   {48, 16, 64},
    {32, 32, 32},   {96, 32, 32},   {32, 64, 16},   {64, 64, 16},   {64, 64, 56},   {64, 64, 24},
    {64, 128, 112}, {128, 128, 28}, {128, 128, 12}, {128, 256, 56}, {256, 256, 56}, {256, 256, 14},
    {256, 256, 6},  {256, 512, 28}, {512, 512, 28}, {512, 512, 14}, {512, 512, 7},  {512, 512, 3},
};

template <class Make>
void add(const char* algorithm, const Layer& layer, Make make) {
  const std::string name = std::string(algorithm) + "/" + std::to_string(layer.C) + "x" +
                           std::to_string(layer.M) + "/" + std::to_string(layer.extent);
  const auto run = [layer, make](benchmark::State& state) {
    const Tensor W = random_tensor<float>({layer.M, layer.C, 3, 3}, 1, -0.1, 0.1);
    const auto kernel = make(ConvolutionWeights<float>{layer.C, layer.M, 1, {3, 3}, W.data<float>()},
                             Dense<float>::Epilogue{{}, {}, {Activation::Kind::relu}});
    const WindowAxis axis{layer.extent, layer.extent, 3, 1, 1, 1, 1};
    const Window window{{axis, axis}};
    const std::int64_t positions = layer.extent * layer.extent;
    const Tensor X = random_tensor<float>({positions * layer.C}, 2, -1.0, 1.0);
    std::vector<float> Y(static_cast<std::size_t>(positions * layer.M));
    const std::size_t bytes = kernel.scratch_bytes(window, 1);
    const AlignedBuffer<std::byte> scratch(bytes);
    const Workspace workspace(nullptr, scratch.data(), bytes);
    // As between the other layers of a network: weights beyond the second-level cache are no longer in it.
    std::vector<char> others(std::size_t{8} << 20);
    for (auto _ : state) {
      state.PauseTiming();
      for (std::size_t i = 0; i < others.size(); i += kCacheLine) ++others[i];
      state.ResumeTiming();
      kernel.run(window, 1, X.data<float>(), nullptr, Y.data(), workspace);
      benchmark::ClobberMemory();
    }
    state.counters["FLOP/s"] =
        benchmark::Counter(2.0 * 9.0 * static_cast<double>(positions * layer.C * layer.M),
                           benchmark::Counter::kIsIterationInvariantRate);
  };
  benchmark::RegisterBenchmark(name.c_str(), run)->Iterations(20);
}

void add_all() {
  for (const Layer& layer : kLayers) {
    add("direct", layer,
        [](const auto& weights, const auto& epilogue) { return Convolution<float>(weights, epilogue); });
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
