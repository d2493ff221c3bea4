#include "onnx/functions.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/fail.h"
#include "onnx/source.h"
#include "onnx/unknown_fields.h"
#include "op/registry.h"

namespace bnrun {
namespace {

using Nodes = google::protobuf::RepeatedPtrField<onnx::NodeProto>;
using AttributeMap = std::map<std::string, onnx::AttributeProto>;
using Renaming = std::map<std::string, std::string>;
using FunctionKey = std::pair<std::string, std::string>;

// Fields newer than the message classes this is built with.
constexpr int kAttributeProtoField = 11;
constexpr int kOverloadField = 13;
constexpr std::size_t kMaxNodes = 250'000;
constexpr std::size_t kMaxDepth = 256;  // of nested calls, which are expanded recursively

template <class Message>
FunctionKey key_of(const Message& message, const std::string& name) {
  return {normal_domain(message.domain()), name};
}

/// Attributes with default values (IR 9).
AttributeMap defaults_of(const onnx::FunctionProto& function) {
  AttributeMap defaults;
  for_each_field(bytes_of(function.unknown_fields()), [&](int number, std::size_t, std::string_view content) {
    if (number == kOverloadField && !content.empty())
      fail(ErrorCode::unsupported, "function '{}' is overloaded", function.name());
    onnx::AttributeProto attribute;
    if (number == kAttributeProtoField &&
        attribute.ParseFromArray(content.data(), static_cast<int>(content.size())))
      defaults[attribute.name()] = attribute;
    return true;
  });
  return defaults;
}

/// The operators that nodes and their subgraphs call, by domain.
using Calls = std::map<std::string, std::set<std::string>>;

void collect_calls(const Nodes& nodes, Calls& calls) {
  for (const auto& node : nodes) {
    calls[normal_domain(node.domain())].insert(node.op_type());
    for (const auto& attribute : node.attribute()) collect_calls(attribute.g().node(), calls);
  }
}

class FunctionInliner {
 public:
  explicit FunctionInliner(onnx::ModelProto& model) : model_(model) {
    for (const auto& function : model.functions()) functions_[key_of(function, function.name())] = &function;
  }

  void run() {
    collect_names(model_.graph());
    expand(*model_.mutable_graph()->mutable_node());
  }

 private:
  void collect_names(const onnx::GraphProto& graph) {
    for (const auto& info : graph.input()) names_.insert(info.name());
    for (const auto& tensor : graph.initializer()) names_.insert(tensor.name());
    for (const auto& node : graph.node()) {
      names_.insert(node.output().begin(), node.output().end());
      for (const auto& attribute : node.attribute()) collect_names(attribute.g());
    }
  }

  std::string fresh_name(const std::string& prefix, const std::string& local) {
    const std::string stem = prefix + '/' + local;
    std::string name = stem;
    // Continues where the last call of the same function ended: trying all numbers from 1 would be quadratic.
    int& number = taken_[stem];
    while (!names_.insert(name).second) name = fmt::format("{}_{}", stem, ++number);
    return name;
  }

  void expand(Nodes& nodes) {
    Nodes expanded;
    for (auto& node : nodes) {
      for (auto& attribute : *node.mutable_attribute()) {
        if (attribute.has_g()) expand(*attribute.mutable_g()->mutable_node());
      }
      const auto function = functions_.find(key_of(node, node.op_type()));
      if (function == functions_.end())
        expanded.Add()->Swap(&node);
      else
        inline_call(node, *function->second, expanded);
      if (++node_count_ > kMaxNodes)
        fail(ErrorCode::resource_limit, "its functions expand to more than {} nodes", kMaxNodes);
    }
    nodes.Swap(&expanded);
  }

  void inline_call(const onnx::NodeProto& call, const onnx::FunctionProto& function, Nodes& out) {
    const auto key = key_of(function, function.name());
    if (std::find(stack_.begin(), stack_.end(), key) != stack_.end())
      fail(ErrorCode::invalid_model, "function '{}' calls itself", function.name());
    if (stack_.size() >= kMaxDepth)
      fail(ErrorCode::resource_limit, "its functions call each other more than {} deep", kMaxDepth);
    if (call.input_size() > function.input_size() || call.output_size() > function.output_size())
      fail(ErrorCode::invalid_model,
           "node '{}' gives function '{}' {} inputs and takes {} outputs; it has {} and {}", call.name(),
           function.name(), call.input_size(), call.output_size(), function.input_size(),
           function.output_size());
    merge_opsets(function);

    const std::string prefix = call.name().empty() ? call.op_type() : call.name();
    AttributeMap attributes = defaults_of(function);
    for (const auto& attribute : call.attribute()) attributes[attribute.name()] = attribute;
    Renaming renaming;
    for (int i = 0; i < function.input_size(); ++i)
      renaming[function.input(i)] = i < call.input_size() ? call.input(i) : "";
    std::vector<std::pair<std::string, std::string>> copies;  // outputs that are inputs, or listed twice
    for (int i = 0; i < call.output_size(); ++i) {
      if (call.output(i).empty()) continue;
      const auto [known, is_new] = renaming.emplace(function.output(i), call.output(i));
      if (!is_new) copies.emplace_back(known->second, call.output(i));
    }
    Nodes body = function.node();
    rename_nodes(body, prefix, renaming, attributes);
    for (const auto& [from, to] : copies) {
      onnx::NodeProto& copy = *body.Add();
      copy.set_op_type("Identity");
      copy.add_input(from);
      copy.add_output(to);
    }
    stack_.push_back(key);
    expand(body);
    stack_.pop_back();
    for (auto& node : body) out.Add()->Swap(&node);
  }

