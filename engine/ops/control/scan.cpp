// Scan: a subgraph run once per slice of its scan inputs. The body maps (states..., slices...) to
// (states..., scanned...); the node returns the last states and each scanned value of all steps, stacked.
#include <algorithm>

#include "base/fail.h"
#include "base/strided_copy.h"
#include "op/shape_rules.h"
#include "ops/control/body.h"

namespace bnrun {
namespace {

class Scan final : public Op {
 public:
  /// Scan-8 has an optional first input of sequence lengths, a batch in axis 0 and scans along axis 1.
  explicit Scan(AttributeReader& node)
      : body_(node, "body"), batched_(node.version() < 9), first_(batched_ ? 1 : 0) {
    const std::int64_t scans = node.require_int("num_scan_inputs");
    const std::size_t inputs = node.inputs();
    if (scans < 1 || inputs < first_ + static_cast<std::size_t>(scans))
      fail(ErrorCode::invalid_model, "num_scan_inputs is {}, the node has {} inputs", scans, inputs);
    check_present(node, first_, inputs);
    scans_ = static_cast<std::size_t>(scans);
    states_ = inputs - first_ - scans_;
    if (body_.inputs() != states_ + scans_ || body_.outputs() != node.outputs() || node.outputs() < states_)
      fail(ErrorCode::invalid_model, "{} inputs and {} outputs do not fit a body with {} and {}", inputs,
           node.outputs(), body_.inputs(), body_.outputs());
    scanned_ = node.outputs() - states_;
    const auto list = [&](const char* name, std::size_t count) {
      auto values = node.get_ints(name).value_or(std::vector<std::int64_t>(count, 0));
      if (values.size() != count)
        fail(ErrorCode::invalid_model, "attribute '{}' has {} entries instead of {}", name, values.size(),
             count);
      return values;
    };
    input_directions_ = list(batched_ ? "directions" : "scan_input_directions", scans_);
    input_axes_.assign(scans_, 0);
    output_axes_.assign(scanned_, 0);
    output_directions_.assign(scanned_, 0);
    if (batched_) return;
    input_axes_ = list("scan_input_axes", scans_);
    output_axes_ = list("scan_output_axes", scanned_);
    output_directions_ = list("scan_output_directions", scanned_);
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    std::vector<ValueType> outputs;
    for (std::size_t i = 0; i < states_; ++i)
      outputs.push_back({args.inputs[first_ + i].dtype, args.inputs[first_ + i].dims});
    const ValueType& scan = args.inputs[first_ + states_];
    for (std::size_t k = 0; k < scanned_; ++k) {
      ValueType type = body_.output_type(states_ + k);
      if (type.ranked()) {
        const std::size_t axis = normalize_axis(output_axes_[k], type.rank() + 1);
        type.dims->insert(type.dims->begin() + static_cast<std::ptrdiff_t>(axis), steps(scan));
        if (batched_) type.dims->insert(type.dims->begin(), batch_of(scan));
      }
      outputs.push_back(std::move(type));
    }
    return outputs;
  }

  DimProduct macs(const FoldArgs&) const override { return DimProduct::unknown(); }

  void run(const RunArgs& args) const override {
    if (!batched_) {
      const auto results = scan(args.inputs, steps_of(args.in(states_).shape, 0), args);
      for (std::size_t i = 0; i < results.size(); ++i) store(args, i, results[i]);
      return;
    }
    const std::int64_t batch = args.in(1).shape.rank() == 0 ? 0 : args.in(1).shape[0];
    const auto lengths = args.present(0) ? std::optional(read_ints(args.in(0))) : std::nullopt;
    if (lengths && lengths->size() != static_cast<std::size_t>(batch))
      fail(ErrorCode::invalid_input, "{} sequence lengths are given for a batch of {}", lengths->size(),
           batch);
    std::vector<Tensor> outputs(states_ + scanned_);
    for (std::int64_t b = 0; b < batch; ++b) {
      std::vector<TensorView> entry;
      for (std::size_t i = first_; i < args.count(); ++i) entry.push_back(entry_of(args.in(i), b, batch));
      const std::int64_t longest = steps_of(entry[states_].shape, 0);
      const std::int64_t length = lengths ? (*lengths)[static_cast<std::size_t>(b)] : longest;
      if (length < 0 || length > longest)
        fail(ErrorCode::invalid_input, "a sequence of length {} in an axis of extent {}", length, longest);
      const auto results = scan(entry, length, args);
      for (std::size_t i = 0; i < results.size(); ++i) {
        Shape shape = results[i].shape();
        if (i >= states_) shape[0] = longest;  // what lies behind a shorter sequence stays zero
        shape.insert(0, batch);
        if (!outputs[i].defined()) outputs[i] = Tensor(results[i].dtype(), shape);
        if (!(outputs[i].shape() == shape) || outputs[i].dtype() != results[i].dtype())
          fail(ErrorCode::invalid_input, "the entries of a batch give different shapes");
        Walk to = walk_of(shape);
        to.start = b * to.strides[0];
        to.strides.erase(0);
        copy_strided(results[i], walk_of(results[i].shape()), outputs[i].mutable_view(), to,
                     results[i].shape());
      }
    }
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (!outputs[i].defined())
        fail(ErrorCode::unsupported, "an empty batch leaves the shape of the outputs open");
      store(args, i, outputs[i]);
    }
  }

