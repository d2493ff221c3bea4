#include "onnx/serialize.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/wire_format_lite.h>

#include <cstdint>
#include <utility>

#include "base/fail.h"
#include "onnx/unknown_fields.h"

namespace bnrun {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedOutputStream;

constexpr std::uint64_t kProtobufLimitBytes = std::uint64_t{1} << 31;

[[noreturn]] void fail_for_size() {
  fail(ErrorCode::resource_limit, "it would pass protobuf's limit of 2 GiB: write external data");
}

/// The bytes of a message, cut behind its field `number`: protobuf writes fields by their numbers, unknown ones last.
struct SplitBytes {
  std::string head;
  std::string tail;
};
template <class Message>
SplitBytes split_behind(Message& message, int number) {
  const std::string unknown = bytes_of(message.unknown_fields());
  clear(*message.mutable_unknown_fields());
  if (message.ByteSizeLong() >= kProtobufLimitBytes) fail_for_size();
  SplitBytes split{message.SerializePartialAsString(), {}};
  std::size_t cut = split.head.size();
  for_each_field(split.head, [&](int field, std::size_t start, std::string_view) {
    if (field > number) cut = start;
    return field <= number;
  });
  split.tail = split.head.substr(cut) + unknown;
  split.head.resize(cut);
  return split;
}

/// A field of bytes or of a message: its tag, its length, and what it holds.
std::uint64_t field_bytes(int number, std::uint64_t payload) {
  return CodedOutputStream::VarintSize32(
             WireFormatLite::MakeTag(number, WireFormatLite::WIRETYPE_LENGTH_DELIMITED)) +
         CodedOutputStream::VarintSize64(payload) + payload;
}

void open_field(int number, std::uint64_t payload, CodedOutputStream& out) {
  out.WriteTag(WireFormatLite::MakeTag(number, WireFormatLite::WIRETYPE_LENGTH_DELIMITED));
  out.WriteVarint64(payload);
}

/// One initializer: what stands in front of raw_data, the elements, what stands behind.
class SplitInitializer {
 public:
  SplitInitializer(onnx::TensorProto& proto, const Tensor& raw_data) : raw_data_(raw_data) {
    if (raw_data_.defined()) proto.clear_raw_data();
    around_ = split_behind(proto, onnx::TensorProto::kRawDataFieldNumber);
    bytes_ = around_.head.size() + around_.tail.size();
    if (raw_data_.defined()) bytes_ += field_bytes(onnx::TensorProto::kRawDataFieldNumber, raw_data_.bytes());
  }

  /// In the graph.
  std::uint64_t bytes() const { return field_bytes(onnx::GraphProto::kInitializerFieldNumber, bytes_); }

  void write(CodedOutputStream& out) const {
    open_field(onnx::GraphProto::kInitializerFieldNumber, bytes_, out);
    out.WriteString(around_.head);
    if (raw_data_.defined()) {
      open_field(onnx::TensorProto::kRawDataFieldNumber, raw_data_.bytes(), out);
      out.WriteRaw(raw_data_.view().bytes, static_cast<int>(raw_data_.bytes()));
    }
    out.WriteString(around_.tail);
  }

 private:
  SplitBytes around_;
  const Tensor& raw_data_;
  std::uint64_t bytes_ = 0;
};

}  // namespace

void serialize(onnx::ModelProto model, const std::vector<Tensor>& raw_data, std::ostream& out) {
  onnx::GraphProto graph;
  graph.Swap(model.mutable_graph());
  model.clear_graph();
  const SplitBytes around_graph = split_behind(model, onnx::ModelProto::kGraphFieldNumber);
  std::vector<SplitInitializer> initializers;
  std::uint64_t graph_bytes = 0;
  for (int i = 0; i < graph.initializer_size(); ++i) {
    initializers.emplace_back(*graph.mutable_initializer(i), raw_data[static_cast<std::size_t>(i)]);
    graph_bytes += initializers.back().bytes();
  }
  graph.clear_initializer();
  const SplitBytes around_initializers = split_behind(graph, onnx::GraphProto::kInitializerFieldNumber);
  graph_bytes += around_initializers.head.size() + around_initializers.tail.size();
  const std::uint64_t model_bytes = around_graph.head.size() +
                                    field_bytes(onnx::ModelProto::kGraphFieldNumber, graph_bytes) +
                                    around_graph.tail.size();
  if (model_bytes >= kProtobufLimitBytes) fail_for_size();

  google::protobuf::io::OstreamOutputStream stream(&out);
  CodedOutputStream coded(&stream);
  coded.WriteString(around_graph.head);
  open_field(onnx::ModelProto::kGraphFieldNumber, graph_bytes, coded);
  coded.WriteString(around_initializers.head);
  for (const SplitInitializer& initializer : initializers) initializer.write(coded);
  coded.WriteString(around_initializers.tail);
  coded.WriteString(around_graph.tail);
}

}  // namespace bnrun
