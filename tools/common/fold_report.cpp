#include "common/fold_report.h"

#include <fmt/format.h>

#include <set>

#include "common/text_table.h"

namespace bnrun::cli {
namespace {

using nlohmann::json;

std::size_t nodes_of(const ModelCounts& counts, const std::string& op_type) {
  const auto found = counts.operators.find(op_type);
  return found == counts.operators.end() ? 0 : found->second;
}

const char* name_of(FoldDirection direction) {
  return direction == FoldDirection::backward ? "backward" : "forward";
}

json json_of(const ModelCounts& counts) {
  return {{"nodes", counts.nodes}, {"parameters", counts.parameters}, {"operators", counts.operators}};
}

}  // namespace

std::string text_of(const FoldEntry& entry) {
  const std::string subject = fmt::format("{} '{}'", entry.form, entry.name);
  if (entry.folded) {
    std::string line = fmt::format("folded    {} into {} ({}, {} channels)", subject, entry.into,
                                   name_of(entry.direction), entry.channels);
    if (entry.flushed_denormals > 0)
      line += fmt::format(", {} denormals set to zero", entry.flushed_denormals);
    return line;
  }
  std::string line = fmt::format("declined  {}: {}", subject, name_of(entry.reason));
  if (!entry.detail.empty()) line += fmt::format(" ({})", entry.detail);
  if (const auto remedy = remedy_of(entry.reason); !remedy.empty())
    line += fmt::format("; to fold it, {}", remedy);
  return line;
}

std::string text_of(const FoldReport& report) {
  TextTable table("lrr");
  table.add({"", "before", "after"});
  std::set<std::string> names;
  for (const auto* counts : {&report.before, &report.after})
    for (const auto& [name, number] : counts->operators) names.insert(name);
  for (const auto& name : names)
    table.add(
        {name, std::to_string(nodes_of(report.before, name)), std::to_string(nodes_of(report.after, name))});
  table.add({"nodes", std::to_string(report.before.nodes), std::to_string(report.after.nodes)});
  table.add(
      {"parameters", std::to_string(report.before.parameters), std::to_string(report.after.parameters)});
  std::string text = table.text() + '\n';
  for (const auto& conversion : report.converted)
    text += fmt::format("converted {} '{}' to inference: it {}\n", conversion.op_type, conversion.name,
                        conversion.now);
  for (const auto& entry : report.entries) text += text_of(entry) + '\n';
  if (report.entries.empty()) text += "there is no BatchNormalization, nor one in disguise\n";
  return text;
}

json json_of(const FoldEntry& entry) {
  json object = {{"name", entry.name},           {"form", entry.form},
                 {"folded", entry.folded},       {"channels", entry.channels},
                 {"max_scale", entry.max_scale}, {"flushed_denormals", entry.flushed_denormals}};
  if (entry.folded) {
    object["into"] = entry.into;
    object["direction"] = name_of(entry.direction);
    object["max_growth"] = entry.max_growth;
  } else {
    object["reason"] = name_of(entry.reason);
    object["detail"] = entry.detail;
    object["remedy"] = remedy_of(entry.reason);
  }
  return object;
}

json json_of(const FoldReport& report) {
  json entries = json::array();
  for (const auto& entry : report.entries) entries.push_back(json_of(entry));
  json converted = json::array();
  for (const auto& [name, op_type, now] : report.converted)
    converted.push_back({{"name", name}, {"operator", op_type}, {"now", now}});
  return {{"complete", report.complete()},
          {"rewrites", report.rewrites},
          {"before", json_of(report.before)},
          {"after", json_of(report.after)},
          {"converted_to_inference", std::move(converted)},
          {"batch_normalizations", std::move(entries)}};
}

}  // namespace bnrun::cli
