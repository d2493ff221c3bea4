#include "bindings/python/models.h"

#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "bindings/python/arrays.h"
#include "bindings/python/text.h"
#include "bnrun/error.h"
#include "bnrun/inspect.h"
#include "bnrun/operators.h"
#include "bnrun/verify.h"

namespace bnrun::python {
namespace {

namespace py = pybind11;

py::dict dict_of(const ModelCounts& counts) {
  py::dict dict;
  dict["operators"] = to_dict(counts.operators);
  dict["nodes"] = counts.nodes;
  dict["parameters"] = counts.parameters;
  return dict;
}

py::dict dict_of(const FoldEntry& entry) {
  py::dict dict;
  dict["name"] = to_text(entry.name);
  dict["form"] = to_text(entry.form);
  dict["folded"] = entry.folded;
  dict["channels"] = entry.channels;
  if (entry.folded) {
    dict["into"] = to_text(entry.into);
    dict["direction"] = entry.direction == FoldDirection::forward ? "forward" : "backward";
    dict["max_scale"] = entry.max_scale;
    dict["max_growth"] = entry.max_growth;
    dict["centred_channels"] = entry.centred_channels;
  } else {
    dict["reason"] = std::string(name_of(entry.reason));
    dict["detail"] = to_text(entry.detail);
    dict["remedy"] = std::string(remedy_of(entry.reason));
  }
  return dict;
}

py::dict dict_of(const OutputComparison& output) {
  py::dict dict;
  dict["name"] = to_text(output.name);
  dict["elements"] = output.elements;
  dict["max_absolute"] = output.max_absolute;
  dict["mean_absolute"] = output.mean_absolute;
  dict["max_relative"] = output.max_relative;
  dict["max_ulp"] = output.max_ulp;
  dict["class_rows"] = output.class_rows;
  dict["class_flips"] = output.class_flips;
  dict["excess"] = output.excess;
  dict["within"] = output.within;
  return dict;
}

py::dict dict_of(const VerifyReport& report) {
  py::dict dict;
  dict["verdict"] = name_of(report.verdict);
  dict["why"] = to_text(report.why);
  dict["sets"] = report.sets;
  dict["rows"] = report.rows;
  dict["seed"] = report.seed;
  dict["complete"] = report.complete;
  py::list inputs;
  for (const InputOrigin& input : report.inputs) {
    py::dict entry;
    entry["name"] = to_text(input.name);
    entry["shape"] = std::vector<std::int64_t>(input.shape.begin(), input.shape.end());
    entry["origin"] = to_text(input.origin);
    inputs.append(entry);
  }
  dict["inputs"] = inputs;
  py::list outputs;
  for (const OutputComparison& output : report.outputs) outputs.append(dict_of(output));
  dict["outputs"] = outputs;
  dict["first_divergence"] = py::none();
  if (report.first_divergence) {
    py::dict first;
    first["value"] = to_text(report.first_divergence->value);
    first["node"] = to_text(report.first_divergence->node);
    first["max_absolute"] = report.first_divergence->max_absolute;
    dict["first_divergence"] = first;
  }
  dict["truth_distance"] = report.truth_distance;
  return dict;
}

py::dict dict_of(const Inspection& inspection, const Model& model) {
  py::dict dict;
  dict["metadata"] = python::dict_of(model.metadata());
  dict["class_names"] = to_texts(model.class_names());
  dict["opsets"] = to_dict(inspection.opsets);
  py::list layers;
  for (const LayerInfo& layer : inspection.layers) {
    py::dict entry;
    entry["op_type"] = to_text(layer.op_type);
    entry["domain"] = to_text(layer.domain);
    entry["name"] = to_text(layer.name);
    entry["output"] = to_text(layer.output);
    entry["type"] = to_text(layer.type);
    entry["parameters"] = layer.parameters;
    entry["macs"] = layer.macs;
    entry["problem"] = to_text(layer.problem);
    layers.append(entry);
  }
  dict["layers"] = layers;
  dict["parameters"] = inspection.parameters;
  dict["parameter_bytes"] = inspection.parameter_bytes;
  dict["macs"] = inspection.macs;
  dict["fold"] = python::dict_of(inspection.fold);
  dict["fold_problem"] = to_text(inspection.fold_problem);
  return dict;
}

py::bytes bytes_of(const Model& model) {
  std::ostringstream stream;
  {
    const py::gil_scoped_release no_gil;
    model.write(stream);
  }
  return py::bytes(std::move(stream).str());
}

/// The folded model goes to `target`; without one its bytes are returned beside the report.
py::tuple fold_model(const py::object& source, const py::object& target, const py::dict& options) {
  const ModelSource file(source);
  const FoldOptions fold_options = fold_options_of(options);
  std::optional<Model> model;
  FoldReport report;
  {
    const py::gil_scoped_release no_gil;
    model.emplace(file.load());
    report = fold(*model, fold_options);
  }
  if (target.is_none()) return py::make_tuple(python::dict_of(report), bytes_of(*model));
  const std::filesystem::path path = to_path(target);
  {
    const py::gil_scoped_release no_gil;
    model->save(path);
  }
  return py::make_tuple(python::dict_of(report), py::none());
}

/// One set of inputs.
std::vector<NamedTensor> tensors_of(const py::dict& arrays, const Model& model) {
  std::vector<NamedTensor> tensors;
  const auto ports = model.inputs();
  for (const auto& [key, array] : arrays) {
    const std::string name = from_text(key, "the name of an input");
    DType dtype = DType::undefined;
    for (const PortInfo& port : ports) {
      if (port.name == name) dtype = port.dtype;
    }
    tensors.push_back({name, Tensor::copy_of(borrow(array.ptr(), dtype, name).view)});
  }
  return tensors;
}

py::dict verify_models(const py::object& a, const py::object& b, const py::dict& given) {
  const ModelSource source_a(a);
  const ModelSource source_b(b);
  std::optional<Model> model_a;
  std::optional<Model> model_b;
  {
    const py::gil_scoped_release no_gil;
    model_a.emplace(source_a.load());
    model_b.emplace(source_b.load());
  }
  VerifyOptions options;
  for (const auto& set : given["inputs"])
    options.inputs.push_back(tensors_of(cast_option<py::dict>(set, "inputs"), *model_a));
  if (!given["rtol"].is_none() || !given["atol"].is_none()) {
    options.tolerance.emplace();
    if (!given["rtol"].is_none()) options.tolerance->rtol = option<double>(given, "rtol");
    if (!given["atol"].is_none()) options.tolerance->atol = option<double>(given, "atol");
  }
  if (!given["range"].is_none()) {
    const auto [low, high] = option<std::pair<double, double>>(given, "range");
    options.range = InputRange{low, high};
  }
  for (const auto& [name, shape] : option<py::dict>(given, "shapes"))
    options.shapes.push_back({from_text(name, "the name of an input"),
                              Shape(cast_option<std::vector<std::int64_t>>(shape, "shapes"))});
  options.rows = option<std::optional<std::int64_t>>(given, "rows");
  options.batches = option<int>(given, "batches");
  options.seed = option<std::uint64_t>(given, "seed");
  options.budget = option<double>(given, "budget");
  options.progress = [](std::size_t, std::size_t) {
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  };
  VerifyReport report;
  {
    const py::gil_scoped_release no_gil;
    report = verify(*model_a, *model_b, options);
  }
  return dict_of(report);
}

py::dict inspect_model(const py::object& source) {
  const ModelSource file(source);
  std::optional<Model> model;
  Inspection inspection;
  {
    const py::gil_scoped_release no_gil;
    model.emplace(file.load());
    inspection = inspect(*model);
  }
  return dict_of(inspection, *model);
}

}  // namespace

ModelSource::ModelSource(const py::object& source) {
  if (!PyObject_CheckBuffer(source.ptr())) {
    path_ = to_path(source);
    return;
  }
  // Bytes stay where they are; another buffer may change and may have strides.
  keeper_ = PyBytes_Check(source.ptr()) ? source
                                        : py::reinterpret_steal<py::object>(PyBytes_FromObject(source.ptr()));
  if (!keeper_) throw py::error_already_set();
  bytes_ = {reinterpret_cast<const std::byte*>(PyBytes_AS_STRING(keeper_.ptr())),
            static_cast<std::size_t>(PyBytes_GET_SIZE(keeper_.ptr()))};
}

Model ModelSource::load() const {
  return path_ ? Model::load(*path_) : Model::parse(bytes_);
}

FoldOptions fold_options_of(const py::dict& options) {
  FoldOptions result;
  for (const auto& [key, value] : options) {
    const std::string name = from_text(key, "the name of an option");
    if (name == "only") {
      result.only = from_texts(value, "a pattern or name in '" + name + "'");
    } else if (name == "skip") {
      result.skip = from_texts(value, "a pattern or name in '" + name + "'");
    } else if (name == "without") {
      result.without = from_texts(value, "a pattern or name in '" + name + "'");
    } else if (name == "as_inference") {
      result.as_inference = cast_option<bool>(value, name);
    } else if (name == "max_growth") {
      result.max_growth = cast_option<double>(value, name);
    } else if (name == "max_rewrites") {
      result.max_rewrites = cast_option<std::size_t>(value, name);
    } else {
      throw Error(ErrorCode::invalid_input, "folding has no option '" + name +
                                                "', it has only, skip, without, as_inference, max_growth and "
                                                "max_rewrites");
    }
  }
  return result;
}

py::dict dict_of(const ModelMetadata& metadata) {
  py::dict dict;
  dict["producer_name"] = to_text(metadata.producer_name);
  dict["producer_version"] = to_text(metadata.producer_version);
  dict["graph_name"] = to_text(metadata.graph_name);
  dict["domain"] = to_text(metadata.domain);
  dict["description"] = to_text(metadata.doc_string);
  dict["version"] = metadata.model_version;
  dict["custom_metadata_map"] = to_dict(metadata.properties);
  return dict;
}

py::dict dict_of(const FoldReport& report) {
  py::dict dict;
  py::list entries;
  for (const FoldEntry& entry : report.entries) entries.append(dict_of(entry));
  dict["entries"] = entries;
  py::list converted;
  for (const Conversion& conversion : report.converted) {
    py::dict entry;
    entry["name"] = to_text(conversion.name);
    entry["op_type"] = to_text(conversion.op_type);
    entry["now"] = to_text(conversion.now);
    converted.append(entry);
  }
  dict["converted"] = converted;
  dict["simplifications"] = to_texts(report.simplifications);
  dict["before"] = dict_of(report.before);
  dict["after"] = dict_of(report.after);
  dict["rewrites"] = report.rewrites;
  dict["complete"] = report.complete();
  return dict;
}

void add_models(py::module_& module) {
  module.def("fold", &fold_model);
  module.def("verify", &verify_models);
  module.def("inspect", &inspect_model);
  module.def("operators", [] {
    py::list list;
    for (const OperatorInfo& info : supported_operators())
      list.append(py::make_tuple(std::string(info.domain), std::string(info.name), info.versions));
    return list;
  });
}

}  // namespace bnrun::python
