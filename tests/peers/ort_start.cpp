// ONNX Runtime from nothing to an answer, a process of its own to be measured (tests/bench/cold_start.py): ort_start MODEL runs
// one row on one thread. The model has one input, float32[N,C], and one output.
#include <onnxruntime_cxx_api.h>

#include <array>
#include <cstdio>
#include <exception>
#include <vector>

namespace {

void run(const char* path) {
  const Ort::Env env(ORT_LOGGING_LEVEL_ERROR);
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(1);
  Ort::Session session(env, path, options);
  const std::array shape{std::int64_t{1},
                         session.GetInputTypeInfo(0).GetTensorTypeAndShapeInfo().GetShape().at(1)};
  std::vector<float> row(static_cast<std::size_t>(shape[1]), 0.5F);
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  const auto x = Ort::Value::CreateTensor<float>(memory, row.data(), row.size(), shape.data(), shape.size());
  const Ort::AllocatorWithDefaultOptions allocator;
  const auto input = session.GetInputNameAllocated(0, allocator);
  const auto output = session.GetOutputNameAllocated(0, allocator);
  const char* const inputs[] = {input.get()};
  const char* const outputs[] = {output.get()};
  const auto y = session.Run(Ort::RunOptions{nullptr}, inputs, &x, 1, outputs, 1);
  std::printf("%g\n", static_cast<double>(y.at(0).GetTensorData<float>()[0]));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 2) throw std::runtime_error("usage: ort_start MODEL");
    run(argv[1]);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ort_start: %s\n", error.what());
    return 1;
  }
}
