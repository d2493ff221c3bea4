// score MODEL ROWS: folds the model, tells what became of each BatchNormalization, and scores ROWS rows whose
// elements are 0, 1, 2, ... between buffers of its own.
#include <bnrun/error.h>
#include <bnrun/session.h>

#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <vector>

namespace {

void score(const char* path, std::int64_t rows) {
  const auto session = bnrun::Session::load(path);
  for (const auto& entry : session.fold_report().entries) {
    std::printf("%s '%s': %s\n", entry.form.c_str(), entry.name.c_str(),
                entry.folded ? ("folded into " + entry.into).c_str() : "not folded");
  }

  // One input of float32[N,features]; a program that knows its model may leave these questions out.
  const auto& port = session.inputs().at(0);
  const std::int64_t features = port.dims.value().at(1).extent.value();
  std::vector<float> x(static_cast<std::size_t>(rows * features));
  std::iota(x.begin(), x.end(), 0.0F);
  const bnrun::TensorView inputs[] = {{bnrun::DType::float32, {rows, features}, x.data()}};

  const bnrun::TensorType type = session.output_types(inputs).at(0);
  const bnrun::Shape& shape = type.shape;
  std::vector<float> y(static_cast<std::size_t>(shape.elements()));
  const bnrun::MutableTensorView outputs[] = {{type.dtype, type.shape, y.data()}};
  for (int batch = 0; batch < 3; ++batch)
    session.run(inputs, outputs);  // allocates nothing from the second on

  for (std::int64_t row = 0; row < shape[0]; ++row) {
    for (std::int64_t n = 0; n < shape[1]; ++n)
      std::printf("%s%g", n == 0 ? "" : " ",
                  static_cast<double>(y[static_cast<std::size_t>(row * shape[1] + n)]));
    std::printf("\n");
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s MODEL ROWS\n", argv[0]);
    return 2;
  }
  try {
    score(argv[1], std::atoll(argv[2]));
    return 0;
  } catch (const bnrun::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
