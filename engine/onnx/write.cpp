// Graph and metadata -> .onnx bytes.
#include "onnx/write.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <set>

#include "base/fail.h"
#include "bnrun/model.h"
#include "graph/graph.h"
#include "onnx/serialize.h"
#include "onnx/source.h"
#include "onnx/tensor_proto.h"
#include "onnx/unknown_fields.h"

namespace bnrun {
namespace {

constexpr std::size_t kAutomaticLimitBytes = std::size_t{1} << 30;  // well below protobuf's
constexpr std::size_t kExternalThresholdBytes = 1024;  // smaller tensors stay inside, as other writers do
constexpr std::size_t kExternalAlignmentBytes = 64;

/// Collects the tensors that go into the file beside the model.
class ExternalWriter {
 public:
  ExternalWriter(std::filesystem::path path, std::string location) : location_(std::move(location)) {
    file_.open(path, std::ios::binary | std::ios::trunc);
    if (!file_) fail(ErrorCode::io, "cannot create '{}': {}", path.string(), std::strerror(errno));
  }

  void write(const Tensor& tensor, onnx::TensorProto& proto) {
    const std::size_t padding =
        (kExternalAlignmentBytes - offset_ % kExternalAlignmentBytes) % kExternalAlignmentBytes;
    const std::string zeros(padding, '\0');
    file_.write(zeros.data(), static_cast<std::streamsize>(padding));
    offset_ += padding;
    file_.write(static_cast<const char*>(tensor.view().bytes), static_cast<std::streamsize>(tensor.bytes()));
    write_tensor_type(tensor, proto);
    proto.set_data_location(onnx::TensorProto::EXTERNAL);
    add_entry(proto, "location", location_);
    add_entry(proto, "offset", std::to_string(offset_));
    add_entry(proto, "length", std::to_string(tensor.bytes()));
    offset_ += tensor.bytes();
  }

  bool finish() {
    file_.close();
    return !file_.fail();
  }

 private:
  static void add_entry(onnx::TensorProto& proto, const char* key, const std::string& value) {
    auto* entry = proto.add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  }

  std::ofstream file_;
  std::string location_;
  std::size_t offset_ = 0;
};

void write_type(const ValueType& type, onnx::ValueInfoProto& info) {
  if (type.dtype == DType::undefined) return;
  auto* tensor = info.mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(static_cast<std::int32_t>(type.dtype));
  if (!type.dims) return;
  auto* shape = tensor->mutable_shape();
  for (const Dim& dim : *type.dims) {
    auto* target = shape->add_dim();
    if (dim.known())
      target->set_dim_value(dim.extent());
    else if (dim.symbolic())
      target->set_dim_param(dim.name());
  }
}

class GraphWriter {
 public:
  GraphWriter(std::int64_t ir_version, ExternalWriter* external)
      : ir_version_(ir_version), external_(external) {}

  /// Writes `graph` without the elements of its initializers, and returns those for
  /// `serialize`. `source` is the message the graph was read from, or nullptr.
  std::vector<Tensor> write_model(const Graph& graph, const onnx::GraphProto* source,
                                  onnx::GraphProto& out) const {
    std::vector<Tensor> raw_data;
    write(graph, source, out, &raw_data);
    return raw_data;
  }

 private:
  void write(const Graph& graph, const onnx::GraphProto* source, onnx::GraphProto& out,
             std::vector<Tensor>* raw_data) const {
    if (source != nullptr) {
      out.set_doc_string(source->doc_string());
      *out.mutable_quantization_annotation() = source->quantization_annotation();
      append(*out.mutable_unknown_fields(), source->unknown_fields());
    }
    out.set_name(graph.name.empty() ? "graph" : graph.name);
    write_values(graph, source, out, raw_data);
    for (const NodeId id : graph.topological_order()) {
      const Node& node = graph.node(id);
      const bool known = source != nullptr && node.source >= 0 && node.source < source->node_size();
      write_node(graph, node, known ? &source->node(node.source) : nullptr, *out.add_node());
    }
  }

