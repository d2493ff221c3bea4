// Whole networks of dense layers through a Session, the engine's kernels beside BLAS.
#include <benchmark/benchmark.h>

#include <cmath>

#include "bnrun/session.h"
#include "support/graph_building.h"

namespace bnrun::testing {
namespace {

Model network(const std::vector<std::int64_t>& widths) {
  GraphBuilder b;
  auto h = b.input("x", DType::float32, {"N", widths.front()});
  for (std::size_t i = 1; i < widths.size(); ++i) {
    const double range = 1.0 / std::sqrt(static_cast<double>(widths[i - 1]));
    const auto seed = static_cast<std::uint32_t>(i);
    h = b.op("Gemm", {h, random_tensor({widths[i - 1], widths[i]}, seed, -range, range),
                      random_tensor({widths[i]}, seed)});
    if (i + 1 < widths.size()) h = b.op("Relu", {h});
  }
  b.output(h);
  return b.model();
}

void run(benchmark::State& state, const std::vector<std::int64_t>& widths, Kernels kernels) {
  const Session session(network(widths), {.kernels = kernels});
  const std::int64_t rows = state.range(0);
  const Tensor X = random_tensor({rows, widths.front()}, 1);
  Tensor Y(DType::float32, {rows, widths.back()});
  const TensorView inputs[] = {X};
  const MutableTensorView outputs[] = {Y.mutable_view()};
  for (auto _ : state) session.run(inputs, outputs);
  std::int64_t flops = 0;
  for (std::size_t i = 1; i < widths.size(); ++i) flops += 2 * rows * widths[i - 1] * widths[i];
  state.counters["FLOP/s"] =
      benchmark::Counter(static_cast<double>(flops), benchmark::Counter::kIsIterationInvariantRate);
  state.counters["s/row"] = benchmark::Counter(
      static_cast<double>(rows), benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

const std::vector<std::int64_t> kSmall = {64, 32, 32, 10};
const std::vector<std::int64_t> kWide = {784, 512, 512, 10};

BENCHMARK_CAPTURE(run, small_packed, kSmall, Kernels::packed)->Arg(1)->Arg(8)->Arg(64)->Arg(256)->Arg(4096);
BENCHMARK_CAPTURE(run, small_blas, kSmall, Kernels::blas)->Arg(1)->Arg(8)->Arg(64)->Arg(256)->Arg(4096);
BENCHMARK_CAPTURE(run, wide_packed, kWide, Kernels::packed)->Arg(1)->Arg(8)->Arg(64)->Arg(256)->Arg(4096);
BENCHMARK_CAPTURE(run, wide_blas, kWide, Kernels::blas)->Arg(1)->Arg(8)->Arg(64)->Arg(256)->Arg(4096);

}  // namespace
}  // namespace bnrun::testing

BENCHMARK_MAIN();
