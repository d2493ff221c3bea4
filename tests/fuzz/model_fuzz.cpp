// Any bytes as a model: reading, folding, compiling and one run may refuse it with bnrun::Error and do nothing worse.
#include <cstddef>
#include <cstdint>
#include <span>

#include "bnrun/error.h"
#include "bnrun/session.h"

namespace {

constexpr std::int64_t kMaxElements = 1 << 16;  // of an input: what is looked for is mistakes, not patience

void run_once(const bnrun::Session& session) {
  std::vector<bnrun::NamedTensor> inputs;
  for (const auto& port : session.inputs()) {
    if (port.optional) continue;
    if (!port.dims) return;
    bnrun::Shape shape;
    for (const auto& dim : *port.dims) shape.push_back(dim.extent.value_or(2));
    if (shape.elements() > kMaxElements) return;
    inputs.push_back({port.name, bnrun::Tensor(port.dtype, shape)});
  }
  session.run(inputs);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto model = bnrun::Model::parse(std::as_bytes(std::span(data, size)));
    run_once(bnrun::Session(model));
  } catch (const bnrun::Error& error) {
    if (error.code() == bnrun::ErrorCode::internal) __builtin_trap();
  }
  return 0;
}
