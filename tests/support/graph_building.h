// Small graphs for tests, written the way one reads them:
//   GraphBuilder b(13);
//   const auto x = b.input("x", DType::float32, {"N", 64});
//   b.output(b.op("Relu", {b.op("Gemm", {x, W, bias}, {{"transB", std::int64_t{1}}})}));
//   const Model model = b.model();
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "api/model_access.h"
#include "bnrun/model.h"
#include "graph/graph.h"
#include "passes/prepare.h"
#include "support/tensors.h"

namespace bnrun::testing {

/// A dimension written as a number, a symbol ("?" is unknown) or a Dim.
struct DimSpec : Dim {
  DimSpec(int extent) : Dim(extent) {}
  DimSpec(std::int64_t extent) : Dim(extent) {}
  DimSpec(const char* name) : Dim(std::string(name) == "?" ? Dim() : Dim::symbol(name)) {}
  DimSpec(Dim dim) : Dim(std::move(dim)) {}
};

/// An input of a node: a value, a tensor that becomes an initializer, or ValueId{} for an absent one.
using NodeInput = std::variant<ValueId, Tensor>;

class GraphBuilder {
 public:
  explicit GraphBuilder(std::int64_t opset = 13) { graph_.opsets[""] = opset; }

  /// Another operator set, before its first node.
  void import(std::string domain, std::int64_t version) { graph_.opsets[std::move(domain)] = version; }

  ValueId input(std::string name, DType dtype, std::initializer_list<DimSpec> dims) {
    return input(std::move(name), {dtype, Dims(dims.begin(), dims.end())});
  }
  ValueId input(std::string name, ValueType type) {
    return graph_.add_input(std::move(name), std::move(type));
  }
  /// An initializer; with `overridable` it is an input of the graph as well.
  ValueId constant(const Tensor& tensor, std::string name = "c", bool overridable = false) {
    const ValueId id = graph_.add_constant(graph_.fresh_name(name), tensor);
    if (overridable) graph_.mark_overridable(id);
    return id;
  }

  /// Adds a node and returns its outputs. Its name is `name`, or the operator's with a number behind it; an
  /// output named "" is called after the node.
  std::vector<ValueId> node(std::string op_type, const std::vector<NodeInput>& inputs, Attributes attributes,
                            const std::vector<std::string>& outputs, std::string domain = "") {
    Node added;
    added.name = name.empty() ? prefix + op_type + "_" + std::to_string(graph_.node_slots()) : name;
    added.op_type = std::move(op_type);
    added.domain = std::move(domain);
    added.attributes = std::move(attributes);
    for (const NodeInput& given : inputs) {
      if (const auto* id = std::get_if<ValueId>(&given))
        added.inputs.push_back(*id);
      else
        added.inputs.push_back(constant(std::get<Tensor>(given)));
    }
    for (const std::string& name : outputs)
      added.outputs.push_back(graph_.add_value(graph_.fresh_name(name.empty() ? added.name + "_out" : name)));
    std::vector<ValueId> produced = added.outputs;
    last_ = graph_.add_node(std::move(added));
    return produced;
  }
  /// The same for the usual node of one output.
  ValueId op(std::string op_type, const std::vector<NodeInput>& inputs, Attributes attributes = {},
             std::string output = "") {
    return node(std::move(op_type), inputs, std::move(attributes), {std::move(output)})[0];
  }
  NodeId last_node() const { return last_; }

  /// Declares an output, of type unknown unless the graph has inferred it.
  void output(ValueId id) { graph_.add_output(id); }

  const Graph& graph() const { return graph_; }
  Model model() const {
    graph_.check();
    return make_model(graph_);
  }

  std::string prefix;  ///< of the names of nodes
  std::string name;    ///< of all nodes while it is not empty

 private:
  Graph graph_;
  NodeId last_;
};

/// The graph as compile() wants it.
inline Graph prepared(Graph graph) {
  prepare(graph);
  return graph;
}

}  // namespace bnrun::testing