  template <class List>
  static std::map<std::string, const typename List::value_type*> by_name(const List* list) {
    std::map<std::string, const typename List::value_type*> map;
    if (list != nullptr) {
      for (const auto& entry : *list) map[entry.name()] = &entry;
    }
    return map;
  }

  void write_values(const Graph& graph, const onnx::GraphProto* source, onnx::GraphProto& out,
                    std::vector<Tensor>* raw_data) const {
    const auto old_inputs = by_name(source != nullptr ? &source->input() : nullptr);
    const auto old_outputs = by_name(source != nullptr ? &source->output() : nullptr);
    const auto old_infos = by_name(source != nullptr ? &source->value_info() : nullptr);
    const auto old_tensors = by_name(source != nullptr ? &source->initializer() : nullptr);
    const auto declare = [&](ValueId id, const auto& known, onnx::ValueInfoProto& info) {
      const Value& value = graph.value(id);
      const auto found = known.find(value.name);
      if (found != known.end()) info = *found->second;
      info.set_name(value.name);
      if (found == known.end()) write_type(value.type, info);
    };
    for (const ValueId id : graph.inputs()) declare(id, old_inputs, *out.add_input());
    for (const ValueId id : graph.outputs()) declare(id, old_outputs, *out.add_output());
    for (const ValueId id : graph.live_values()) {
      const Value& value = graph.value(id);
      if (value.constant.defined()) {
        // Before IR 4 every initializer is an input as well.
        if (ir_version_ < 4 && !value.is_input) declare(id, old_inputs, *out.add_input());
        auto& tensor = *out.add_initializer();
        const auto found = old_tensors.find(value.name);
        if (found != old_tensors.end()) tensor = *found->second;
        tensor.set_name(value.name);
        write_elements(value.constant, tensor, raw_data);
      } else if (value.producer.valid() && !value.is_output && old_infos.contains(value.name)) {
        declare(id, old_infos, *out.add_value_info());
      }
    }
  }

  void write_elements(const Tensor& tensor, onnx::TensorProto& proto, std::vector<Tensor>* raw_data) const {
    const bool is_raw = tensor.dtype() != DType::string;
    const bool outside = external_ != nullptr && is_raw && tensor.bytes() >= kExternalThresholdBytes;
    const bool later = raw_data != nullptr && is_raw && !outside;
    if (outside)
      external_->write(tensor, proto);
    else if (later)
      write_tensor_type(tensor, proto);
    else
      write_tensor(tensor, proto);
    if (raw_data != nullptr) raw_data->push_back(later ? tensor : Tensor());
  }

  void write_node(const Graph& graph, const Node& node, const onnx::NodeProto* source,
                  onnx::NodeProto& out) const {
    if (source != nullptr) {
      out = *source;
    } else {
      out.set_domain(node.domain);
    }
    out.set_name(node.name);
    out.set_op_type(node.op_type);
    out.clear_input();
    out.clear_output();
    out.clear_attribute();
    for (const ValueId id : node.inputs) out.add_input(id.valid() ? graph.value(id).name : "");
    for (const ValueId id : node.outputs) out.add_output(id.valid() ? graph.value(id).name : "");
    const auto old_attributes = by_name(source != nullptr ? &source->attribute() : nullptr);
    for (const auto& [name, value] : node.attributes) {
      auto& attribute = *out.add_attribute();
      const auto found = old_attributes.find(name);
      if (found != old_attributes.end()) attribute = *found->second;
      attribute.set_name(name);
      std::visit([&](const auto& v) { write_attribute(v, found != old_attributes.end(), attribute); }, value);
    }
  }

