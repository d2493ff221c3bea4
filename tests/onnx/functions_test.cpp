// Model-local functions become part of the graph.
#include "onnx/functions.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include "api/model_access.h"
#include "bnrun/error.h"
#include "bnrun/model.h"
#include "graph/graph.h"
#include "verify/interpret.h"

namespace bnrun {
namespace {

using Floats = std::vector<float>;
using Names = std::vector<std::string>;

onnx::NodeProto node(const std::string& op_type, const Names& inputs, const Names& outputs,
                     const std::string& domain = "") {
  onnx::NodeProto made;
  made.set_op_type(op_type);
  made.set_domain(domain);
  for (const auto& name : inputs) made.add_input(name);
  for (const auto& name : outputs) made.add_output(name);
  return made;
}

void import(auto& proto, const std::string& domain, int version) {
  auto* opset = proto.add_opset_import();
  opset->set_domain(domain);
  opset->set_version(version);
}

void declare(onnx::ValueInfoProto& info, const std::string& name, int dtype = onnx::TensorProto::FLOAT) {
  info.set_name(name);
  info.mutable_type()->mutable_tensor_type()->set_elem_type(dtype);
}

/// float x -> float y through the nodes added to it.
onnx::ModelProto empty_model() {
  onnx::ModelProto model;
  model.set_ir_version(8);
  import(model, "", 16);
  import(model, "local", 1);
  declare(*model.mutable_graph()->add_input(), "x");
  declare(*model.mutable_graph()->add_output(), "y");
  return model;
}

onnx::FunctionProto function(const std::string& name, const Names& inputs, const Names& outputs,
                             const std::vector<onnx::NodeProto>& nodes) {
  onnx::FunctionProto made;
  made.set_name(name);
  made.set_domain("local");
  import(made, "", 16);
  for (const auto& input : inputs) made.add_input(input);
  for (const auto& output : outputs) made.add_output(output);
  for (const auto& n : nodes) *made.add_node() = n;
  return made;
}

Model load(const onnx::ModelProto& proto) {
  const std::string bytes = proto.SerializeAsString();
  return Model::parse(std::as_bytes(std::span(bytes)));
}

Floats run(const Model& model, const Floats& x) {
  const Tensor input({static_cast<std::int64_t>(x.size())}, x);
  const TensorView views[] = {input.view()};
  const auto outputs = interpret(graph_of(model), views);
  return {outputs.at(0).span<float>().begin(), outputs.at(0).span<float>().end()};
}

ErrorCode code_of(const onnx::ModelProto& proto) {
  try {
    load(proto);
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorCode::internal;
}

/// A LeakyRelu whose slope is an attribute of the function, as `slope_name`.
onnx::NodeProto leaky(const std::string& slope_name) {
  auto made = node("LeakyRelu", {"a"}, {"b"});
  auto* alpha = made.add_attribute();
  alpha->set_name("alpha");
  alpha->set_type(onnx::AttributeProto::FLOAT);
  alpha->set_ref_attr_name(slope_name);
  return made;
}

onnx::AttributeProto slope(float value) {
  onnx::AttributeProto attribute;
  attribute.set_name("slope");
  attribute.set_type(onnx::AttributeProto::FLOAT);
  attribute.set_f(value);
  return attribute;
}

TEST(Functions, CalledTwiceWithinEachOtherKeepTheirValuesApart) {
  auto model = empty_model();
  // twice(a) = a + a; four_times(a) = twice(twice(a)); the name "h" stands in all three graphs.
  *model.add_functions() = function("twice", {"a"}, {"h"}, {node("Add", {"a", "a"}, {"h"})});
  *model.add_functions() =
      function("four_times", {"a"}, {"b"},
               {node("twice", {"a"}, {"h"}, "local"), node("twice", {"h"}, {"b"}, "local")});
  *model.mutable_graph()->add_node() = node("four_times", {"x"}, {"h"}, "local");
  *model.mutable_graph()->add_node() = node("twice", {"h"}, {"z"}, "local");
  *model.mutable_graph()->add_node() = node("Add", {"z", "h"}, {"y"});
  const Model loaded = load(model);
  EXPECT_EQ(run(loaded, {1, -2}), (Floats{12, -24}));
  for (const NodeId id : graph_of(loaded).live_nodes()) EXPECT_EQ(graph_of(loaded).node(id).op_type, "Add");
}

TEST(Functions, AttributesComeFromTheCallerThenTheFunctionThenTheOperator) {
  auto with_value = empty_model();
  *with_value.add_functions() = function("leaky", {"a"}, {"b"}, {leaky("slope")});
  auto call = node("leaky", {"x"}, {"y"}, "local");
  *with_value.mutable_graph()->add_node() = call;
  EXPECT_EQ(run(load(with_value), {-100}), Floats{-1});  // LeakyRelu's own 0.01

  auto with_default = with_value;
  constexpr int kAttributeProtoField = 11;
  with_default.mutable_functions(0)->mutable_unknown_fields()->AddLengthDelimited(
      kAttributeProtoField, slope(0.5F).SerializeAsString());
  EXPECT_EQ(run(load(with_default), {-100}), Floats{-50});

  *with_default.mutable_graph()->mutable_node(0)->add_attribute() = slope(0.25F);
  EXPECT_EQ(run(load(with_default), {-100}), Floats{-25});
}

TEST(Functions, SubgraphsReadTheFunctionsValues) {
  auto model = empty_model();
  auto choose = node("If", {"go"}, {"b"});
  for (const char* branch : {"then_branch", "else_branch"}) {
    auto* attribute = choose.add_attribute();
    attribute->set_name(branch);
    attribute->set_type(onnx::AttributeProto::GRAPH);
    *attribute->mutable_g()->add_node() = node(std::string(branch) == "then_branch" ? "twice" : "Neg", {"h"},
                                               {"c"}, std::string(branch) == "then_branch" ? "local" : "");
    declare(*attribute->mutable_g()->add_output(), "c");
  }
  *model.add_functions() = function("twice", {"a"}, {"h"}, {node("Add", {"a", "a"}, {"h"})});
  *model.add_functions() = function("choose", {"a", "go"}, {"b"}, {node("Neg", {"a"}, {"h"}), choose});
  declare(*model.mutable_graph()->add_input(), "go", onnx::TensorProto::BOOL);
  *model.mutable_graph()->add_node() = node("choose", {"x", "go"}, {"y"}, "local");
  const Model loaded = load(model);
  for (const bool go : {true, false}) {
    const Tensor x({1}, Floats{3});
    const Tensor condition({}, std::vector<bool>{go});
    const TensorView views[] = {x.view(), condition.view()};
    EXPECT_EQ(interpret(graph_of(loaded), views).at(0).data<float>()[0], go ? -6.0F : 3.0F);
  }
}

TEST(Functions, AnOutputMayBeAnInput) {
  auto model = empty_model();
  *model.add_functions() = function("pass", {"a"}, {"a"}, {});
  *model.mutable_graph()->add_node() = node("pass", {"x"}, {"y"}, "local");
  EXPECT_EQ(run(load(model), {4}), Floats{4});
}

TEST(Functions, OperatorSetsOfBodiesBecomeTheModels) {
  auto model = empty_model();
  auto scale = function("f", {"a"}, {"b"}, {node("Scaler", {"a"}, {"b"}, "ai.onnx.ml")});
  import(scale, "ai.onnx.ml", 2);
  *model.add_functions() = scale;
  *model.mutable_graph()->add_node() = node("f", {"x"}, {"y"}, "local");
  inline_functions(model);
  EXPECT_EQ(model.functions_size(), 0);
  ASSERT_EQ(model.opset_import_size(), 3);
  EXPECT_EQ(model.opset_import(2).domain(), "ai.onnx.ml");
}

/// The body of a function of another version is the model's where its operators are the same in both.
TEST(Functions, AnotherVersionOfAnOperatorSetIsTakenForTheSameOperators) {
  struct Case {
    const char* op_type;
    int version;
    bool same;
  };
  for (const auto& [op_type, version, same] :
       {Case{"Neg", 13, true}, Case{"Neg", 15, true}, Case{"Neg", 17, true}, Case{"Neg", 5, false},
        Case{"Relu", 13, false}}) {
    SCOPED_TRACE(fmt::format("{} of {}", op_type, version));
    auto model = empty_model();
    auto body = function("f", {"a"}, {"b"}, {node(op_type, {"a"}, {"b"})});
    body.mutable_opset_import(0)->set_version(version);
    *model.add_functions() = body;
    *model.mutable_graph()->add_node() = node("f", {"x"}, {"y"}, "local");
    if (same)
      EXPECT_EQ(run(load(model), {4}), Floats{-4});
    else
      EXPECT_EQ(code_of(model), ErrorCode::unsupported);
  }
}

TEST(Functions, AnOperatorInASubgraphOfAnotherVersionCountsToo) {
  auto model = empty_model();
  auto branch = node("If", {"a"}, {"b"});
  auto& attribute = *branch.add_attribute();
  attribute.set_name("then_branch");
  attribute.set_type(onnx::AttributeProto::GRAPH);
  *attribute.mutable_g()->add_node() = node("Relu", {"a"}, {"c"});
  auto body = function("f", {"a"}, {"b"}, {branch});
  body.mutable_opset_import(0)->set_version(13);
  *model.add_functions() = body;
  *model.mutable_graph()->add_node() = node("f", {"x"}, {"y"}, "local");
  EXPECT_EQ(code_of(model), ErrorCode::unsupported);
}

TEST(Functions, AnUnknownOperatorIsNotTakenForTheSame) {
  auto model = empty_model();
  import(model, "com.custom", 1);
  auto body = function("f", {"a"}, {"b"}, {node("Odd", {"a"}, {"b"}, "com.custom")});
  import(body, "com.custom", 2);
  *model.add_functions() = body;
  *model.mutable_graph()->add_node() = node("f", {"x"}, {"y"}, "local");
  EXPECT_EQ(code_of(model), ErrorCode::unsupported);
}

TEST(Functions, RefusesRecursionWrongArityAndExplosion) {
  auto recursive = empty_model();
  *recursive.add_functions() = function("f", {"a"}, {"b"}, {node("g", {"a"}, {"b"}, "local")});
  *recursive.add_functions() = function("g", {"a"}, {"b"}, {node("f", {"a"}, {"b"}, "local")});
  *recursive.mutable_graph()->add_node() = node("f", {"x"}, {"y"}, "local");
  EXPECT_EQ(code_of(recursive), ErrorCode::invalid_model);

  auto arity = empty_model();
  *arity.add_functions() = function("f", {"a"}, {"b"}, {node("Neg", {"a"}, {"b"})});
  *arity.mutable_graph()->add_node() = node("f", {"x", "x"}, {"y"}, "local");
  EXPECT_EQ(code_of(arity), ErrorCode::invalid_model);

  auto undefined = empty_model();
  *undefined.add_functions() = function("f", {"a"}, {"b"}, {node("Neg", {"x"}, {"b"})});
  *undefined.mutable_graph()->add_node() = node("f", {"x"}, {"y"}, "local");
  EXPECT_EQ(code_of(undefined), ErrorCode::invalid_model);

  auto explosion = empty_model();
  *explosion.add_functions() = function("f0", {"a"}, {"b"}, {node("Neg", {"a"}, {"b"})});
  for (int i = 1; i < 40; ++i) {
    const std::string below = fmt::format("f{}", i - 1);
    *explosion.add_functions() =
        function(fmt::format("f{}", i), {"a"}, {"b"},
                 {node(below, {"a"}, {"h"}, "local"), node(below, {"h"}, {"b"}, "local")});
  }
  *explosion.mutable_graph()->add_node() = node("f39", {"x"}, {"y"}, "local");
  EXPECT_EQ(code_of(explosion), ErrorCode::resource_limit);
}

TEST(Functions, RefusesCallsNestedTooDeep) {
  const auto chain = [](int depth) {
    auto model = empty_model();
    *model.add_functions() = function("f1", {"a"}, {"b"}, {node("Neg", {"a"}, {"b"})});
    for (int i = 2; i <= depth; ++i)
      *model.add_functions() = function(fmt::format("f{}", i), {"a"}, {"b"},
                                        {node(fmt::format("f{}", i - 1), {"a"}, {"b"}, "local")});
    *model.mutable_graph()->add_node() = node(fmt::format("f{}", depth), {"x"}, {"y"}, "local");
    return model;
  };
  EXPECT_EQ(run(load(chain(256)), {1.0F}), Floats{-1.0F});
  EXPECT_EQ(code_of(chain(257)), ErrorCode::resource_limit);
}

}  // namespace
}  // namespace bnrun
