#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "api/model_access.h"
#include "bnrun/version.h"
#include "graph/graph.h"
#include "train/network.h"

namespace bnrun::train {
namespace {

/// A chain of operators, each with the value before it as first input.
class ChainBuilder {
 public:
  explicit ChainBuilder(std::int64_t inputs) {
    graph_.name = "network";
    graph_.opsets[""] = 17;
    last_ = graph_.add_input("input", rows_of(inputs));
  }

  void append(std::string name, std::string op_type, std::int64_t outputs, std::vector<ValueId> constants,
              Attributes attributes = {}) {
    Link link{.name = std::move(name), .op_type = std::move(op_type), .outputs = outputs};
    link.constants = std::move(constants);
    link.attributes = std::move(attributes);
    links_.push_back(std::move(link));
  }

  ValueId constant(std::string name, Tensor tensor) {
    return graph_.add_constant(std::move(name), std::move(tensor));
  }

  Graph finish(const std::string& output_name) {
    for (Link& link : links_) {
      const bool is_last = &link == &links_.back();
      const ValueId output =
          graph_.add_value(is_last ? output_name : link.name + ".Y", rows_of(link.outputs));
      Node node;
      node.name = std::move(link.name);
      node.op_type = std::move(link.op_type);
      node.attributes = std::move(link.attributes);
      node.inputs = {last_};
      node.inputs.insert(node.inputs.end(), link.constants.begin(), link.constants.end());
      node.outputs = {output};
      graph_.add_node(std::move(node));
      last_ = output;
    }
    graph_.add_output(last_);
    graph_.check();
    return std::move(graph_);
  }

 private:
  struct Link {
    std::string name;
    std::string op_type;
    std::int64_t outputs = 0;
    std::vector<ValueId> constants;
    Attributes attributes;
  };

  static ValueType rows_of(std::int64_t width) {
    return {DType::float32, Dims{Dim::symbol("N"), Dim(width)}};
  }

  Graph graph_;
  ValueId last_;
  std::vector<Link> links_;
};

/// One element where all are the same, so that a fixed factor stays a scalar.
Tensor shortest(const std::vector<float>& values) {
  const bool uniform = std::all_of(values.begin(), values.end(), [&](float v) { return v == values[0]; });
  return uniform ? Tensor(Shape{}, std::vector<float>{values[0]})
                 : Tensor(Shape{static_cast<std::int64_t>(values.size())}, values);
}

void append_scaling(ChainBuilder& chain, const Scaling& scaling, const std::string& stem,
                    std::int64_t width) {
  if (scaling.identity()) return;
  const auto append = [&](const std::string& name, const char* op_type, const std::vector<float>& values,
                          float neutral) {
    if (std::all_of(values.begin(), values.end(), [=](float v) { return v == neutral; })) return;
    chain.append(stem + "_" + name, op_type, width, {chain.constant(stem + "." + name, shortest(values))});
  };
  append("offset", "Sub", scaling.offset, 0.0F);
  append("factor", "Mul", scaling.factor, 1.0F);
}

struct OnnxOperator {
  std::string op_type;
  Attributes attributes;
};

OnnxOperator operator_of(const LayerSpec& spec) {
  if (std::holds_alternative<Dense>(spec)) return {"Gemm", {}};
  if (const auto* normalization = std::get_if<BatchNormalization>(&spec)) {
    return {"BatchNormalization",
            {{"epsilon", static_cast<float>(normalization->epsilon)},
             {"momentum", static_cast<float>(normalization->momentum)}}};
  }
  const auto kind = std::get<Activation>(spec);
  if (kind == Activation::softmax) return {"Softmax", {{"axis", std::int64_t{-1}}}};
  constexpr std::array<const char*, 4> kNames{"Identity", "Relu", "Tanh", "Sigmoid"};
  return {kNames[static_cast<std::size_t>(kind)], {}};
}

}  // namespace

Model to_model(const Network& network, const ModelDescription& description) {
  ChainBuilder chain(network.inputs());
  append_scaling(chain, network.input_scaling(), "input", network.inputs());
  const auto infos = network.layers();
  const auto& state = network.state();
  for (std::size_t i = 0; i < infos.size(); ++i) {
    std::vector<ValueId> constants;
    for (auto& [name, tensor] : state.stack.layers()[i]->weights()) {
      constants.push_back(chain.constant(infos[i].name + "." + name, std::move(tensor)));
    }
    auto [op_type, attributes] = operator_of(state.specs[i]);
    chain.append(infos[i].name, std::move(op_type), infos[i].outputs, std::move(constants),
                 std::move(attributes));
  }
  append_scaling(chain, network.target_scaling().inverted(), "target", network.outputs());

  ModelMetadata metadata;
  metadata.producer_name = "bnrun";
  metadata.producer_version = BNRUN_VERSION;
  const auto set_list = [&](const char* key, const std::vector<std::string>& list) {
    if (!list.empty()) {
      metadata.properties[key] =
          nlohmann::json(list).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    }
  };
  set_list("bnrun.features", description.features);
  set_list("bnrun.classes", description.classes);
  if (!description.target.empty()) metadata.properties["bnrun.target"] = description.target;
  const bool classes = network.loss() == Loss::cross_entropy;
  return make_model(chain.finish(classes ? "probabilities" : "prediction"), std::move(metadata));
}

}  // namespace bnrun::train