  bool deterministic() const override { return body_.deterministic(); }

 private:
  Dim steps(const ValueType& scan) const {
    if (!scan.ranked()) return Dim();
    if (batched_) return scan.rank() > 1 ? (*scan.dims)[1] : Dim();
    return (*scan.dims)[normalize_axis(input_axes_[0], scan.rank())];
  }

  static Dim batch_of(const ValueType& scan) {
    if (!scan.ranked()) return Dim();
    if (scan.rank() == 0) fail(ErrorCode::invalid_model, "a scan input has no axis for the batch");
    return scan.dims->front();
  }

  std::int64_t steps_of(const Shape& shape, std::size_t k) const {
    return shape[normalize_axis(input_axes_[k], shape.rank())];
  }

  static TensorView entry_of(const TensorView& tensor, std::int64_t b, std::int64_t batch) {
    if (tensor.shape.rank() == 0 || tensor.shape[0] != batch)
      fail(ErrorCode::invalid_model, "an input is {}, the batch has {} entries", to_string(tensor.shape),
           batch);
    TensorView entry = tensor;
    entry.shape.erase(0);
    const auto bytes = static_cast<std::size_t>(entry.elements()) * element_bytes(tensor.dtype);
    entry.bytes = static_cast<const std::byte*>(tensor.bytes) + static_cast<std::size_t>(b) * bytes;
    return entry;
  }

  /// inputs: states, then scan inputs.
  std::vector<Tensor> scan(std::span<const TensorView> inputs, std::int64_t length,
                           const RunArgs& args) const {
    std::vector<TensorView> now(inputs.begin(), inputs.end());
    std::vector<Tensor> results;  // of the last step; `now` shows its states
    std::vector<Tensor> slices(scans_);
    std::vector<Tensor> stacked(scanned_);
    for (std::size_t k = 0; k < scanned_; ++k) {
      if (length == 0) stacked[k] = nothing(k);
    }
    for (std::int64_t step = 0; step < length; ++step) {
      for (std::size_t k = 0; k < scans_; ++k) {
        const TensorView& input = inputs[states_ + k];
        if (steps_of(input.shape, k) < length)
          fail(ErrorCode::invalid_input, "a scan input has {} slices, another {}", steps_of(input.shape, k),
               length);
        slices[k] = slice(input, k, input_directions_[k] != 0 ? length - 1 - step : step);
        now[states_ + k] = slices[k];
      }
      auto outputs = body_.run(now, args);
      for (std::size_t k = 0; k < scanned_; ++k) {
        const std::int64_t at = output_directions_[k] != 0 ? length - 1 - step : step;
        place(outputs[states_ + k], k, at, length, stacked[k]);
      }
      outputs.resize(states_);
      results = std::move(outputs);
      std::copy(results.begin(), results.end(), now.begin());
    }
    if (length == 0) {
      for (std::size_t i = 0; i < states_; ++i) results.push_back(Tensor::copy_of(inputs[i]));
    }
    results.insert(results.end(), stacked.begin(), stacked.end());
    return results;
  }

  Tensor slice(const TensorView& input, std::size_t k, std::int64_t at) const {
    const std::size_t axis = normalize_axis(input_axes_[k], input.shape.rank());
    Walk from = walk_of(input.shape);
    from.start = at * from.strides[axis];
    from.strides.erase(axis);
    Shape shape = input.shape;
    shape.erase(axis);
    Tensor result(input.dtype, shape);
    copy_strided(input, from, result.mutable_view(), walk_of(shape), shape);
    return result;
  }

  void place(const Tensor& part, std::size_t k, std::int64_t at, std::int64_t length, Tensor& stacked) const {
    const std::size_t axis = normalize_axis(output_axes_[k], part.shape().rank() + 1);
    Shape shape = part.shape();
    shape.insert(axis, length);
    if (!stacked.defined()) stacked = Tensor(part.dtype(), shape);
    if (!(stacked.shape() == shape) || stacked.dtype() != part.dtype())
      fail(ErrorCode::invalid_input, "a scanned value changes its shape from step to step");
    Walk to = walk_of(shape);
    to.start = at * to.strides[axis];
    to.strides.erase(axis);
    copy_strided(part, walk_of(part.shape()), stacked.mutable_view(), to, part.shape());
  }

  /// A scanned value of no steps, as far as the body declares its shape.
  Tensor nothing(std::size_t k) const {
    const ValueType type = body_.output_type(states_ + k);
    if (type.dtype == DType::undefined || !type.static_shape())
      fail(ErrorCode::unsupported, "a scan without steps leaves the shape of a scanned value open");
    Shape shape = type.shape();
    shape.insert(normalize_axis(output_axes_[k], shape.rank() + 1), 0);
    return Tensor(type.dtype, shape);
  }

  Body body_;
  bool batched_;
  std::size_t first_;
  std::size_t scans_ = 0;
  std::size_t states_ = 0;
  std::size_t scanned_ = 0;
  std::vector<std::int64_t> input_axes_, output_axes_, input_directions_, output_directions_;
};

}  // namespace

std::unique_ptr<const Op> make_scan(AttributeReader& node) {
  return std::make_unique<Scan>(node);
}

}  // namespace bnrun
