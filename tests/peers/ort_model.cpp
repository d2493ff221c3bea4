#include "ort_model.h"

#include <cmath>
#include <random>

namespace bnrun::testing {

OrtModel::OrtModel(Ort::Env& env, const std::string& path, int threads) {
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(threads);
  options.SetGraphOptimizationLevel(ORT_ENABLE_ALL);
  session_ = Ort::Session(env, path.c_str(), options);
}

void OrtModel::bind(const std::string& input, const Tensor& x, std::span<const NamedTensor> like) {
  binding_ = Ort::IoBinding(session_);
  outputs_.clear();
  const auto bind_to = [&](Tensor& tensor) {  // element types have the same numbers in both engines
    return Ort::Value::CreateTensor(memory_, tensor.mutable_view().bytes, tensor.bytes(),
                                    tensor.shape().begin(), tensor.shape().rank(),
                                    static_cast<ONNXTensorElementDataType>(tensor.dtype()));
  };
  input_ = Tensor::copy_of(x);
  binding_.BindInput(input.c_str(), bind_to(input_));
  outputs_.reserve(like.size());
  for (const auto& [name, tensor] : like) {
    outputs_.push_back(Tensor(tensor.dtype(), tensor.shape()));
    binding_.BindOutput(name.c_str(), bind_to(outputs_.back()));
  }
}

void OrtModel::run_once(std::uint32_t seed) {
  Ort::AllocatorWithDefaultOptions allocator;
  const auto input = session_.GetInputNameAllocated(0, allocator);
  const auto output = session_.GetOutputNameAllocated(0, allocator);
  Shape shape;
  for (const std::int64_t extent : session_.GetInputTypeInfo(0).GetTensorTypeAndShapeInfo().GetShape())
    shape.push_back(extent < 0 ? 1 : extent);
  Tensor x = random_batch(shape, DType::float32, seed);
  const Ort::Value value =
      Ort::Value::CreateTensor(memory_, x.mutable_view().bytes, x.bytes(), x.shape().begin(),
                               x.shape().rank(), static_cast<ONNXTensorElementDataType>(x.dtype()));
  const char* const inputs[] = {input.get()};
  const char* const outputs[] = {output.get()};
  session_.Run(Ort::RunOptions{nullptr}, inputs, &value, 1, outputs, 1);
}

double largest_difference(std::span<const NamedTensor> a, std::span<const Tensor> b) {
  double largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const Tensor wide_a = convert(a[i].tensor, DType::float64);
    const Tensor wide_b = convert(b[i], DType::float64);
    const auto x = wide_a.span<double>();
    const auto y = wide_b.span<double>();
    for (std::size_t k = 0; k < x.size(); ++k) {
      const double d = std::abs(x[k] - y[k]);
      largest = d <= largest ? largest : d;  // NaN stays
    }
  }
  return largest;
}

Tensor random_batch(const Shape& shape, DType dtype, std::uint32_t seed) {
  std::mt19937 engine(seed);
  Tensor tensor(DType::float64, shape);
  for (double& x : tensor.mutable_span<double>()) x = (static_cast<double>(engine()) * 0x1p-31 - 1.0) * 3.0;
  return convert(tensor, dtype);
}

Tensor batch_for(const PortInfo& port, std::int64_t rows) {
  Shape shape;
  for (const auto& dim : port.dims.value()) shape.push_back(dim.extent.value_or(rows));
  return random_batch(shape, port.dtype, 7);
}

}  // namespace bnrun::testing
