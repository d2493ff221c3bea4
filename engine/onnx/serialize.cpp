#include "onnx/serialize.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/wire_format_lite.h>

#include <cstdint>
#include <utility>

#include "base/fail.h"

namespace bnrun {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedOutputStream;

constexpr std::uint64_t kProtobufLimitBytes = std::uint64_t{1} << 31;

/// Moves what is written behind field `number` into a message of its own: protobuf writes fields by their
/// numbers, unknown ones last.
template <class Message>
Message cut_behind(Message& message, int number) {
  std::vector<const google::protobuf::FieldDescriptor*> behind;
  message.GetReflection()->ListFields(message, &behind);
  std::erase_if(behind, [&](const auto* field) { return field->number() <= number; });
  Message tail;
  message.GetReflection()->SwapFields(&message, &tail, behind);
  tail.mutable_unknown_fields()->Swap(message.mutable_unknown_fields());
  return tail;
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
  SplitInitializer(onnx::TensorProto&& proto, const Tensor& raw_data)
      : head_(std::move(proto)),
        tail_(cut_behind(head_, onnx::TensorProto::kRawDataFieldNumber)),
        raw_data_(raw_data) {
    if (raw_data_.defined()) head_.clear_raw_data();
    bytes_ = head_.ByteSizeLong() + tail_.ByteSizeLong();
    if (raw_data_.defined()) bytes_ += field_bytes(onnx::TensorProto::kRawDataFieldNumber, raw_data_.bytes());
  }

  /// In the graph; also prepares the sizes that writing relies on.
  std::uint64_t bytes() const { return field_bytes(onnx::GraphProto::kInitializerFieldNumber, bytes_); }

  void write(CodedOutputStream& out) const {
    open_field(onnx::GraphProto::kInitializerFieldNumber, bytes_, out);
    head_.SerializeWithCachedSizes(&out);
    if (raw_data_.defined()) {
      open_field(onnx::TensorProto::kRawDataFieldNumber, raw_data_.bytes(), out);
      out.WriteRaw(raw_data_.view().bytes, static_cast<int>(raw_data_.bytes()));
    }
    tail_.SerializeWithCachedSizes(&out);
  }

 private:
  onnx::TensorProto head_;
  onnx::TensorProto tail_;
  const Tensor& raw_data_;
  std::uint64_t bytes_ = 0;
};

}  // namespace

void serialize(onnx::ModelProto model, const std::vector<Tensor>& raw_data, std::ostream& out) {
  const onnx::ModelProto model_tail = cut_behind(model, onnx::ModelProto::kGraphFieldNumber);
  onnx::GraphProto graph;
  graph.Swap(model.mutable_graph());
  model.clear_graph();
  const onnx::GraphProto graph_tail = cut_behind(graph, onnx::GraphProto::kInitializerFieldNumber);
  std::vector<SplitInitializer> initializers;
  std::uint64_t graph_bytes = graph_tail.ByteSizeLong();
  for (int i = 0; i < graph.initializer_size(); ++i) {
    initializers.emplace_back(std::move(*graph.mutable_initializer(i)),
                              raw_data[static_cast<std::size_t>(i)]);
    graph_bytes += initializers.back().bytes();
  }
  graph.clear_initializer();
  graph_bytes += graph.ByteSizeLong();
  const std::uint64_t model_bytes = model.ByteSizeLong() +
                                    field_bytes(onnx::ModelProto::kGraphFieldNumber, graph_bytes) +
                                    model_tail.ByteSizeLong();
  if (model_bytes >= kProtobufLimitBytes)
    fail(ErrorCode::resource_limit, "it would pass protobuf's limit of 2 GiB: write external data");

  google::protobuf::io::OstreamOutputStream stream(&out);
  CodedOutputStream coded(&stream);
  model.SerializeWithCachedSizes(&coded);
  open_field(onnx::ModelProto::kGraphFieldNumber, graph_bytes, coded);
  graph.SerializeWithCachedSizes(&coded);
  for (const SplitInitializer& initializer : initializers) initializer.write(coded);
  graph_tail.SerializeWithCachedSizes(&coded);
  model_tail.SerializeWithCachedSizes(&coded);
}

}  // namespace bnrun
