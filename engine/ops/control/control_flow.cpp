// If: the outputs of one of two subgraphs. Loop: a subgraph run again and again on what it returned.
#include <limits>
#include <utility>

#include "base/fail.h"
#include "base/strided_copy.h"
#include "op/shape_rules.h"
#include "ops/control/body.h"

namespace bnrun {
namespace {

class If final : public Op {
 public:
  explicit If(AttributeReader& node) : then_(node, "then_branch"), else_(node, "else_branch") {
    check_inputs(node, 1, 1);
    for (const Body* branch : {&then_, &else_}) {
      if (branch->inputs() != 0 || branch->outputs() != node.outputs())
        fail(ErrorCode::invalid_model, "a branch has {} inputs and {} outputs, the node has {} outputs",
             branch->inputs(), branch->outputs(), node.outputs());
    }
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    std::vector<ValueType> outputs;
    for (std::size_t i = 0; i < then_.outputs(); ++i) {
      if (const TensorView* condition = args.value(0))
        outputs.push_back((read_condition(*condition) ? then_ : else_).output_type(i));
      else
        outputs.push_back(common_type(then_.output_type(i), else_.output_type(i)));
    }
    return outputs;
  }

  DimProduct macs(const FoldArgs&) const override { return DimProduct::unknown(); }

  void run(const RunArgs& args) const override {
    const auto results = (read_condition(args.in(0)) ? then_ : else_).run({}, args);
    for (std::size_t i = 0; i < results.size(); ++i) store(args, i, results[i]);
  }

  bool deterministic() const override { return then_.deterministic() && else_.deterministic(); }

  std::shared_ptr<const Graph> chosen_branch(const FoldArgs& args) const override {
    const Tensor* condition = args.constant(0);
    return condition == nullptr ? nullptr : (read_condition(condition->view()) ? then_ : else_).graph();
  }

 private:
  Body then_;
  Body else_;
};

/// Inputs: trip count M, condition, carried values. The body maps (iteration, condition, carried...) to
/// (condition, carried..., scanned...). Outputs: the last carried values, and each scanned value of all
/// iterations one behind the other along a new axis 0.
class Loop final : public Op {
 public:
  explicit Loop(AttributeReader& node) : body_(node, "body") {
    if (node.inputs() < 2) fail(ErrorCode::invalid_model, "trip count and condition are missing");
    check_present(node, 2, node.inputs());
    carried_ = node.inputs() - 2;
    if (body_.inputs() != carried_ + 2 || body_.outputs() != node.outputs() + 1 || node.outputs() < carried_)
      fail(ErrorCode::invalid_model, "{} inputs and {} outputs do not fit a body with {} and {}",
           node.inputs(), node.outputs(), body_.inputs(), body_.outputs());
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    std::vector<ValueType> outputs;
    for (std::size_t i = 0; i + 1 < body_.outputs(); ++i) {
      ValueType type = body_.output_type(i + 1);
      if (i < carried_)
        type = common_type(args.inputs[i + 2], type);
      else if (type.ranked())
        type.dims->insert(type.dims->begin(), Dim());
      outputs.push_back(std::move(type));
    }
    return outputs;
  }

  DimProduct macs(const FoldArgs&) const override { return DimProduct::unknown(); }

  void run(const RunArgs& args) const override {
    const std::int64_t trips =
        args.present(0) ? one(read_ints(args.in(0))) : std::numeric_limits<std::int64_t>::max();
    Tensor iteration(DType::int64, {});
    Tensor condition({}, std::vector<bool>{!args.present(1) || read_condition(args.in(1))});
    std::vector<TensorView> inputs(args.inputs.begin(), args.inputs.end());
    body_.append_captures(args, inputs);
    inputs[1] = condition;
    std::vector<Tensor> state;  // what `inputs` shows after the first iteration
    std::vector<Tensor> next;   // of the iteration before that, written over
    std::vector<std::vector<Tensor>> scanned(body_.outputs() - 1 - carried_);
    for (std::int64_t i = 0; i < trips && read_condition(inputs[1]); ++i) {
      *iteration.mutable_data<std::int64_t>() = i;
      inputs[0] = iteration;
      body_.run(inputs, next);
      for (std::size_t k = 0; k < scanned.size(); ++k)
        scanned[k].push_back(std::move(next[1 + carried_ + k]));
      std::swap(state, next);
      for (std::size_t k = 0; k < carried_ + 1; ++k) inputs[1 + k] = state[k];
    }
    for (std::size_t k = 0; k < carried_; ++k)
      store(args, k, state.empty() ? Tensor::copy_of(inputs[2 + k]) : state[1 + k]);
    for (std::size_t k = 0; k < scanned.size(); ++k) store(args, carried_ + k, stacked(scanned[k], k));
  }

  bool deterministic() const override { return body_.deterministic(); }

 private:
  static std::int64_t one(const std::vector<std::int64_t>& values) {
    if (values.size() != 1) fail(ErrorCode::invalid_model, "the trip count must be one number");
    return values.front();
  }

  Tensor stacked(const std::vector<Tensor>& parts, std::size_t k) const {
    if (parts.empty()) return Tensor(body_.output_type(1 + carried_ + k).dtype, nothing(k));
    Shape shape = parts[0].shape();
    shape.insert(0, static_cast<std::int64_t>(parts.size()));
    Tensor result(parts[0].dtype(), shape);
    Walk to = walk_of(shape);
    for (const Tensor& part : parts) {
      if (part.dtype() != result.dtype() || !(part.shape() == parts[0].shape()))
        fail(ErrorCode::invalid_input, "a scanned value is {} in one iteration and {} in another",
             to_string(parts[0].shape()), to_string(part.shape()));
      Walk into = to;
      into.strides.erase(0);
      copy_strided(part, walk_of(part.shape()), result.mutable_view(), into, part.shape());
      to.start += to.strides[0];
    }
    return result;
  }

  /// The shape of a scanned value of no iterations, as far as the body declares it.
  Shape nothing(std::size_t k) const {
    const ValueType type = body_.output_type(1 + carried_ + k);
    if (type.dtype == DType::undefined)
      fail(ErrorCode::unsupported, "a loop without iterations leaves the type of a scanned value open");
    Shape shape{0};
    if (type.ranked()) {
      for (const Dim& dim : *type.dims) shape.push_back(dim.known() ? dim.extent() : 0);
    }
    return shape;
  }

  Body body_;
  std::size_t carried_ = 0;
};

}  // namespace

std::unique_ptr<const Op> make_if(AttributeReader& node) {
  return std::make_unique<If>(node);
}
std::unique_ptr<const Op> make_loop(AttributeReader& node) {
  return std::make_unique<Loop>(node);
}

}  // namespace bnrun
