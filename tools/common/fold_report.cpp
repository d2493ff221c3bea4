#include "common/fold_report.h"

#include <fmt/format.h>

#include "common/decline.h"
#include "common/printable.h"

namespace bnrun::cli {
namespace {

using nlohmann::json;

const char* name_of(FoldDirection direction) {
  return direction == FoldDirection::backward ? "backward" : "forward";
}

json json_of(const ModelCounts& counts) {
  return {{"nodes", counts.nodes}, {"parameters", counts.parameters}, {"operators", counts.operators}};
}

json json_of(const Magnitude& magnitude) {
  return {{"before", magnitude.before}, {"after", magnitude.after}};
}

}  // namespace

std::string fate_of(const FoldEntry& entry) {
  if (entry.folded) {
    std::string fate =
        fmt::format("into {} ({}, {} channels)", entry.into, name_of(entry.direction), entry.channels);
    if (entry.centred_channels > 0)
      fate += fmt::format(", {} stays in {} of them",
                          entry.direction == FoldDirection::forward ? "Sub" : "Add", entry.centred_channels);
    if (entry.flushed_denormals > 0)
      fate += fmt::format(", {} denormals set to zero", entry.flushed_denormals);
    return fate;
  }
  std::string fate(name_of(entry.reason));
  if (!entry.detail.empty()) fate += fmt::format(" ({})", entry.detail);
  if (const auto remedy = remedy_with_options(entry.reason); !remedy.empty())
    fate += fmt::format("; to fold it, {}", remedy);
  return fate;
}

std::string text_of(const FoldEntry& entry) {
  return printable(fmt::format("{} {} '{}'{} {}", entry.folded ? "folded   " : "declined ", entry.form,
                               entry.name, entry.folded ? "" : ":", fate_of(entry)));
}

json json_of(const FoldEntry& entry) {
  json object = {{"name", entry.name},
                 {"form", entry.form},
                 {"folded", entry.folded},
                 {"channels", entry.channels},
                 {"max_scale", entry.max_scale},
                 {"max_scale_channel", entry.max_scale_channel},
                 {"flushed_denormals", entry.flushed_denormals}};
  if (entry.folded) {
    object["into"] = entry.into;
    object["direction"] = name_of(entry.direction);
    object["max_growth"] = entry.max_growth;
    object["centred_channels"] = entry.centred_channels;
    object["max_weight"] = json_of(entry.weights);
    object["max_bias"] = json_of(entry.bias);
  } else {
    object["reason"] = name_of(entry.reason);
    object["detail"] = entry.detail;
    object["remedy"] = remedy_with_options(entry.reason);
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
          {"simplifications", report.simplifications},
          {"converted_to_inference", std::move(converted)},
          {"batch_normalizations", std::move(entries)}};
}

}  // namespace bnrun::cli
