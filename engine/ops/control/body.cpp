#include "ops/control/body.h"

#include <algorithm>

#include "base/fail.h"
#include "base/strided_copy.h"
#include "passes/prepare.h"
#include "program/compile.h"

namespace bnrun {

Body::Body(AttributeReader& node, std::string_view attribute) : graph_(node.get_graph(attribute)) {
  if (graph_ == nullptr) fail(ErrorCode::invalid_model, "attribute '{}' is missing", attribute);
  const auto names = captured_names(node.attributes());
  captures_ = names.size();
  for (const ValueId id : graph_->live_values()) {
    if (!graph_->value(id).captured) continue;
    const auto found = std::find(names.begin(), names.end(), graph_->value(id).name);
    captured_.push_back(static_cast<std::size_t>(found - names.begin()));
  }
}

/// Bodies often declare wrong shapes (a shape may grow from one iteration to the next), and the types of the
/// captured values are known only when the body runs. The program is therefore compiled without them.
const Executor& Body::executor() const {
  std::call_once(compiled_, [&] {
    Graph graph = *graph_;
    for (const ValueId id : graph.live_values()) {
      if (!graph.value(id).constant.defined()) graph.set_type(id, {});
    }
    prepare(graph);
    executor_ = std::make_unique<const Executor>(compile(graph, {.on_bytes = false}),
                                                 std::make_shared<ThreadPool>(1));
  });
  return *executor_;
}

ValueType Body::output_type(std::size_t i) const {
  ValueType type = graph_->value(graph_->outputs()[i]).type;
  if (type.dims) {
    for (Dim& dim : *type.dims) {
      if (dim.symbolic()) dim = Dim();
    }
  }
  type.content.reset();
  return type;
}

bool Body::deterministic() const {
  const auto nodes = graph_->live_nodes();
  return std::all_of(nodes.begin(), nodes.end(), [&](NodeId id) {
    const auto& op = graph_->node(id).op;
    return op != nullptr && op->deterministic();
  });
}

std::vector<Tensor> Body::run(std::span<const TensorView> inputs, const RunArgs& args) const {
  std::vector<Tensor> outputs;
  std::vector<TensorView> all(inputs.begin(), inputs.end());
  append_captures(args, all);
  run(all, outputs);
  return outputs;
}

void Body::append_captures(const RunArgs& args, std::vector<TensorView>& inputs) const {
  if (args.captures.size() != captures_)
    fail(ErrorCode::internal, "{} captured values are given, the subgraphs read {}", args.captures.size(),
         captures_);
  for (const std::size_t i : captured_) inputs.push_back(args.captures[i]);
}

void Body::run(std::span<const TensorView> inputs, std::vector<Tensor>& outputs) const {
  executor().run(inputs, outputs);
}

ValueType common_type(const ValueType& a, const ValueType& b) {
  if (a.dtype == DType::undefined || b.dtype == DType::undefined) return {};
  if (a.dtype != b.dtype)
    fail(ErrorCode::invalid_model, "an output is {} one time and {} the other", name_of(a.dtype),
         name_of(b.dtype));
  ValueType type{a.dtype, std::nullopt};
  if (!a.ranked() || !b.ranked() || a.rank() != b.rank()) return type;
  type.dims = a.dims;
  for (std::size_t i = 0; i < a.rank(); ++i) {
    if (!((*a.dims)[i] == (*b.dims)[i])) (*type.dims)[i] = Dim();
  }
  return type;
}

void store(const RunArgs& args, std::size_t i, const Tensor& result) {
  if (i >= args.outputs.size()) return;
  const MutableTensorView& out = args.out(i);
  if (!out.defined() && args.allocator == nullptr) return;  // left out
  const bool fits = out.defined() && out.dtype == result.dtype() && out.shape == result.shape();
  if (!fits && args.allocator == nullptr)
    fail(ErrorCode::invalid_model, "output {} is {}{}, which its subgraph does not declare", i,
         name_of(result.dtype()), to_string(result.shape()));
  copy_elements(result, fits ? out : args.make(i, result.dtype(), result.shape()));
}

bool read_condition(const TensorView& condition) {
  if (condition.dtype != DType::boolean || condition.elements() != 1)
    fail(ErrorCode::invalid_model, "a condition must be one boolean, it is {}{}", name_of(condition.dtype),
         to_string(condition.shape));
  return *condition.data<bool>();
}

}  // namespace bnrun
