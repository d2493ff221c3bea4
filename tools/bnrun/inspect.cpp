// bnrun inspect: layers, shapes, parameters, multiply-accumulates, and what folding would do.
#include "bnrun/inspect.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>

#include "commands.h"
#include "common/fold_report.h"
#include "common/metadata.h"
#include "common/model_source.h"
#include "common/printable.h"
#include "common/text_table.h"
#include "io/file.h"

namespace bnrun {
namespace {

using nlohmann::json;

struct Options {
  std::string model;
  bool json = false;
};

constexpr const char* kExample =
    "  bnrun inspect model.onnx\n"
    "  bnrun inspect model.onnx --json | jq '.layers[] | [.operator, .macs_per_row]'";

std::string name_of_domain(const std::string& domain) {
  return domain.empty() ? "ai.onnx" : domain;
}

std::string dims_of(const PortInfo& port) {
  if (!port.dims) return "";
  std::string dims;
  for (const auto& dim : *port.dims)
    dims += (dims.empty() ? "" : ",") + (dim.extent ? std::to_string(*dim.extent) : dim.symbol);
  return "[" + dims + "]";
}

void print_ports(const char* title, const std::vector<PortInfo>& ports) {
  for (const auto& port : ports)
    fmt::print("{:<9} {}: {}{}{}\n", title, cli::printable(port.name), name_of(port.dtype),
               cli::printable(dims_of(port)), port.optional ? " (has a default)" : "");
}

void print_list(const char* title, const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 20;
  if (names.empty()) return;
  const auto shown = std::span(names).first(std::min(names.size(), kShown));
  fmt::print("{:<9} {}: {}{}\n", title, names.size(),
             cli::printable(fmt::format("{}", fmt::join(shown, ", "))), names.size() > kShown ? ", ..." : "");
}

/// The Scaler of ONNX, and what bntrain puts in front of a network and behind it.
bool scales_inputs(const LayerInfo& layer, const ModelMetadata& metadata) {
  const bool ours = metadata.producer_name == "bnrun" &&
                    (layer.name.starts_with("input_") || layer.name.starts_with("target_")) &&
                    (layer.op_type == "Sub" || layer.op_type == "Mul" || layer.op_type == "Add");
  return ours || layer.op_type == "Scaler";
}

std::string or_unknown(const std::optional<std::int64_t>& number) {
  return number ? std::to_string(*number) : "?";
}

void print_header(const Model& model, const Inspection& inspection) {
  const ModelMetadata& metadata = model.metadata();
  if (!metadata.producer_name.empty())
    fmt::print("{:<9} {} {}\n", "producer", cli::printable(metadata.producer_name),
               cli::printable(metadata.producer_version));
  std::string opsets;
  for (const auto& [domain, version] : inspection.opsets)
    opsets += fmt::format("{}{} {}", opsets.empty() ? "" : ", ", name_of_domain(domain), version);
  fmt::print("{:<9} {} (IR version {})\n", "opset", cli::printable(opsets), metadata.ir_version);
  print_ports("input", model.inputs());
  print_ports("output", model.outputs());
  print_list("features", cli::features_of(model));
  print_list("classes", model.class_names());
  print_list("targets", cli::list_property(model, "bnrun.targets"));
  if (const auto target = metadata.properties.find("bnrun.target"); target != metadata.properties.end())
    fmt::print("{:<9} {}\n", "target", cli::printable(target->second));
  for (const auto& layer : inspection.layers) {
    if (scales_inputs(layer, metadata))
      fmt::print("{:<9} {} '{}'\n", "scaling", layer.op_type, cli::printable(layer.name));
  }
}

void print_layers(const Inspection& inspection) {
  cli::TextTable table("rlllrr");
  table.add({"", "operator", "name", "output", "parameters", "MACs per row"});
  for (std::size_t i = 0; i < inspection.layers.size(); ++i) {
    const LayerInfo& layer = inspection.layers[i];
    const std::string op = layer.domain.empty() ? layer.op_type : layer.domain + "." + layer.op_type;
    table.add({std::to_string(i + 1), op, layer.name.empty() ? "-> " + layer.output : layer.name, layer.type,
               std::to_string(layer.parameters), or_unknown(layer.macs)});
  }
  table.add({"", "total", "", "", std::to_string(inspection.parameters), or_unknown(inspection.macs)});
  fmt::print("\n{}\n", table.text());
  fmt::print("parameters take {} bytes", inspection.parameter_bytes);
  if (inspection.computed_ahead > 0)
    fmt::print("; {} operators on constants alone are computed ahead", inspection.computed_ahead);
  fmt::print("\n");
  for (const auto& layer : inspection.layers)
    if (!layer.problem.empty()) fmt::print("cannot run: {}\n", cli::printable(layer.problem));
}

void print_fold(const Inspection& inspection) {
  if (!inspection.fold_problem.empty()) return;
  fmt::print("\nBatchNormalization and what folding makes of it:\n");
  if (inspection.fold.entries.empty()) {
    fmt::print("  there is none, nor one in disguise\n");
    return;
  }
  for (const auto& entry : inspection.fold.entries) fmt::print("  {}\n", cli::text_of(entry));
  fmt::print("  {} operators, {} parameters afterwards\n", inspection.fold.after.nodes,
             inspection.fold.after.parameters);
}

json json_of(const std::vector<PortInfo>& ports) {
  json list = json::array();
  for (const auto& port : ports) {
    json shape;
    if (port.dims) {
      shape = json::array();
      for (const auto& dim : *port.dims) shape.push_back(dim.extent ? json(*dim.extent) : json(dim.symbol));
    }
    list.push_back(
        {{"name", port.name}, {"type", name_of(port.dtype)}, {"shape", shape}, {"optional", port.optional}});
  }
  return list;
}

json json_of(const std::optional<std::int64_t>& number) {
  return number ? json(*number) : json();
}

json json_of(const Model& model, const Inspection& inspection) {
  const ModelMetadata& metadata = model.metadata();
  json opsets = json::object();
  for (const auto& [domain, version] : inspection.opsets) opsets[name_of_domain(domain)] = version;
  json layers = json::array();
  for (const auto& layer : inspection.layers) {
    layers.push_back({{"operator", layer.op_type},
                      {"domain", name_of_domain(layer.domain)},
                      {"name", layer.name},
                      {"output", layer.output},
                      {"after", layer.after},
                      {"type", layer.type},
                      {"parameters", layer.parameters},
                      {"macs_per_row", json_of(layer.macs)},
                      {"problem", layer.problem}});
  }
  json object = {{"producer", metadata.producer_name},
                 {"producer_version", metadata.producer_version},
                 {"ir_version", metadata.ir_version},
                 {"opsets", std::move(opsets)},
                 {"metadata", metadata.properties},
                 {"features", cli::features_of(model)},
                 {"classes", model.class_names()},
                 {"inputs", json_of(model.inputs())},
                 {"outputs", json_of(model.outputs())},
                 {"layers", std::move(layers)},
                 {"computed_ahead", inspection.computed_ahead},
                 {"parameters", inspection.parameters},
                 {"parameter_bytes", inspection.parameter_bytes},
                 {"macs_per_row", json_of(inspection.macs)}};
  object["fold"] = inspection.fold_problem.empty() ? cli::json_of(inspection.fold)
                                                   : json{{"problem", inspection.fold_problem}};
  return object;
}

int run(const Options& options) {
  const Model model = cli::load_model(options.model);
  const Inspection inspection = cli::in_file(io::display_name(options.model), [&] { return inspect(model); });
  if (options.json) {
    fmt::print("{}\n", json_of(model, inspection).dump(2, ' ', false, json::error_handler_t::replace));
  } else {
    print_header(model, inspection);
    print_layers(inspection);
    print_fold(inspection);
  }
  return cli::kDone;
}

}  // namespace

void add_inspect(cli::Program& program) {
  const auto options = std::make_shared<Options>();
  auto& command = program.add("inspect", "Layers, shapes, parameters, costs, and what folding would do",
                              kExample, [options] { return run(*options); });
  command.add_option("MODEL", options->model, "The model to look at; - is standard input")->required();
  command.add_flag("--json", options->json, "Print JSON");
}

}  // namespace bnrun
