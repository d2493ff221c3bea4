// Constant: the tensor that its one attribute holds.
#include "base/fail.h"
#include "base/strided_copy.h"
#include "op/op.h"
#include "op/shape_rules.h"

namespace bnrun {
namespace {

template <class T>
Tensor list(const std::vector<T>& values) {
  return {Shape{static_cast<std::int64_t>(values.size())}, values};
}

Tensor read_value(AttributeReader& node) {
  if (node.has("sparse_value")) fail(ErrorCode::unsupported, "sparse constants are not supported");
  Tensor value;
  if (auto tensor = node.get_tensor("value")) value = std::move(*tensor);
  if (node.has("value_float"))
    value = Tensor({}, std::vector<float>{static_cast<float>(node.get_float("value_float", 0.0))});
  if (node.has("value_int")) value = Tensor({}, std::vector<std::int64_t>{node.get_int("value_int", 0)});
  if (node.has("value_string"))
    value = Tensor({}, std::vector<std::string>{node.get_string("value_string", "")});
  if (const auto floats = node.get_floats("value_floats")) value = list(*floats);
  if (const auto ints = node.get_ints("value_ints")) value = list(*ints);
  if (const auto strings = node.get_strings("value_strings")) value = list(*strings);
  if (!value.defined() || node.attributes().size() != 1)
    fail(ErrorCode::invalid_model, "exactly one attribute must give the value");
  const DType dtype = node.result_type(value.dtype());
  return dtype == value.dtype() ? value : convert(value, dtype);
}

class Constant final : public Op {
 public:
  explicit Constant(AttributeReader& node) : value_(read_value(node)) { check_inputs(node, 0, 0); }

  std::vector<ValueType> infer(const InferArgs&) const override { return {ValueType::of(value_.view())}; }
  void run(const RunArgs& args) const override { copy_elements(value_, args.out(0)); }
  const Tensor* held_output() const override { return &value_; }

 private:
  Tensor value_;
};

}  // namespace

std::unique_ptr<const Op> make_constant(AttributeReader& node) {
  return std::make_unique<Constant>(node);
}

}  // namespace bnrun
