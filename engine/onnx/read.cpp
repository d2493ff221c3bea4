// .onnx bytes -> graph and metadata.
#include "onnx/read.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/fail.h"
#include "base/input_file.h"
#include "graph/graph.h"
#include "onnx/functions.h"
#include "onnx/source.h"
#include "onnx/stored.h"
#include "onnx/tensor_proto.h"

namespace bnrun {
namespace {

/// DType::undefined for an element type that is absent or unknown here.
DType read_dtype(const onnx::TypeProto::Tensor& tensor) {
  const auto dtype = static_cast<DType>(tensor.elem_type());
  const bool known = tensor.elem_type() > 0 && tensor.elem_type() <= 255 && element_bytes(dtype) != 0;
  return known ? dtype : DType::undefined;
}

ValueType read_type(const onnx::ValueInfoProto& info) {
  ValueType type;
  if (!info.type().has_tensor_type()) return type;
  const auto& tensor = info.type().tensor_type();
  type.dtype = read_dtype(tensor);
  if (!tensor.has_shape()) return type;
  type.dims.emplace();
  for (const auto& dim : tensor.shape().dim()) {
    if (dim.has_dim_value() && dim.dim_value() >= 0)
      type.dims->push_back(Dim(dim.dim_value()));
    else if (dim.has_dim_param() && !dim.dim_param().empty())
      type.dims->push_back(Dim::symbol(dim.dim_param()));
    else
      type.dims->push_back(Dim());
  }
  return type;
}

/// Calls `visit` for the graph and all its subgraphs.
template <class Visit>
void for_each_graph(onnx::GraphProto& graph, const Visit& visit) {
  visit(graph);
  for (auto& node : *graph.mutable_node()) {
    for (auto& attribute : *node.mutable_attribute()) {
      if (attribute.has_g()) for_each_graph(*attribute.mutable_g(), visit);
    }
  }
}

bool lacks_first_output(const onnx::NodeProto& node) {
  return node.output_size() > 0 && node.output(0).empty() &&
         std::any_of(node.output().begin(), node.output().end(),
                     [](const auto& name) { return !name.empty(); });
}

/// Gives a name to the first output of a node that has only later ones: passes ask for the value that an operator
/// computes. The name is new to the whole model, so that it hides none from a subgraph.
void name_first_outputs(onnx::GraphProto& graph) {
  std::vector<onnx::NodeProto*> nodes;
  std::set<std::string> names;
  for_each_graph(graph, [&](onnx::GraphProto& part) {
    for (auto& node : *part.mutable_node()) {
      if (lacks_first_output(node)) nodes.push_back(&node);
      names.insert(node.input().begin(), node.input().end());
      names.insert(node.output().begin(), node.output().end());
    }
    for (const auto* list : {&part.input(), &part.output()}) {
      for (const auto& info : *list) names.insert(info.name());
    }
    for (const auto& tensor : part.initializer()) names.insert(tensor.name());
  });
  for (onnx::NodeProto* node : nodes) {
    std::string name = node->op_type() + "_unnamed";
    while (!names.insert(name).second) name += '_';
    node->set_output(0, name);
  }
}

/// What split_model left in a file, by number of the initializer.
struct StoredTensors {
  const InputFile* file = nullptr;
  std::map<int, StoredBytes> raw_data;
};

class GraphReader {
 public:
  /// `stored` is the raw data of initializers of the model's own graph that is still in `file`.
  GraphReader(const std::map<std::string, std::int64_t, std::less<>>& opsets, std::int64_t ir_version,
              const ExternalDataDoor& door, const GraphReadHook& on_graph, const StoredTensors& stored)
      : opsets_(opsets), ir_version_(ir_version), door_(door), on_graph_(on_graph), stored_(stored) {}

