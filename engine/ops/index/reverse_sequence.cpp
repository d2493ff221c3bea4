// ReverseSequence: along the time axis the first sequence_lens[b] elements of batch entry b come in reverse.
#include "base/fail.h"
#include "base/strided_copy.h"
#include "op/op.h"
#include "op/shape_rules.h"

namespace bnrun {
namespace {

class ReverseSequence final : public Op {
 public:
  explicit ReverseSequence(AttributeReader& node)
      : batch_axis_(node.get_int("batch_axis", 1)), time_axis_(node.get_int("time_axis", 0)) {
    check_inputs(node, 2, 2);
    if (batch_axis_ + time_axis_ != 1 || batch_axis_ * time_axis_ != 0)
      fail(ErrorCode::invalid_model, "batch_axis and time_axis must be 0 and 1, they are {} and {}",
           batch_axis_, time_axis_);
  }

  bool copies() const override { return true; }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& input = args.inputs[0];
    if (input.ranked() && input.rank() < 2)
      fail(ErrorCode::invalid_model, "the input must have rank 2 or more, it is {}", to_string(input));
    return {{input.dtype, input.dims}};
  }

  void run(const RunArgs& args) const override {
    const TensorView& input = args.in(0);
    const auto batch = static_cast<std::size_t>(batch_axis_);
    const auto time = static_cast<std::size_t>(time_axis_);
    const ElementsOf<std::int64_t> lengths(args.in(1));
    if (lengths.size() != static_cast<std::size_t>(input.shape[batch]))
      fail(ErrorCode::invalid_input, "{} lengths are given for a batch of {}", lengths.size(),
           input.shape[batch]);
    copy_elements(input, args.out(0));
    const Shape strides = strides_of(input.shape);
    for (std::size_t b = 0; b < lengths.size(); ++b) {
      const std::int64_t length = lengths[b];
      if (length < 0 || length > input.shape[time])
        fail(ErrorCode::invalid_input, "a sequence of length {} in an axis of extent {}", length,
             input.shape[time]);
      if (length == 0) continue;
      Shape extents = input.shape;
      extents[batch] = 1;
      extents[time] = length;
      Walk to{strides, static_cast<std::int64_t>(b) * strides[batch]};
      Walk from{strides, to.start + (length - 1) * strides[time]};
      from.strides[time] = -strides[time];
      copy_strided(input, from, args.out(0), to, extents);
    }
  }

  OrDeclined<ChannelAffine> pass_affine(Side, const ChannelAffine& affine, const FoldArgs&) const override {
    if (affine.uniform() || affine.axis != time_axis_) return affine;
    return Declined{Decline::axis_unproven, "the channels are reversed"};
  }

 private:
  std::int64_t batch_axis_;
  std::int64_t time_axis_;
};

}  // namespace

std::unique_ptr<const Op> make_reverse_sequence(AttributeReader& node) {
  return std::make_unique<ReverseSequence>(node);
}

}  // namespace bnrun
