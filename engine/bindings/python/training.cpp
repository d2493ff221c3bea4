#include "bindings/python/training.h"

#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "bindings/python/arrays.h"
#include "bindings/python/text.h"
#include "bnrun/error.h"
#include "bnrun/train.h"

namespace bnrun::python {
namespace {

namespace py = pybind11;

train::Activation activation_of(const std::string& name) {
  if (name == "relu") return train::Activation::relu;
  if (name == "tanh") return train::Activation::tanh;
  if (name == "logistic") return train::Activation::sigmoid;
  if (name == "identity") return train::Activation::linear;
  throw Error(ErrorCode::invalid_input,
              "activation '" + name + "' is none of relu, tanh, logistic and identity");
}

std::vector<train::LayerSpec> layers_of(const py::dict& given, std::int64_t outputs, bool classes) {
  std::vector<train::LayerSpec> layers;
  const train::Activation activation = activation_of(option<std::string>(given, "activation"));
  const bool he = activation == train::Activation::relu;
  const auto dense = [&](std::int64_t units, bool hidden) {
    return train::Dense{
        .units = units,
        .initializer = hidden && he ? train::Initializer::he_uniform : train::Initializer::glorot_uniform};
  };
  for (const auto units : option<std::vector<std::int64_t>>(given, "hidden")) {
    layers.push_back(dense(units, true));
    if (option<bool>(given, "batch_normalization"))
      layers.push_back(train::BatchNormalization{.momentum = option<double>(given, "bn_momentum")});
    layers.push_back(activation);
  }
  layers.push_back(dense(outputs, false));
  layers.push_back(classes ? train::Activation::softmax : train::Activation::linear);
  return layers;
}

template <class T>
std::vector<T> elements_of(const py::handle& array, DType dtype, const std::string& name) {
  const Borrowed borrowed = borrow(array.ptr(), dtype, name);
  const auto elements = borrowed.view.span<T>();
  return {elements.begin(), elements.end()};
}

/// features float32 [rows, columns]; target int64 [rows] of labels from 0, or float32 [rows, outputs]. Returns
/// the bytes of the model and one tuple (loss, metric, validation loss, validation metric) an epoch.
py::tuple fit_network(const py::object& features, const py::object& target, const py::dict& given) {
  train::Dataset data;
  data.columns = features.attr("shape").attr("__getitem__")(1).cast<std::int64_t>();
  data.features = elements_of<float>(features, DType::float32, "X");
  const bool classes = option<std::int64_t>(given, "classes") > 0;
  std::int64_t outputs = option<std::int64_t>(given, "classes");
  if (classes) {
    data.labels = elements_of<std::int64_t>(target, DType::int64, "y");
  } else {
    data.targets = elements_of<float>(target, DType::float32, "y");
    outputs = target.attr("shape").attr("__getitem__")(1).cast<std::int64_t>();
  }
  const auto seed = option<std::uint64_t>(given, "seed");
  train::Network network(data.columns, layers_of(given, outputs, classes), seed);
  if (option<bool>(given, "standardize")) {
    network.set_input_scaling(train::Scaling::standardize(data.features, data.columns));
    if (!classes) network.set_target_scaling(train::Scaling::standardize(data.targets, outputs));
  }
  train::FitOptions options;
  options.epochs = option<int>(given, "epochs");
  options.batch = option<std::int64_t>(given, "batch_size");
  options.validation = option<double>(given, "validation");
  options.seed = seed;
  const double rate = option<double>(given, "learning_rate");
  if (option<std::string>(given, "solver") == "adam")
    options.optimizer = train::Adam{.learning_rate = rate};
  else
    options.optimizer = train::Sgd{.learning_rate = rate, .momentum = option<double>(given, "momentum")};
  options.on_epoch = [](const train::EpochReport&) {
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  };
  train::ModelDescription description;
  description.features = from_texts(given["features"], "the name of a feature");
  description.classes = from_texts(given["class_names"], "the name of a class");
  description.target = from_text(given["target"], "the name of the target");
  std::vector<train::EpochReport> epochs;
  std::ostringstream model;
  {
    const py::gil_scoped_release no_gil;
    epochs = train::fit(network, data, options);
    train::to_model(network, description).write(model);
  }
  py::list history;
  for (const auto& epoch : epochs)
    history.append(py::make_tuple(epoch.loss, epoch.metric, epoch.validation_loss, epoch.validation_metric));
  return py::make_tuple(py::bytes(std::move(model).str()), history);
}

}  // namespace

void add_training(py::module_& module) {
  module.def("fit_network", &fit_network);
}

}  // namespace bnrun::python
