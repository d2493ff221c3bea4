// Elementary functions, activations and Softmax on arrays that stay in the first-level cache.
#include <benchmark/benchmark.h>

#include <string>

#include "kernels/math/softmax.h"
#include "support/graph_building.h"
#include "support/math_reference.h"

namespace bnrun::testing {
namespace {

constexpr std::int64_t kElements = 2560;

void count(benchmark::State& state) {
  state.counters["s/element"] =
      benchmark::Counter(static_cast<double>(kElements),
                         benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

template <class T>
void add_functions(const std::string& type) {
  for (const auto& function : math_functions<T>()) {
    benchmark::RegisterBenchmark((type + "/" + function.name).c_str(), [&function](benchmark::State& state) {
      const Tensor x = random_tensor<T>({kElements}, 1, -4.0, 4.0);
      std::vector<T> y(static_cast<std::size_t>(kElements));
      for (auto _ : state) {
        function.kernel(x.span<T>(), y.data());
        benchmark::ClobberMemory();
      }
      count(state);
    });
  }
  const auto softmax_of = [](benchmark::State& state) {
    const Tensor x = random_tensor<T>({kElements}, 1, -4.0, 4.0);
    std::vector<T> y(static_cast<std::size_t>(kElements));
    const std::int64_t extent = state.range(0);
    const std::int64_t inner = state.range(1);
    for (auto _ : state) {
      softmax(SoftmaxResult::probabilities, x.data<T>(), kElements / extent / inner, extent, inner, y.data());
      benchmark::ClobberMemory();
    }
    count(state);
  };
  benchmark::RegisterBenchmark((type + "/softmax").c_str(), softmax_of)
      ->ArgNames({"extent", "inner"})
      ->Args({10, 1})
      ->Args({256, 1})
      ->Args({8, 64});
}

}  // namespace
}  // namespace bnrun::testing

int main(int argc, char** argv) {
  bnrun::testing::add_functions<float>("float");
  bnrun::testing::add_functions<double>("double");
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