  // Rewrites never change subgraphs and attributes of opaque kinds, so that the original message is kept.
  void write_attribute(const OpaqueAttribute&, bool, onnx::AttributeProto&) const {}
  void write_attribute(const std::shared_ptr<const Graph>& v, bool exists, onnx::AttributeProto& a) const {
    if (exists) return;
    a.set_type(onnx::AttributeProto::GRAPH);
    write(*v, nullptr, *a.mutable_g(), nullptr);
  }
  void write_attribute(std::int64_t v, bool, onnx::AttributeProto& a) const {
    a.set_type(onnx::AttributeProto::INT);
    a.set_i(v);
  }
  void write_attribute(float v, bool, onnx::AttributeProto& a) const {
    a.set_type(onnx::AttributeProto::FLOAT);
    a.set_f(v);
  }
  void write_attribute(const std::string& v, bool, onnx::AttributeProto& a) const {
    a.set_type(onnx::AttributeProto::STRING);
    a.set_s(v);
  }
  void write_attribute(const Tensor& v, bool, onnx::AttributeProto& a) const {
    a.set_type(onnx::AttributeProto::TENSOR);
    write_tensor(v, *a.mutable_t());
  }
  void write_attribute(const std::vector<std::int64_t>& v, bool, onnx::AttributeProto& a) const {
    a.set_type(onnx::AttributeProto::INTS);
    a.mutable_ints()->Assign(v.begin(), v.end());
  }
  void write_attribute(const std::vector<float>& v, bool, onnx::AttributeProto& a) const {
    a.set_type(onnx::AttributeProto::FLOATS);
    a.mutable_floats()->Assign(v.begin(), v.end());
  }
  void write_attribute(const std::vector<std::string>& v, bool, onnx::AttributeProto& a) const {
    a.set_type(onnx::AttributeProto::STRINGS);
    a.mutable_strings()->Assign(v.begin(), v.end());
  }
  void write_attribute(const std::vector<Tensor>& v, bool exists, onnx::AttributeProto& a) const {
    a.set_type(onnx::AttributeProto::TENSORS);
    for (std::size_t i = 0; i < v.size(); ++i)
      write_tensor(v[i], exists ? *a.mutable_tensors(static_cast<int>(i)) : *a.add_tensors());
  }

