// The streamed writer against protobuf's own.
#include "onnx/serialize.h"

#include <gtest/gtest.h>

#include <fstream>
#include <numeric>
#include <sstream>

#include "bnrun/error.h"

namespace bnrun {
namespace {

constexpr int kUnknownField = 12345;

void add_tensor(onnx::GraphProto& graph, const std::string& name, std::size_t bytes) {
  auto& tensor = *graph.add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::UINT8);
  tensor.add_dims(static_cast<std::int64_t>(bytes));
  std::string data(bytes, '\0');
  std::iota(data.begin(), data.end(), '\1');
  tensor.set_raw_data(data);
}

/// Every part of a model that stands around its weights, in each of the messages that the writer takes apart.
onnx::ModelProto full_model() {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.set_producer_name("producer");
  model.set_doc_string("a model");
  auto& import = *model.add_opset_import();
  import.set_domain("");
  import.set_version(17);
  auto& property = *model.add_metadata_props();
  property.set_key("key");
  property.set_value("value");
  auto& function = *model.add_functions();
  function.set_name("function");
  function.add_node()->set_op_type("Relu");
  model.mutable_unknown_fields()->AddVarint(kUnknownField, 7);

  auto& graph = *model.mutable_graph();
  graph.set_name("graph");
  graph.set_doc_string("a graph");
  graph.add_input()->set_name("x");
  graph.add_output()->set_name("y");
  graph.add_value_info()->set_name("h");
  graph.add_quantization_annotation()->set_tensor_name("h");
  graph.mutable_unknown_fields()->AddLengthDelimited(kUnknownField)->assign("of the graph");
  auto& node = *graph.add_node();
  node.set_op_type("If");
  auto& attribute = *node.add_attribute();
  attribute.set_name("then_branch");
  attribute.set_type(onnx::AttributeProto::GRAPH);
  add_tensor(*attribute.mutable_g(), "inner", 100);

  add_tensor(graph, "small", 3);
  add_tensor(graph, "none", 0);
  add_tensor(graph, "large", 100'000);
  auto& described = *graph.mutable_initializer(2);
  described.set_doc_string("described");
  described.mutable_unknown_fields()->AddFixed32(kUnknownField, 1);
  auto& outside = *graph.add_initializer();
  outside.set_name("outside");
  outside.set_data_location(onnx::TensorProto::EXTERNAL);
  outside.add_external_data()->set_key("location");
  auto& typed = *graph.add_initializer();
  typed.set_name("typed");
  typed.set_data_type(onnx::TensorProto::STRING);
  typed.add_string_data("text");
  return model;
}

/// Takes the raw data of the graph's initializers out of the message.
std::vector<Tensor> take_raw_data(onnx::ModelProto& model) {
  std::vector<Tensor> taken;
  for (auto& initializer : *model.mutable_graph()->mutable_initializer()) {
    taken.emplace_back();
    if (!initializer.has_raw_data()) continue;
    const std::string& data = initializer.raw_data();
    taken.back() =
        Tensor({static_cast<std::int64_t>(data.size())}, std::vector<std::uint8_t>(data.begin(), data.end()));
    initializer.clear_raw_data();
  }
  return taken;
}

TEST(Serialize, WritesTheBytesThatProtobufWrites) {
  onnx::ModelProto model = full_model();
  const std::string expected = model.SerializeAsString();
  const auto raw_data = take_raw_data(model);
  ASSERT_LT(model.ByteSizeLong(), expected.size() - 100'000);
  std::ostringstream out;
  serialize(model, raw_data, out);
  EXPECT_TRUE(out.str() == expected);
}

TEST(Serialize, LeavesRawDataOfTheMessageWhereNoneIsGiven) {
  const onnx::ModelProto model = full_model();
  std::ostringstream out;
  serialize(model, std::vector<Tensor>(5), out);
  EXPECT_TRUE(out.str() == model.SerializeAsString());
}

TEST(Serialize, AGraphWithoutInitializers) {
  onnx::ModelProto model = full_model();
  model.mutable_graph()->clear_initializer();
  std::ostringstream out;
  serialize(model, {}, out);
  EXPECT_EQ(out.str(), model.SerializeAsString());
}

TEST(Serialize, RefusesWhatProtobufCannotReadBeforeWritingAnything) {
  const Tensor shared(DType::uint8, {std::int64_t{1} << 26});
  onnx::ModelProto model;
  for (int i = 0; i < 32; ++i) model.mutable_graph()->add_initializer()->set_name("t");
  std::ostringstream out;
  try {
    serialize(model, std::vector<Tensor>(32, shared), out);
    FAIL() << "2 GiB were written";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::resource_limit);
  }
  EXPECT_TRUE(out.str().empty());
}

TEST(Serialize, AFullDiskShowsInTheStream) {
  std::ofstream full("/dev/full", std::ios::binary);
  onnx::ModelProto model = full_model();
  const auto raw_data = take_raw_data(model);
  serialize(model, raw_data, full);
  EXPECT_FALSE(full.flush());
}

}  // namespace
}  // namespace bnrun
