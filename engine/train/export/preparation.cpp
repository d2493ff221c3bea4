#include "train/export/preparation.h"

#include <algorithm>
#include <numeric>

#include "base/fail.h"

namespace bnrun::train {
namespace {

ValueId append_node(Graph& graph, std::string name, std::string op_type, std::vector<ValueId> inputs,
                    const ValueType& type, Attributes attributes = {}) {
  const ValueId output = graph.add_value(name + ".Y", type);
  Node node;
  if (op_type == "OneHotEncoder" || op_type == "LabelEncoder") node.domain = "ai.onnx.ml";
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

/// The place of a text in the vocabulary. Behind its end stands the row of zeros of an Embedding; a value that
/// is refused goes further, where the table has no row.
ValueId append_place(Graph& graph, std::string name, ValueId input,
                     const std::vector<std::string>& vocabulary, bool refuse_unknown) {
  std::vector<float> places(vocabulary.size());
  std::iota(places.begin(), places.end(), 0.0F);
  const auto none = static_cast<float>(vocabulary.size());
  return append_node(graph, std::move(name), "LabelEncoder", {input}, rows_of(1),
                     {{"keys_strings", vocabulary},
                      {"values_floats", places},
                      {"default_float", refuse_unknown ? none + 1.0F : none}});
}

}  // namespace

std::vector<std::string> text_inputs(const Preparation& preparation,
                                     const std::vector<LayerSummary>& layers) {
  const auto taken = [&](const std::string& name, const std::vector<std::string>& others) {
    const auto is_stem = [&](const LayerSummary& layer) { return name.starts_with(layer.name + "."); };
    return name.empty() || name == "input" || name == "probabilities" || name == "prediction" ||
           name.starts_with("input") || name.starts_with("target") || name.starts_with("one_hot") ||
           name.starts_with("place_") || std::any_of(layers.begin(), layers.end(), is_stem) ||
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

ValueId append_preparation(Graph& graph, const Preparation& preparation,
                           const std::vector<std::string>& text_names) {
  std::vector<ValueId> parts;
  append_numbers(graph, preparation, parts);
  if (!text_names.empty()) graph.opsets["ai.onnx.ml"] = 3;
  for (std::size_t t = 0; t < text_names.size(); ++t) {
    const auto& vocabulary = preparation.vocabularies[t];
    const auto count = static_cast<std::int64_t>(vocabulary.size());
    const ValueId input = graph.add_input(text_names[t], rows_of(1, DType::string));
    if (preparation.is_placed(t)) {
      parts.push_back(
          append_place(graph, fmt::format("place_{}", t + 1), input, vocabulary, preparation.refuse_unknown));
      continue;
    }
    const std::string stem = fmt::format("one_hot_{}", t + 1);
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

}  // namespace bnrun::train