  Graph read(onnx::GraphProto& proto, bool is_subgraph) const {
    Graph graph;
    graph.name = proto.name();
    graph.opsets = opsets_;
    if (proto.sparse_initializer_size() != 0) {
      fail(ErrorCode::unsupported, "sparse initializers are not supported (graph '{}')", proto.name());
    }
    std::map<std::string, ValueType, std::less<>> declared;
    for (const auto* list : {&proto.value_info(), &proto.output()}) {
      for (const auto& info : *list) declared[info.name()] = read_type(info);
    }
    std::map<std::string, int, std::less<>> initializers;
    for (int i = 0; i < proto.initializer_size(); ++i) initializers.emplace(proto.initializer(i).name(), i);
    const auto tensor_at = [&](int i) {
      return read_initializer(*proto.mutable_initializer(i), i, is_subgraph);
    };
    // Inputs keep their order, those that have a default value included.
    std::set<std::string, std::less<>> overridable;
    for (const auto& info : proto.input()) {
      const auto initializer = initializers.find(info.name());
      if (initializer == initializers.end()) {
        check_input(info);
        graph.add_input(info.name(), read_type(info));
      } else if (ir_version_ >= 4) {
        graph.mark_overridable(graph.add_constant(info.name(), tensor_at(initializer->second)));
        overridable.insert(info.name());
      }
    }
    for (int i = 0; i < proto.initializer_size(); ++i) {
      const std::string name = proto.initializer(i).name();
      if (!overridable.contains(name)) graph.add_constant(name, tensor_at(i));
    }
    for (const auto& node : proto.node()) {
      for (const auto& output : node.output()) {
        if (output.empty()) continue;
        const auto type = declared.find(output);
        graph.add_value(output, type != declared.end() ? type->second : ValueType{});
      }
    }
    for (int i = 0; i < proto.node_size(); ++i) read_node(graph, *proto.mutable_node(i), i, is_subgraph);
    for (const auto& info : proto.output()) {
      ValueId id = graph.find_value(info.name());
      if (!id.valid() && is_subgraph) id = graph.add_captured(info.name(), read_type(info));
      if (!id.valid()) fail(ErrorCode::invalid_model, "output '{}' is computed by no node", info.name());
      graph.add_output(id);
    }
    graph.check();
    on_graph_(graph);
    return graph;
  }

 private:
  Tensor read_initializer(onnx::TensorProto& proto, int number, bool is_subgraph) const {
    const auto found = stored_.raw_data.find(number);
    if (is_subgraph || found == stored_.raw_data.end()) return read_tensor(proto, door_);
    const StoredRawData stored{*stored_.file, found->second};
    return read_tensor(proto, door_, &stored);
  }

  static void check_input(const onnx::ValueInfoProto& info) {
    if (info.has_type() && !info.type().has_tensor_type() &&
        info.type().value_case() != onnx::TypeProto::VALUE_NOT_SET) {
      fail(ErrorCode::unsupported,
           "input '{}' is not a tensor (sequences, maps and optionals are not supported)", info.name());
    }
    const auto& tensor = info.type().tensor_type();
    if (tensor.elem_type() < 0)
      fail(ErrorCode::invalid_model, "input '{}' has element type {}", info.name(), tensor.elem_type());
    if (tensor.elem_type() != onnx::TensorProto::UNDEFINED && read_dtype(tensor) == DType::undefined) {
      fail(ErrorCode::unsupported, "input '{}' has element type {}, which is not supported", info.name(),
           tensor.elem_type());
    }
  }

  static ValueId resolve(Graph& graph, const std::string& name, bool is_subgraph, const std::string& reader) {
    if (name.empty()) return {};
    ValueId id = graph.find_value(name);
    if (!id.valid() && is_subgraph) id = graph.add_captured(name);
    if (!id.valid()) fail(ErrorCode::invalid_model, "{} reads '{}', which nothing defines", reader, name);
    return id;
  }

  void read_node(Graph& graph, onnx::NodeProto& proto, int position, bool is_subgraph) const {
    Node node;
    node.name = proto.name();
    node.op_type = proto.op_type();
    node.domain = normal_domain(proto.domain());
    node.source = position;
    const std::string reader = fmt::format("node '{}' ({})", proto.name(), proto.op_type());
    for (const auto& input : proto.input()) node.inputs.push_back(resolve(graph, input, is_subgraph, reader));
    for (const auto& output : proto.output()) {
      node.outputs.push_back(output.empty() ? ValueId{} : graph.find_value(output));
    }
    for (auto& attribute : *proto.mutable_attribute()) {
      try {
        if (!node.attributes.emplace(attribute.name(), read_attribute(attribute)).second)
          fail(ErrorCode::invalid_model, "it is given twice");
      } catch (const Error& error) {
        throw error.within(reader + ", attribute '" + attribute.name() + "'");
      }
    }
    for (const std::string& name : captured_names(node.attributes))
      node.captures.push_back(resolve(graph, name, is_subgraph, reader));
    graph.add_node(std::move(node));
  }

  AttributeValue read_attribute(onnx::AttributeProto& proto) const {
    using A = onnx::AttributeProto;
    auto type = proto.type();
    // IR version 1 has no AttributeProto.type: the type follows from the field that is set.
    if (type == A::UNDEFINED) {
      if (proto.has_f())
        type = A::FLOAT;
      else if (proto.has_i())
        type = A::INT;
      else if (proto.has_s())
        type = A::STRING;
      else if (proto.has_t())
        type = A::TENSOR;
      else if (proto.has_g())
        type = A::GRAPH;
      else if (proto.floats_size() != 0)
        type = A::FLOATS;
      else if (proto.strings_size() != 0)
        type = A::STRINGS;
      else
        type = A::INTS;
    }
    switch (type) {
      case A::INT:
        return static_cast<std::int64_t>(proto.i());
      case A::FLOAT:
        return proto.f();
      case A::STRING:
        return proto.s();
      case A::INTS:
        return std::vector<std::int64_t>(proto.ints().begin(), proto.ints().end());
      case A::FLOATS:
        return std::vector<float>(proto.floats().begin(), proto.floats().end());
      case A::STRINGS:
        return std::vector<std::string>(proto.strings().begin(), proto.strings().end());
      case A::TENSOR:
        return read_tensor(*proto.mutable_t(), door_);
      case A::TENSORS: {
        std::vector<Tensor> tensors;
        for (auto& tensor : *proto.mutable_tensors()) tensors.push_back(read_tensor(tensor, door_));
        return tensors;
      }
      case A::GRAPH: {
        onnx::GraphProto copy = proto.g();
        return std::make_shared<const Graph>(read(copy, true));
      }
      default:
        return OpaqueAttribute{};
    }
  }

