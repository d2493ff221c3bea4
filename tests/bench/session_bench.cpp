// session_bench MODEL ROWS: microseconds of one call of Session::run between own buffers, the median of many rounds. For
// python_overhead.py.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "bnrun/session.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto session = bnrun::Session::load(argv[1]);
  const auto& port = session.inputs().at(0);
  bnrun::Tensor x(port.dtype, {std::atoll(argv[2]), port.dims.value().at(1).extent.value()});
  const bnrun::TensorView inputs[] = {x};
  bnrun::Tensor y(session.output_types(inputs).at(0));
  const bnrun::MutableTensorView outputs[] = {y.mutable_view()};
  constexpr int kCalls = 2000;
  std::vector<double> rounds;
  for (int round = 0; round < 100; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (int call = 0; call < kCalls; ++call) session.run(inputs, outputs);
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
    rounds.push_back(took.count() / kCalls);
  }
  std::ranges::nth_element(rounds, rounds.begin() + 50);
  std::printf("%.3f\n", rounds[50]);
}
