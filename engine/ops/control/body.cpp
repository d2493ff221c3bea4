#include "ops/control/body.h"

#include <algorithm>

#include "base/fail.h"
#include "verify/interpret.h"
#include "base/strided_copy.h"

namespace bnrun {

Body::Body(AttributeReader& node, std::string_view attribute)
    : graph_(node.get_graph(attribute)), captured_names_(captured_names(node.node().attributes)) {
  if (graph_ == nullptr) fail(ErrorCode::invalid_model, "attribute '{}' is missing", attribute);
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
    const auto op = find_op(*graph_, id);
    return op != nullptr && op->deterministic();
  });
}

std::vector<Tensor> Body::run(std::span<const TensorView> inputs, const RunArgs& args) const {
  if (args.captures.size() != captured_names_.size())
    fail(ErrorCode::internal, "{} captured values are given, the subgraphs read {}", args.captures.size(),
         captured_names_.size());
  std::vector<std::pair<std::string, TensorView>> captures;
  for (std::size_t i = 0; i < captured_names_.size(); ++i)
    captures.emplace_back(captured_names_[i], args.captures[i]);
  return interpret(*graph_, inputs, {}, captures);
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
