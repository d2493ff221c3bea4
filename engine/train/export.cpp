#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "api/model_access.h"
#include "base/fail.h"
#include "bnrun/version.h"
#include "graph/graph.h"
#include "train/network.h"

namespace bnrun::train {
namespace {

ValueType rows_of(std::int64_t width, DType dtype = DType::float32) {
  return {dtype, Dims{Dim::symbol("N"), Dim(width)}};
}

/// A chain of operators, each with the value before it as first input.
class ChainBuilder {
 public:
  ChainBuilder(Graph graph, ValueId first) : graph_(std::move(graph)), last_(first) {}

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

  Graph graph_;
  ValueId last_;
  std::vector<Link> links_;
};

ValueId append_node(Graph& graph, std::string name, std::string op_type, std::vector<ValueId> inputs,
                    const ValueType& type, Attributes attributes = {}) {
  const ValueId output = graph.add_value(name + ".Y", type);
  Node node;
  if (op_type == "OneHotEncoder") node.domain = "ai.onnx.ml";
  node.name = std::move(name);
  node.op_type = std::move(op_type);
  node.attributes = std::move(attributes);
  node.inputs = std::move(inputs);
  node.outputs = {output};
  graph.add_node(std::move(node));
  return output;
}

/// Numbers with those missing filled, and the indicators beside them.
void append_numbers(Graph& graph, const Preparation& preparation, std::vector<ValueId>& parts) {
  const auto width = static_cast<std::int64_t>(preparation.columns.numbers.size());
  if (width == 0) return;
  const ValueId input = graph.add_input("input", rows_of(width));
  if (preparation.fill.empty()) {
    parts.push_back(input);
    return;
  }
  const ValueId missing =
      append_node(graph, "input_missing", "IsNaN", {input}, rows_of(width, DType::boolean));
  const ValueId fill = graph.add_constant("input.fill", Tensor(Shape{width}, preparation.fill));
  parts.push_back(append_node(graph, "input_filled", "Where", {missing, fill, input}, rows_of(width)));
  if (preparation.indicators.empty()) return;
  const auto count = static_cast<std::int64_t>(preparation.indicators.size());
  const ValueId all = append_node(graph, "input_indicators", "Cast", {missing}, rows_of(width),
                                  {{"to", static_cast<std::int64_t>(DType::float32)}});
  const ValueId which = graph.add_constant("input.indicated", Tensor(Shape{count}, preparation.indicators));
  parts.push_back(append_node(graph, "input_indicated", "Gather", {all, which}, rows_of(count),
                              {{"axis", std::int64_t{1}}}));
}

/// What a text column is called as an input: its name, unless a value of the graph is called so.
std::vector<std::string> text_inputs(const Preparation& preparation,
                                     const std::vector<LayerSummary>& layers) {
  const auto taken = [&](const std::string& name, const std::vector<std::string>& others) {
    const auto is_stem = [&](const LayerSummary& layer) { return name.starts_with(layer.name + "."); };
    return name.empty() || name == "input" || name == "probabilities" || name == "prediction" ||
           name.starts_with("input") || name.starts_with("target") || name.starts_with("one_hot") ||
           std::any_of(layers.begin(), layers.end(), is_stem) ||
           std::find(others.begin(), others.end(), name) != others.end();
  };
  std::vector<std::string> names;
  for (const auto& text : preparation.columns.texts) {
    std::string name = text.name;
    while (taken(name, names)) name = "text_" + name;
    names.push_back(name);
  }
  return names;
}

/// The inputs as the preparation has them, up to the one value that the network reads.
ValueId append_preparation(Graph& graph, const Preparation& preparation,
                           const std::vector<std::string>& text_names) {
  std::vector<ValueId> parts;
  append_numbers(graph, preparation, parts);
  if (!text_names.empty()) graph.opsets["ai.onnx.ml"] = 3;
  for (std::size_t t = 0; t < text_names.size(); ++t) {
    const auto& vocabulary = preparation.vocabularies[t];
    const auto count = static_cast<std::int64_t>(vocabulary.size());
    const std::string stem = fmt::format("one_hot_{}", t + 1);
    const ValueId input = graph.add_input(text_names[t], rows_of(1, DType::string));
    const ValueType cubes{DType::float32, Dims{Dim::symbol("N"), Dim(1), Dim(count)}};
    const ValueId encoded =
        append_node(graph, stem, "OneHotEncoder", {input}, cubes,
                    {{"cats_strings", vocabulary},
                     {"zeros", static_cast<std::int64_t>(preparation.refuse_unknown ? 0 : 1)}});
    const ValueId shape =
        graph.add_constant(stem + ".shape", Tensor(Shape{2}, std::vector<std::int64_t>{0, count}));
    parts.push_back(append_node(graph, stem + "_rows", "Reshape", {encoded, shape}, rows_of(count)));
  }
  if (parts.size() == 1) return parts[0];
  return append_node(graph, "input_columns", "Concat", parts, rows_of(preparation.outputs()),
                     {{"axis", std::int64_t{1}}});
}

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

Model to_model(const Network& network, const ModelDescription& description, const Preparation& preparation) {
  const bool prepared = preparation.columns.count() > 0;
  if (prepared && preparation.outputs() != network.inputs())
    fail(ErrorCode::invalid_input, "the preparation makes {} columns, the network has {} inputs",
         preparation.outputs(), network.inputs());
  const auto infos = network.layers();
  const auto text_names = text_inputs(preparation, infos);
  Graph graph;
  graph.name = "network";
  graph.opsets[""] = 17;
  const ValueId first = prepared ? append_preparation(graph, preparation, text_names)
                                 : graph.add_input("input", rows_of(network.inputs()));
  ChainBuilder chain(std::move(graph), first);
  append_scaling(chain, network.input_scaling(), "input", network.inputs());
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
    metadata.properties[key] =
        nlohmann::json(list).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  };
  if (!description.features.empty()) set_list("bnrun.features", description.features);
  if (!description.classes.empty()) set_list("bnrun.classes", description.classes);
  if (description.missing_spellings) set_list("bnrun.na", *description.missing_spellings);
  if (!text_names.empty()) {
    nlohmann::ordered_json columns;
    if (!preparation.columns.numbers.empty()) columns["input"] = preparation.columns.numbers;
    for (std::size_t t = 0; t < text_names.size(); ++t)
      columns[text_names[t]] = {preparation.columns.texts[t].name};
    metadata.properties["bnrun.columns"] =
        columns.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  if (preparation.missing != MissingRule::error)
    metadata.properties["bnrun.missing"] = name_of(preparation.missing);
  if (!description.target.empty()) metadata.properties["bnrun.target"] = description.target;
  const bool classes = network.loss() == Loss::cross_entropy;
  return make_model(chain.finish(classes ? "probabilities" : "prediction"), std::move(metadata));
}

}  // namespace bnrun::train