  std::int64_t ir_version_;
  ExternalWriter* external_;
};

onnx::ModelProto skeleton(const Graph& graph, const ModelMetadata& metadata, const OnnxSource* source) {
  onnx::ModelProto proto;
  if (source != nullptr) {
    proto.CopyFrom(source->model);
    proto.clear_metadata_props();
  } else {
    for (const auto& [domain, version] : graph.opsets) {
      auto* import = proto.add_opset_import();
      import->set_domain(domain);
      import->set_version(version);
    }
  }
  proto.set_ir_version(metadata.ir_version);
  proto.set_producer_name(metadata.producer_name);
  proto.set_producer_version(metadata.producer_version);
  if (!metadata.doc_string.empty()) proto.set_doc_string(metadata.doc_string);
  if (!metadata.domain.empty()) proto.set_domain(metadata.domain);
  if (metadata.model_version != 0) proto.set_model_version(metadata.model_version);
  for (const auto& [key, value] : metadata.properties) {
    auto* property = proto.add_metadata_props();
    property->set_key(key);
    property->set_value(value);
  }
  return proto;
}

/// What `serialize` takes.
std::pair<onnx::ModelProto, std::vector<Tensor>> build(const Graph& graph, const ModelMetadata& metadata,
                                                       const OnnxSource* source, ExternalWriter* external) {
  onnx::ModelProto proto = skeleton(graph, metadata, source);
  auto raw_data =
      GraphWriter(metadata.ir_version, external)
          .write_model(graph, source != nullptr ? &source->graph : nullptr, *proto.mutable_graph());
  if (!metadata.graph_name.empty()) proto.mutable_graph()->set_name(metadata.graph_name);
  return {std::move(proto), std::move(raw_data)};
}

/// A temporary file next to `target`: renamed to it on success, removed on failure.
class Replacement {
 public:
  explicit Replacement(std::filesystem::path target)
      : target_(std::move(target)), path_(target_.string() + fmt::format(".{}.part", ::getpid())) {}
  ~Replacement() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  Replacement(const Replacement&) = delete;
  Replacement& operator=(const Replacement&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void commit() {
    std::error_code error;
    std::filesystem::rename(path_, target_, error);
    if (error) fail(ErrorCode::io, "cannot replace '{}': {}", target_.string(), error.message());
  }

 private:
  std::filesystem::path target_;
  std::filesystem::path path_;
};

/// Throws io when writing `target` would destroy the external data of the model that is being
/// written. That is allowed only if the model file that refers to it is replaced as well.
void check_holds_no_weights(const OnnxSource* source, const std::filesystem::path& model,
                            const std::filesystem::path& target) {
  std::error_code none;
  if (source == nullptr || std::filesystem::equivalent(source->file, model, none)) return;
  for (const auto& file : source->data_files) {
    if (std::filesystem::equivalent(file, target, none))
      fail(ErrorCode::io, "'{}' holds the weights of '{}': choose another name", target.string(),
           source->file.string());
  }
}

/// The file that a name stands for, with symbolic links followed, also one to a file that is not there yet.
std::filesystem::path behind_links(const std::filesystem::path& path) {
  std::error_code error;
  const auto real = std::filesystem::weakly_canonical(path, error);
  if (error) fail(ErrorCode::io, "cannot write '{}': {}", path.string(), error.message());
  if (!std::filesystem::is_symlink(real, error)) return real;
  return behind_links(real.parent_path() / std::filesystem::read_symlink(real));
}

}  // namespace

void write_model(const Graph& graph, const ModelMetadata& metadata, const OnnxSource* source,
                 const std::filesystem::path& named, ExternalData external_data) {
  std::error_code none;
  const auto status = std::filesystem::status(named, none);
  if (status.type() == std::filesystem::file_type::none)  // links in a circle, say
    fail(ErrorCode::io, "cannot write '{}': {}", named.string(), none.message());
  const bool in_place = exists(status) && !is_regular_file(status);  // a pipe, a device
  const std::filesystem::path path = in_place ? named : behind_links(named);
  std::size_t bytes = 0;
  for (const ValueId id : graph.live_values()) {
    const Tensor& constant = graph.value(id).constant;
    if (constant.defined()) bytes += constant.bytes();
  }
  const bool outside = external_data == ExternalData::always ||
                       (external_data == ExternalData::automatic &&
                        ((source != nullptr && !source->data_files.empty()) || bytes > kAutomaticLimitBytes));
  if (in_place && (outside || is_directory(status)))
    fail(ErrorCode::io, "'{}' is not a regular file, so that external data cannot be written next to it",
         path.string());
  std::filesystem::path data_path = path;
  data_path += ".data";
  check_holds_no_weights(source, path, path);
  if (outside) check_holds_no_weights(source, path, data_path);
  std::optional<Replacement> model_file;
  if (!in_place) model_file.emplace(path);
  std::optional<Replacement> data_file;
  std::optional<ExternalWriter> external;
  if (outside) {
    data_file.emplace(data_path);
    external.emplace(data_file->path(), data_path.filename().string());
  }
  auto [proto, raw_data] = build(graph, metadata, source, external ? &*external : nullptr);
  if (external && !external->finish())
    fail(ErrorCode::io, "writing '{}' failed: is the disk full?", data_path.string());
  std::ofstream file(model_file ? model_file->path() : path, std::ios::binary | std::ios::trunc);
  if (!file) fail(ErrorCode::io, "cannot write '{}': {}", path.string(), std::strerror(errno));
  try {
    serialize(std::move(proto), raw_data, file);
  } catch (const Error& error) {
    throw error.within(path.string());
  }
  if (!file.flush()) fail(ErrorCode::io, "writing '{}' failed: is the disk full?", path.string());
  file.close();
  if (data_file) data_file->commit();
  if (model_file) model_file->commit();
}

void write_model(const Graph& graph, const ModelMetadata& metadata, const OnnxSource* source,
                 std::ostream& stream) {
  auto [proto, raw_data] = build(graph, metadata, source, nullptr);
  serialize(std::move(proto), raw_data, stream);
}

}  // namespace bnrun
