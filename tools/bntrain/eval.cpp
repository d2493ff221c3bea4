// bntrain eval: what a model makes of a table whose target is known.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "bnrun/session.h"
#include "commands.h"
#include "data.h"

namespace bnrun {
namespace {

struct Options {
  std::string model;
  std::string data;
  std::string target;
  bool json = false;
};

Tensor run_model(const Model& model, const train::Dataset& data) {
  const Session session(model);
  const NamedTensor input{session.inputs()[0].name, Tensor({data.rows(), data.columns}, data.features)};
  return session.run({&input, 1}).at(0).tensor;
}

void print_confusion(const train::ClassificationScore& score, const std::vector<std::string>& classes) {
  std::size_t width = 5;
  for (const auto& name : classes) width = std::max(width, name.size() + 1);
  fmt::print("\n{:>{}} | predicted\n{:>{}} |", "true", width, "", width);
  for (const auto& name : classes) fmt::print("{:>{}}", name, width);
  fmt::print("\n{:-<{}}\n", "", (width * (classes.size() + 1)) + 2);
  for (std::size_t t = 0; t < classes.size(); ++t) {
    fmt::print("{:>{}} |", classes[t], width);
    for (std::size_t p = 0; p < classes.size(); ++p) {
      const auto count = score.confusion[t * classes.size() + p];
      fmt::print("{:>{}}", count == 0 ? "." : fmt::format("{}", count), width);
    }
    fmt::print("\n");
  }
}

void report_classes(const Options& options, const LabelledTable& table, const Tensor& output) {
  const auto& classes = table.description.classes;
  const auto score = train::score_classes(output.span<float>(), table.data.labels,
                                          static_cast<std::int64_t>(classes.size()));
  if (options.json) {
    const nlohmann::ordered_json json{{"rows", score.rows},
                                      {"correct", score.correct},
                                      {"accuracy", score.accuracy()},
                                      {"classes", classes},
                                      {"confusion", score.confusion}};
    fmt::print("{}\n", json.dump(2));
    return;
  }
  fmt::print("accuracy {:.4f}: {} of {} rows\n", score.accuracy(), score.correct, score.rows);
  print_confusion(score, classes);
}

void report_numbers(const Options& options, const LabelledTable& table, const Tensor& output) {
  const auto score = train::score_predictions(output.span<float>(), table.data.targets);
  if (options.json) {
    const nlohmann::ordered_json json{{"rows", score.elements},
                                      {"mean_squared_error", score.mean_squared_error},
                                      {"mean_absolute_error", score.mean_absolute_error},
                                      {"r2", score.r2}};
    fmt::print("{}\n", json.dump(2));
    return;
  }
  fmt::print(
      "rows                {}\nmean squared error  {:.6g}\nmean absolute error {:.6g}\nR2                  "
      "{:.4f}\n",
      score.elements, score.mean_squared_error, score.mean_absolute_error, score.r2);
}

int evaluate(const Options& options) {
  const Model model = Model::load(options.model);
  const auto table = label_table_for(model, io::read_csv(options.data), options.target);
  const Tensor output = run_model(model, table.data);
  if (output.dtype() != DType::float32) {
    throw Error(ErrorCode::unsupported, fmt::format("{}: its output is {}, expected float32", options.model,
                                                    name_of(output.dtype())));
  }
  if (table.classification()) {
    report_classes(options, table, output);
  } else {
    report_numbers(options, table, output);
  }
  return cli::kDone;
}

}  // namespace

void add_eval(cli::Program& program) {
  const auto options = std::make_shared<Options>();
  auto& command = program.add("eval", "Accuracy and confusion matrix, or the error of predicted numbers",
                              "  bntrain eval iris.onnx models/data/iris.csv --target species",
                              [options] { return evaluate(*options); });
  command.add_option("MODEL", options->model, "A model with one input and one output")->required();
  command.add_option("DATA", options->data, "A .csv or .csv.gz file; - is standard input")->required();
  command.add_option("--target", options->target, "The column that the model predicts")->required();
  command.add_flag("--json", options->json, "Print JSON");
}

}  // namespace bnrun
