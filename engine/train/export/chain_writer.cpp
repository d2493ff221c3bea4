#include "train/export/chain_writer.h"

namespace bnrun::train {

ValueId ChainWriter::constant(const std::string& name, Tensor tensor) {
  return graph_.add_constant(graph_.fresh_name(name), std::move(tensor));
}

ChainWriter::Ref ChainWriter::keep(std::string name, std::string op_type, std::vector<Ref> inputs,
                                   ValueType type, Attributes attributes) {
  Kept kept{.inputs = std::move(inputs), .type = std::move(type)};
  kept.node.name = std::move(name);
  kept.node.op_type = std::move(op_type);
  kept.node.attributes = std::move(attributes);
  kept_.push_back(std::move(kept));
  return kept_.size() - 1;
}

void ChainWriter::follow(std::string name, std::string op_type, ValueType type,
                         const std::vector<ValueId>& constants, Attributes attributes) {
  last_ = add(std::move(name), std::move(op_type), last_, constants, std::move(type), std::move(attributes));
}

void ChainWriter::join(std::string name, std::string op_type, ValueType type, Ref other) {
  follow_of(std::move(name), std::move(op_type), std::move(type), {last_, other});
}

void ChainWriter::follow_of(std::string name, std::string op_type, ValueType type, std::vector<Ref> inputs,
                            Attributes attributes) {
  last_ =
      keep(std::move(name), std::move(op_type), std::move(inputs), std::move(type), std::move(attributes));
}

ChainWriter::Ref ChainWriter::add(std::string name, std::string op_type, Ref input,
                                  const std::vector<ValueId>& constants, ValueType type,
                                  Attributes attributes) {
  std::vector<Ref> inputs{input};
  inputs.insert(inputs.end(), constants.begin(), constants.end());
  return keep(std::move(name), std::move(op_type), std::move(inputs), std::move(type), std::move(attributes));
}

ChainWriter::Ref ChainWriter::add_of_two(std::string name, std::string op_type, Ref first, Ref second,
                                         ValueType type) {
  return keep(std::move(name), std::move(op_type), {first, second}, std::move(type), {});
}

Graph ChainWriter::finish(const std::string& output_name) {
  std::vector<ValueId> outputs;  // of the kept nodes
  const auto resolve = [&](const Ref& ref) {
    const auto* id = std::get_if<ValueId>(&ref);
    return id != nullptr ? *id : outputs[std::get<std::size_t>(ref)];
  };
  for (Kept& kept : kept_) {
    const bool is_last = last_ == Ref(outputs.size());
    outputs.push_back(graph_.add_value(is_last ? output_name : graph_.fresh_name(kept.node.name + ".Y"),
                                       std::move(kept.type)));
    for (const Ref& ref : kept.inputs) kept.node.inputs.push_back(resolve(ref));
    kept.node.outputs = {outputs.back()};
    graph_.add_node(std::move(kept.node));
  }
  graph_.add_output(resolve(last_));
  graph_.check();
  return std::move(graph_);
}

}  // namespace bnrun::train