  /// Gives the values that the nodes define new names, renames the values they read by
  /// `renaming`, and replaces references to the function's attributes by their values.
  void rename_nodes(Nodes& nodes, const std::string& prefix, Renaming& renaming,
                    const AttributeMap& attributes) {
    for (auto& node : nodes) {
      for (auto& input : *node.mutable_input()) {
        if (input.empty()) continue;
        const auto found = renaming.find(input);
        if (found == renaming.end())
          fail(ErrorCode::invalid_model, "{}, inlined: a node reads '{}', which nothing defines", prefix,
               input);
        input = found->second;
      }
      if (!node.name().empty()) node.set_name(prefix + '/' + node.name());
      bind_attributes(node, attributes);
      for (auto& attribute : *node.mutable_attribute()) {
        if (attribute.has_g()) rename_graph(*attribute.mutable_g(), prefix, renaming, attributes);
      }
      for (auto& output : *node.mutable_output()) {
        if (!output.empty()) output = renamed(output, prefix, renaming);
      }
    }
  }

  std::string renamed(const std::string& name, const std::string& prefix, Renaming& renaming) {
    const auto found = renaming.find(name);
    return found != renaming.end() ? found->second : renaming[name] = fresh_name(prefix, name);
  }

  void rename_graph(onnx::GraphProto& graph, const std::string& prefix, Renaming renaming,
                    const AttributeMap& attributes) {
    for (auto& info : *graph.mutable_input()) info.set_name(renamed(info.name(), prefix, renaming));
    for (auto& tensor : *graph.mutable_initializer())
      tensor.set_name(renamed(tensor.name(), prefix, renaming));
    rename_nodes(*graph.mutable_node(), prefix, renaming, attributes);
    for (auto* list : {graph.mutable_output(), graph.mutable_value_info()}) {
      for (auto& info : *list) {
        if (const auto found = renaming.find(info.name()); found != renaming.end())
          info.set_name(found->second);
      }
    }
  }

  /// Replaces an attribute that refers to one of the function's (ref_attr_name) by
  /// its value. Without a value the attribute is removed.
  static void bind_attributes(onnx::NodeProto& node, const AttributeMap& attributes) {
    auto& list = *node.mutable_attribute();
    for (int i = list.size(); i-- > 0;) {
      if (list[i].ref_attr_name().empty()) continue;
      const auto value = attributes.find(list[i].ref_attr_name());
      if (value == attributes.end()) {
        list.DeleteSubrange(i, 1);
        continue;
      }
      const std::string name = list[i].name();
      list[i] = value->second;
      list[i].set_name(name);
    }
  }

  /// The body becomes part of the model, where its operators have to mean what they mean in the function.
  void merge_opsets(const onnx::FunctionProto& function) {
    Calls calls;
    collect_calls(function.node(), calls);
    for (const auto& import : function.opset_import()) {
      const std::string domain = normal_domain(import.domain());
      const auto used = calls.find(domain);
      if (used == calls.end()) continue;
      const auto& imports = model_.opset_import();
      const auto found = std::find_if(imports.begin(), imports.end(), [&](const auto& other) {
        return normal_domain(other.domain()) == domain;
      });
      if (found == imports.end())
        *model_.add_opset_import() = import;
      else if (found->version() != import.version())
        for (const std::string& op_type : used->second)
          check_same(function, domain, op_type, import.version(), found->version());
    }
  }

  void check_same(const onnx::FunctionProto& function, const std::string& domain, const std::string& op_type,
                  std::int64_t of_function, std::int64_t of_model) const {
    if (functions_.contains({domain, op_type})) return;  // its own body is what counts
    const auto theirs = version_in_force(domain, op_type, of_function);
    if (theirs && theirs == version_in_force(domain, op_type, of_model)) return;
    fail(ErrorCode::unsupported,
         "function '{}' needs version {} of operator set '{}', the model {}, and {} is not the same in both: "
         "convert the model to one version",
         function.name(), of_function, domain.empty() ? "ai.onnx" : domain, of_model, op_type);
  }

  onnx::ModelProto& model_;
  std::map<FunctionKey, const onnx::FunctionProto*> functions_;
  std::set<std::string> names_;
  std::map<std::string, int> taken_;
  std::vector<FunctionKey> stack_;
  std::size_t node_count_ = 0;
};

}  // namespace

void inline_functions(onnx::ModelProto& model) {
  if (model.functions_size() == 0) return;
  FunctionInliner(model).run();
  model.clear_functions();
}

}  // namespace bnrun
