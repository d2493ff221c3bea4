#include "op/evaluate.h"

#include "base/aligned_buffer.h"
#include "base/fail.h"

namespace bnrun {
namespace {

class HeapAllocator : public OutputAllocator {
 public:
  explicit HeapAllocator(std::vector<Tensor>& outputs) : outputs_(outputs) {}
  MutableTensorView allocate(std::size_t i, DType dtype, const Shape& shape) override {
    outputs_[i] = Tensor(dtype, shape);
    return outputs_[i].mutable_view();
  }

 private:
  std::vector<Tensor>& outputs_;
};

}  // namespace

std::vector<Tensor> evaluate(const Op& op, std::span<const TensorView> inputs, std::span<const bool> wanted,
                             std::span<const TensorView> captures) {
  std::vector<ValueType> types;
  for (const TensorView& input : inputs) {
    types.push_back(input.defined() ? ValueType::of(input) : ValueType{});
  }
  const auto inferred = op.infer({.inputs = types, .values = inputs, .outputs = wanted.size()});
  std::vector<Tensor> outputs(wanted.size());
  std::vector<MutableTensorView> views(wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (i >= inferred.size() && wanted[i])
      fail(ErrorCode::invalid_model, "the operator has {} outputs, the node lists {}", inferred.size(),
           wanted.size());
    if (i >= inferred.size() || inferred[i].dtype == DType::undefined || !inferred[i].static_shape())
      continue;
    outputs[i] = Tensor(inferred[i].dtype, inferred[i].shape());
    views[i] = outputs[i].mutable_view();
  }
  HeapAllocator allocator(outputs);
  const std::size_t scratch_bytes = op.scratch_bytes(types);
  const AlignedBuffer<std::byte> scratch(scratch_bytes);
  op.run({.inputs = inputs,
          .outputs = views,
          .captures = captures,
          .allocator = &allocator,
          .workspace = Workspace(nullptr, scratch.data(), scratch_bytes)});
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!wanted[i])
      outputs[i] = Tensor();
    else if (!outputs[i].defined())  // although the operator has seen all of its inputs
      fail(ErrorCode::invalid_model, "its inputs do not tell the shape of output {}", i);
  }
  return outputs;
}

}  // namespace bnrun
