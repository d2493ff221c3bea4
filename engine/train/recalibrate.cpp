#include <algorithm>

#include "base/fail.h"
#include "bnrun/train_tune.h"
#include "train/layers/folded_linear.h"
#include "train/network.h"

namespace bnrun::train {
namespace {

/// Shows visit(values) what stage s receives at inference, block of rows by block.
template <class Visit>
void show_input(const Stack<float>& stack, std::size_t s, std::int64_t rows,
                const std::vector<float>& features, Visit visit) {
  if (s == 0) return visit(std::span<const float>(features));
  std::vector<float> y(count_of(rows * stack.outputs()));
  stack.infer(rows, features.data(), y.data(),
              [&](std::size_t stage, std::int64_t, std::span<const float> values) {
                if (stage + 1 == s) visit(values);
              });
}

/// Mean and population variance of each channel, in two passes.
void measure(const Stack<float>& stack, std::size_t s, std::int64_t rows, const std::vector<float>& features,
             std::span<double> statistics) {
  const std::size_t columns = statistics.size() / 2;
  std::vector<double> mean(columns);
  std::vector<double> var(columns);
  const auto each = [&](auto add) {
    show_input(stack, s, rows, features, [&](std::span<const float> values) {
      for (std::size_t i = 0; i < values.size(); ++i) add(i % columns, static_cast<double>(values[i]));
    });
  };
  double count = 0.0;  // of a channel
  each([&](std::size_t c, double value) {
    mean[c] += value;
    if (c == 0) ++count;
  });
  for (double& m : mean) m /= count;
  each([&](std::size_t c, double value) { var[c] += (value - mean[c]) * (value - mean[c]); });
  for (double& v : var) v /= count;
  std::ranges::copy(mean, statistics.begin());
  std::ranges::copy(var, statistics.begin() + static_cast<std::ptrdiff_t>(columns));
}

}  // namespace

void calibrate_ranges(Network& network, const Dataset& rows) {
  check_data(network, rows);
  if (network.folding() != Folding::int8) return;
  auto& stack = network.state().stack;
  const Dataset seen = scaled(network, rows);
  for (std::size_t s = 0; s < stack.stages().size(); ++s) {
    auto* quantised = dynamic_cast<FoldedLinearLayer<float>*>(stack.stages()[s].layer);
    if (quantised == nullptr) continue;
    float low = 0.0F;
    float high = 0.0F;
    show_input(stack, s, seen.rows(), seen.features, [&](std::span<const float> values) {
      const auto [least, most] = std::ranges::minmax_element(values);
      low = std::min(low, *least);
      high = std::max(high, *most);
    });
    const float ends[] = {low, high};
    MovingRange range;
    range.observe(std::span<const float>(ends));
    std::ranges::copy(range.state(), quantised->statistics().begin());
  }
}

void recalibrate(Network& network, const Dataset& rows) {
  check_data(network, rows);
  auto& stack = network.state().stack;
  const Folding folding = network.folding();
  network.set_folding(Folding::none);
  const Dataset seen = scaled(network, rows);
  for (std::size_t s = 0; s < stack.stages().size(); ++s) {
    if (!std::holds_alternative<BatchNormalization>(stack.specs()[s])) continue;
    measure(stack, s, seen.rows(), seen.features, stack.layers()[s]->statistics());
  }
  network.set_folding(folding);
  calibrate_ranges(network, rows);
}

}  // namespace bnrun::train
