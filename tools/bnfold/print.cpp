#include "print.h"

#include <fmt/format.h>

#include <set>

#include "common/text_table.h"

namespace bnrun {
namespace {

using nlohmann::json;

std::size_t nodes_of(const ModelCounts& counts, const std::string& op_type) {
  const auto found = counts.operators.find(op_type);
  return found == counts.operators.end() ? 0 : found->second;
}

const char* name_of(FoldDirection direction) {
  return direction == FoldDirection::backward ? "backward" : "forward";
}

std::string text_of(const FoldEntry& entry) {
  const std::string subject = fmt::format("{} '{}'", entry.form, entry.name);
  if (entry.folded) {
    std::string line = fmt::format("folded    {} into {} ({}, {} channels)", subject, entry.into,
                                   name_of(entry.direction), entry.channels);
    if (entry.flushed_denormals > 0)
      line += fmt::format(", {} denormals set to zero", entry.flushed_denormals);
    return line + '\n';
  }
  std::string line = fmt::format("declined  {}: {}", subject, name_of(entry.reason));
  if (!entry.detail.empty()) line += fmt::format(" ({})", entry.detail);
  if (const auto remedy = remedy_of(entry.reason); !remedy.empty())
    line += fmt::format("; to fold it, {}", remedy);
  return line + '\n';
}

json json_of(const ModelCounts& counts) {
  return {{"nodes", counts.nodes}, {"parameters", counts.parameters}, {"operators", counts.operators}};
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

json json_of(const OutputComparison& output) {
  return {{"name", output.name},
          {"elements", output.elements},
          {"within", output.within},
          {"max_absolute", output.max_absolute},
          {"mean_absolute", output.mean_absolute},
          {"p99_absolute", output.p99_absolute},
          {"max_relative", output.max_relative},
          {"max_ulp", output.max_ulp},
          {"cosine", output.cosine},
          {"class_rows", output.class_rows},
          {"class_flips", output.class_flips},
          {"flip_margin", output.flip_margin},
          {"needed_atol", output.needed_atol},
          {"error_of_a", output.error_of_a},
          {"error_of_b", output.error_of_b}};
}

}  // namespace

std::string text_of(const FoldReport& report) {
  cli::TextTable table("lrr");
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
  for (const auto& entry : report.entries) text += text_of(entry);
  if (report.entries.empty()) text += "there is no BatchNormalization, nor one in disguise\n";
  return text;
}

std::string text_of(const VerifyReport& report) {
  const auto number = [](double value) { return fmt::format("{:.3g}", value); };
  cli::TextTable table("lrrrrrrrl");
  table.add(
      {"output", "elements", "max abs", "mean abs", "p99 abs", "max rel", "max ulp", "class flips", ""});
  for (const auto& output : report.outputs) {
    table.add({output.name, std::to_string(output.elements), number(output.max_absolute),
               number(output.mean_absolute), number(output.p99_absolute), number(output.max_relative),
               number(output.max_ulp), fmt::format("{}/{}", output.class_flips, output.class_rows),
               output.within ? "agrees" : fmt::format("differs (needs atol {:.3g})", output.needed_atol)});
  }
  std::string text = table.text();
  if (const auto& divergence = report.first_divergence) {
    text += fmt::format("they part at '{}', made by {}: {:.3g} apart", divergence->value, divergence->node,
                        divergence->max_absolute);
    if (divergence->channel >= 0) text += fmt::format(" in channel {}", divergence->channel);
    text += '\n';
  }
  return text + fmt::format("{} on {} rows; in double precision they lie {:.3g} apart\n",
                            report.agree ? "the models agree" : "the models differ", report.rows,
                            report.truth_distance);
}

json json_of(const FoldReport& report) {
  json entries = json::array();
  for (const auto& entry : report.entries) entries.push_back(json_of(entry));
  return {{"complete", report.complete()},
          {"rewrites", report.rewrites},
          {"before", json_of(report.before)},
          {"after", json_of(report.after)},
          {"batch_normalizations", std::move(entries)}};
}

json json_of(const VerifyReport& report) {
  json outputs = json::array();
  for (const auto& output : report.outputs) outputs.push_back(json_of(output));
  json object = {{"agree", report.agree},
                 {"rows", report.rows},
                 {"truth_distance", report.truth_distance},
                 {"outputs", std::move(outputs)}};
  if (const auto& divergence = report.first_divergence) {
    object["first_divergence"] = {{"value", divergence->value},
                                  {"node", divergence->node},
                                  {"max_absolute", divergence->max_absolute},
                                  {"channel", divergence->channel}};
  }
  return object;
}

}  // namespace bnrun
