#include "document.h"

#include <fmt/format.h>

#include <set>

#include "bnrun/version.h"
#include "common/fold_report.h"
#include "common/printable.h"
#include "common/text_table.h"
#include "verify_report.h"

namespace bnrun {
namespace {

using nlohmann::json;

std::size_t nodes_of(const ModelCounts& counts, const std::string& op_type) {
  const auto found = counts.operators.find(op_type);
  return found == counts.operators.end() ? 0 : found->second;
}

std::string text_of(const std::optional<std::int64_t>& number) {
  return number ? std::to_string(*number) : "?";
}

std::string conditioning_of(const FoldReport& report) {
  cli::TextTable table("lrrllrr");
  table.add(
      {"conditioning", "max |s|", "channel", "max |W|", "max |b|", "error growth", "denormals flushed"});
  const auto change = [](const Magnitude& magnitude) {
    if (magnitude.before == 0.0 && magnitude.after == 0.0) return std::string();
    return fmt::format("{:.3g} -> {:.3g}", magnitude.before, magnitude.after);
  };
  for (const FoldEntry& entry : report.entries) {
    if (!entry.folded) continue;
    table.add({entry.name, fmt::format("{:.3g}", entry.max_scale), std::to_string(entry.max_scale_channel),
               change(entry.weights), change(entry.bias), fmt::format("{:.3g}", entry.max_growth),
               std::to_string(entry.flushed_denormals)});
  }
  return table.text();
}

}  // namespace

const char* reference_of(const FoldDocument& document) {
  return document.fold.converted.empty()
             ? "the model as it was"
             : "the model converted to inference (as it was, it computes as in training)";
}

std::vector<Change> changes_of(const FoldDocument& document) {
  const ModelCounts& before = document.fold.before;
  const ModelCounts& after = document.fold.after;
  std::set<std::string> names;
  for (const auto* counts : {&before, &after})
    for (const auto& [name, number] : counts->operators) names.insert(name);
  std::vector<Change> changes;
  for (const auto& name : names)
    changes.push_back({name, std::to_string(nodes_of(before, name)), std::to_string(nodes_of(after, name))});
  changes.push_back({"nodes", std::to_string(before.nodes), std::to_string(after.nodes)});
  changes.push_back({"parameters", std::to_string(before.parameters), std::to_string(after.parameters)});
  changes.push_back({"MACs per row", text_of(document.before.macs), text_of(document.after.macs)});
  if (const auto& timing = document.timing) {
    changes.push_back({fmt::format("us per row of {}", timing->rows), fmt::format("{:.3g}", timing->before),
                       fmt::format("{:.3g}", timing->after)});
  }
  return changes;
}

std::string text_of(const FoldDocument& document, bool detailed) {
  const FoldReport& report = document.fold;
  cli::TextTable table("lrr");
  table.add({"", "before", "after"});
  for (const auto& [what, before, after] : changes_of(document)) table.add({what, before, after});
  std::string text = table.text() + '\n';
  for (const auto& conversion : report.converted)
    text += fmt::format("converted {} '{}' to inference: it {}\n", conversion.op_type,
                        cli::printable(conversion.name), conversion.now);
  for (const auto& entry : report.entries) text += cli::text_of(entry) + '\n';
  if (report.entries.empty()) text += "there is no BatchNormalization, nor one in disguise\n";
  if (detailed && !report.entries.empty()) text += '\n' + conditioning_of(report);
  return text;
}

json json_of(const FoldDocument& document) {
  json object = cli::json_of(document.fold);
  object["program"] = "bnfold " BNRUN_VERSION;
  object["model"] = document.model;
  object["output"] = document.output;
  const auto number = [](const auto& value) { return value ? json(*value) : json(); };
  object["before"]["macs_per_row"] = number(document.before.macs);
  object["after"]["macs_per_row"] = number(document.after.macs);
  if (const auto& timing = document.timing) {
    object["before"]["microseconds_per_row"] = timing->before;
    object["after"]["microseconds_per_row"] = timing->after;
    object["timed_rows"] = timing->rows;
  }
  object["provenance"] = json_of(document.provenance);
  object["unverified"] = document.unverified;
  object["verification"] = document.verification ? json_of(*document.verification) : json();
  if (document.verification) object["verification"]["reference"] = reference_of(document);
  return object;
}

}  // namespace bnrun
