#include "onnx/stored.h"

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bnrun/error.h"
#include "bnrun/model.h"
#include "bnrun/session.h"

namespace bnrun::testing {
namespace {

constexpr int kLarge = 20000;  // elements of 4 bytes, more than what stays in the message

/// Y = X + large + small, with `large` the second initializer of three.
onnx::ModelProto model_of(int elements) {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.set_producer_name("stored_test");
  model.set_model_version(-3);  // a varint of ten bytes
  model.add_opset_import()->set_version(13);
  auto& graph = *model.mutable_graph();
  graph.set_name("g");
  const auto port = [&](onnx::ValueInfoProto& info, const std::string& name) {
    info.set_name(name);
    auto& type = *info.mutable_type()->mutable_tensor_type();
    type.set_elem_type(onnx::TensorProto::FLOAT);
    type.mutable_shape()->add_dim()->set_dim_value(elements);
  };
  port(*graph.add_input(), "X");
  port(*graph.add_output(), "Y");
  const auto initializer = [&](const std::string& name, int size, float value) {
    auto& tensor = *graph.add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    tensor.add_dims(size);
    std::vector<float> values(static_cast<std::size_t>(size));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = value + static_cast<float>(i);
    tensor.set_raw_data(values.data(), values.size() * sizeof(float));
  };
  const auto add = [&](const std::string& a, const std::string& b, const std::string& y) {
    auto& node = *graph.add_node();
    node.set_op_type("Add");
    node.add_input(a);
    node.add_input(b);
    node.add_output(y);
  };
  initializer("small", 1, 0.5F);
  initializer("large", elements, 0.25F);
  initializer("unused", 2, 0.0F);
  add("X", "large", "h");
  add("h", "small", "Y");
  return model;
}

class Stored : public ::testing::Test {
 protected:
  ~Stored() override { std::filesystem::remove(path_); }

  std::filesystem::path write(const std::string& bytes) {
    std::ofstream(path_, std::ios::binary) << bytes;
    return path_;
  }
  std::optional<SplitModel> split(const std::string& bytes) {
    return split_model(InputFile(write(bytes), InputFile::Kind::regular));
  }

 private:
  const std::filesystem::path path_ =
      std::filesystem::temp_directory_path() /
      (std::string("stored_test_") + ::testing::UnitTest::GetInstance()->current_test_info()->name() +
       ".onnx");
};

TEST_F(Stored, LargeRawDataStaysInTheFileAndEverythingElseIsInTheMessage) {
  const auto model = model_of(kLarge);
  const std::string bytes = model.SerializeAsString();
  const auto parts = split(bytes);
  ASSERT_TRUE(parts);
  ASSERT_EQ(parts->raw_data.size(), 1u);
  const auto& [number, at] = *parts->raw_data.begin();
  EXPECT_EQ(number, 1);
  EXPECT_EQ(bytes.substr(at.offset, at.bytes), model.graph().initializer(1).raw_data());
  onnx::ModelProto rest;
  ASSERT_TRUE(rest.ParseFromString(parts->message));
  onnx::ModelProto expected = model;
  expected.mutable_graph()->mutable_initializer(1)->clear_raw_data();
  EXPECT_EQ(rest.SerializeAsString(), expected.SerializeAsString());
}

TEST_F(Stored, AFileWithoutLargeInitializersIsParsedAsAWhole) {
  EXPECT_FALSE(split(model_of(8).SerializeAsString()));
  EXPECT_FALSE(split(""));
}

TEST_F(Stored, ADamagedFileIsParsedAsAWholeWhereverItEnds) {
  const std::string bytes = model_of(kLarge).SerializeAsString();
  for (std::size_t end = 0; end < bytes.size(); end += end < 300 || end + 300 > bytes.size() ? 1 : 977)
    EXPECT_FALSE(split(bytes.substr(0, end))) << end;
}

/// A field of bytes: its number, its length, `content`.
std::string field(unsigned number, const std::string& content) {
  std::string bytes(1, static_cast<char>(number * 8 + 2));
  std::size_t length = content.size();
  for (; length >= 0x80; length >>= 7) bytes += static_cast<char>(length | 0x80);
  return bytes + static_cast<char>(length) + content;
}

TEST_F(Stored, WhatIsSaidTwiceIsParsedAsAWhole) {
  constexpr unsigned kGraph = 7;        // of ModelProto
  constexpr unsigned kInitializer = 5;  // of GraphProto
  const onnx::ModelProto model = model_of(kLarge);
  const std::string tensor = model.graph().initializer(1).SerializeAsString();
  onnx::TensorProto again;
  again.set_raw_data("abcd");
  const std::string once = field(kInitializer, tensor);
  const std::string twice = field(kInitializer, tensor + again.SerializeAsString());
  EXPECT_TRUE(split(field(kGraph, once)));
  EXPECT_FALSE(split(field(kGraph, twice)));                       // the last one counts
  EXPECT_FALSE(split(field(kGraph, once) + field(kGraph, once)));  // the two graphs are one
}

TEST_F(Stored, AModelReadInPartsComputesWhatTheWholeOneDoes) {
  const std::string bytes = model_of(kLarge).SerializeAsString();
  const Session from_file = Session::load(write(bytes));
  const Session from_memory(Model::parse(std::as_bytes(std::span(bytes))));
  const Tensor X(DType::float32, {kLarge});
  const auto a = from_file.run({{"X", X}});
  const auto b = from_memory.run({{"X", X}});
  EXPECT_TRUE(identical(a[0].tensor, b[0].tensor));
  EXPECT_EQ(a[0].tensor.span<float>()[100], 100.75F);
}

TEST_F(Stored, RawDataOfTheWrongSizeIsAnErrorThatNamesTheTensor) {
  onnx::ModelProto model = model_of(kLarge);
  model.mutable_graph()->mutable_initializer(1)->set_dims(0, kLarge - 1);
  try {
    Model::load(write(model.SerializeAsString()));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_model);
    EXPECT_NE(
        std::string(error.what()).find("tensor 'large' holds 80000 bytes, its shape [19999] needs 79996"),
        std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace bnrun::testing
