#include "verify/indices.h"

#include "base/fail.h"

namespace bnrun {
namespace {

/// A model that takes this takes any number.
constexpr std::int64_t kAny = std::int64_t{1} << 24;

/// Integers from 0 to `last`: what is drawn is truncated.
ChannelAffine up_to(std::int64_t last) {
  const double half = (static_cast<double>(last) + 0.999) / 2.0;
  return {ChannelAffine::kUniform, {half}, {half}};
}

}  // namespace

void widen_indices(const Graph& graph, std::span<const Shape> shapes, std::vector<InputSource>& sources,
                   const std::function<bool(const InputSet&)>& runs, const std::function<bool()>& late) {
  std::vector<std::size_t> integers;
  std::vector<InputSource> tried = sources;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const Value& input = graph.value(graph.inputs()[i]);
    if (input.constant.defined() || !is_integer(input.type.dtype) || input.type.dtype == DType::uint8)
      continue;
    integers.push_back(i);
    tried[i].spread = up_to(1);
  }
  // Corners: each number is the first or the last.
  const auto takes = [&](std::size_t i, std::int64_t last) {
    const ChannelAffine before = tried[i].spread;
    tried[i].spread = up_to(last);
    const bool accepted = runs(Drawer(graph, tried, 1).draw(InputKind::corners, shapes));
    tried[i].spread = before;
    return accepted;
  };
  if (integers.empty() || !takes(integers.front(), 1)) return;
  for (const std::size_t i : integers) {
    if (late() || takes(i, kAny)) continue;
    std::int64_t taken = 1;
    std::int64_t refused = kAny;
    while (refused - taken > 1 && !late()) {
      const std::int64_t middle = taken + (refused - taken) / 2;
      (takes(i, middle) ? taken : refused) = middle;
    }
    sources[i] = {fmt::format("0:{}, the indices that the model takes", taken), up_to(taken)};
  }
}

}  // namespace bnrun
