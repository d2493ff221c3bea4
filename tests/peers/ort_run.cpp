// ONNX Runtime as bnrun is called: ort_run [--plain] MODEL [NAME=]FILE... [-o FILE] writes the outputs as CSV to standard
// output, or as what the name of FILE says. --plain: without optimising the graph.
#include <fmt/format.h>
#include <onnxruntime_cxx_api.h>

#include <cstring>
#include <fstream>
#include <iostream>

#include "bnrun/model.h"
#include "io/data.h"
#include "io/output.h"

namespace {

using bnrun::DType;
using bnrun::NamedTensor;
using bnrun::Tensor;

/// A copy, for text; else over the tensor's own bytes. Element types have the same numbers in both engines.
Ort::Value to_ort(Tensor& tensor, const Ort::MemoryInfo& memory) {
  const auto type = static_cast<ONNXTensorElementDataType>(tensor.dtype());
  const auto* const extents = tensor.shape().begin();
  if (tensor.dtype() != DType::string)
    return Ort::Value::CreateTensor(memory, tensor.mutable_view().bytes, tensor.bytes(), extents,
                                    tensor.shape().rank(), type);
  Ort::AllocatorWithDefaultOptions allocator;
  Ort::Value value = Ort::Value::CreateTensor(allocator, extents, tensor.shape().rank(), type);
  std::vector<const char*> strings;
  for (const std::string& text : tensor.span<std::string>()) strings.push_back(text.c_str());
  value.FillStringTensor(strings.data(), strings.size());
  return value;
}

Tensor from_ort(const Ort::Value& value) {
  if (!value.IsTensor()) throw std::runtime_error("an output is no tensor");
  const auto info = value.GetTensorTypeAndShapeInfo();
  bnrun::Shape shape;
  for (const std::int64_t extent : info.GetShape()) shape.push_back(extent);
  if (info.GetElementType() == ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING)
    throw std::runtime_error("an output holds strings");
  Tensor tensor(static_cast<DType>(info.GetElementType()), shape);
  std::memcpy(tensor.mutable_view().bytes, value.GetTensorRawData(), tensor.bytes());
  return tensor;
}

struct Options {
  bool plain = false;
  std::string out;
};

void run(const std::string& path, const std::vector<std::string>& arguments, const Options& options) {
  const auto model = bnrun::Model::load(path);
  std::vector<bnrun::io::InputFile> files;
  for (const auto& argument : arguments) files.push_back(bnrun::io::parse_input_file(argument));
  auto inputs = bnrun::io::read_inputs(files, model.inputs());

  const Ort::Env env(ORT_LOGGING_LEVEL_ERROR);
  Ort::SessionOptions session_options;
  if (options.plain) session_options.SetGraphOptimizationLevel(ORT_DISABLE_ALL);
  Ort::Session session(env, path.c_str(), session_options);
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  std::vector<const char*> names;
  std::vector<Ort::Value> values;
  for (auto& [name, tensor] : inputs) {
    names.push_back(name.c_str());
    values.push_back(to_ort(tensor, memory));
  }
  const auto outputs = model.outputs();
  std::vector<const char*> output_names;
  for (const auto& output : outputs) output_names.push_back(output.name.c_str());
  const auto results = session.Run(Ort::RunOptions{nullptr}, names.data(), values.data(), values.size(),
                                   output_names.data(), output_names.size());
  std::vector<NamedTensor> named;
  for (std::size_t i = 0; i < results.size(); ++i) named.push_back({outputs[i].name, from_ort(results[i])});
  if (options.out.empty()) return bnrun::io::write_outputs(std::cout, named, bnrun::io::Format::csv);
  const auto format = bnrun::io::format_of(options.out);
  if (!format)
    throw std::runtime_error(options.out + ": expected a name that ends in .csv, .npy, .npz or .json");
  std::ofstream file(options.out, std::ios::binary);
  bnrun::io::write_outputs(file, named, *format);
  if (!file.flush()) throw std::runtime_error("cannot write " + options.out);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::vector<std::string> arguments(argv + 1, argv + argc);
    Options options;
    if (!arguments.empty() && arguments[0] == "--plain") {
      options.plain = true;
      arguments.erase(arguments.begin());
    }
    if (arguments.size() > 2 && arguments.end()[-2] == "-o") {
      options.out = arguments.back();
      arguments.resize(arguments.size() - 2);
    }
    if (arguments.size() < 2)
      throw std::runtime_error("usage: ort_run [--plain] MODEL [NAME=]FILE... [-o FILE]");
    run(arguments[0], {arguments.begin() + 1, arguments.end()}, options);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "ort_run: {}\n", error.what());
    return 1;
  }
}