  const std::map<std::string, std::int64_t, std::less<>>& opsets_;
  std::int64_t ir_version_;
  const ExternalDataDoor& door_;
  const GraphReadHook& on_graph_;
  const StoredTensors& stored_;
};

OnnxModel read_proto(std::shared_ptr<OnnxSource> source, const ExternalDataDoor& door,
                     const GraphReadHook& on_graph, const StoredTensors& stored) {
  onnx::ModelProto& proto = source->model;
  if (!proto.has_graph()) fail(ErrorCode::invalid_model, "it holds no graph: not an ONNX model");
  if (proto.graph().output_size() == 0)
    fail(ErrorCode::invalid_model, "its graph has no output, so that it computes nothing");
  inline_functions(proto);
  source->graph.Swap(proto.mutable_graph());
  proto.clear_graph();
  name_first_outputs(source->graph);
  std::map<std::string, std::int64_t, std::less<>> opsets;
  for (const auto& import : proto.opset_import()) opsets[normal_domain(import.domain())] = import.version();
  if (opsets.empty()) {
    if (proto.ir_version() >= 3) fail(ErrorCode::invalid_model, "it imports no operator set");
    opsets[""] = 1;  // IR versions before 3 have no opset_import and mean opset 1
  }
  for (const auto& tensor : source->graph.initializer()) {
    if (tensor.data_location() != onnx::TensorProto::EXTERNAL) continue;
    for (const auto& entry : tensor.external_data()) {
      if (entry.key() != "location") continue;
      const auto data_file = door.folder / entry.value();
      if (source->data_files.empty() || source->data_files.back() != data_file)
        source->data_files.push_back(data_file);
    }
  }
  ModelMetadata metadata;
  metadata.ir_version = proto.ir_version();
  metadata.producer_name = proto.producer_name();
  metadata.producer_version = proto.producer_version();
  metadata.doc_string = proto.doc_string();
  metadata.domain = proto.domain();
  metadata.model_version = proto.model_version();
  metadata.graph_name = source->graph.name();
  for (const auto& property : proto.metadata_props()) metadata.properties[property.key()] = property.value();
  Graph graph = GraphReader(opsets, proto.ir_version(), door, on_graph, stored).read(source->graph, false);
  return {std::move(graph), std::move(metadata), std::move(source)};
}

template <class Parse>
OnnxModel parse_and_read(Parse&& parse, const std::filesystem::path& folder,
                         const std::filesystem::path& file, const GraphReadHook& on_graph,
                         const StoredTensors& stored = {}) {
  auto source = std::make_shared<OnnxSource>();
  source->file = file;
  if (!parse(source->model)) {
    fail(ErrorCode::invalid_model, "not an ONNX model, or damaged or cut off (protobuf cannot parse it)");
  }
  return read_proto(std::move(source), {folder}, on_graph, stored);
}

}  // namespace

OnnxModel read_model(const std::filesystem::path& path, const GraphReadHook& on_graph) {
  try {
    const InputFile file(path, InputFile::Kind::regular_or_pipe);
    const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
    if (const auto split = split_model(file)) {
      return parse_and_read([&](auto& proto) { return proto.ParseFromString(split->message); }, folder, path,
                            on_graph, {&file, split->raw_data});
    }
    google::protobuf::io::FileInputStream stream(file.descriptor());
    return parse_and_read([&](auto& proto) { return proto.ParseFromZeroCopyStream(&stream); }, folder, path,
                          on_graph);
  } catch (const Error& error) {
    throw error.within(path.string());
  }
}

OnnxModel parse_model(std::span<const std::byte> bytes, const std::filesystem::path& folder,
                      const GraphReadHook& on_graph) {
  if (bytes.size() > 0x7fffffffu)
    fail(ErrorCode::resource_limit, "a protobuf message of 2 GiB or more cannot be parsed");
  return parse_and_read(
      [&](auto& proto) { return proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())); }, folder,
      {}, on_graph);
}

}  // namespace bnrun
