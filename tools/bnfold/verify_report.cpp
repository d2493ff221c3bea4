#include "verify_report.h"

#include <fmt/format.h>

#include "common/text_table.h"

namespace bnrun {
namespace {

using nlohmann::json;

json json_of(const OutputComparison& output) {
  json quantiles = json::object();
  for (std::size_t i = 0; i < kErrorQuantiles.size(); ++i)
    quantiles[fmt::format("{}", kErrorQuantiles[i])] = output.quantiles_absolute[i];
  return {{"name", output.name},
          {"elements", output.elements},
          {"within", output.within},
          {"max_absolute", output.max_absolute},
          {"mean_absolute", output.mean_absolute},
          {"p99_absolute", output.p99_absolute()},
          {"quantiles_absolute", std::move(quantiles)},
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

std::string text_of(const Divergence& divergence) {
  std::string text = fmt::format("they part at '{}', made by {}: {:.3g} apart", divergence.value,
                                 divergence.node, divergence.max_absolute);
  if (divergence.channel >= 0) text += fmt::format(" in channel {}", divergence.channel);
  return text;
}

std::string text_of(const VerifyReport& report) {
  if (!report.mismatch.empty()) return fmt::format("the models differ: {}\n", report.mismatch);
  const auto number = [](double value) { return fmt::format("{:.3g}", value); };
  cli::TextTable table("lrrrrrrrl");
  table.add(
      {"output", "elements", "max abs", "mean abs", "p99 abs", "max rel", "max ulp", "class flips", ""});
  for (const auto& output : report.outputs) {
    table.add({output.name, std::to_string(output.elements), number(output.max_absolute),
               number(output.mean_absolute), number(output.p99_absolute()), number(output.max_relative),
               number(output.max_ulp), fmt::format("{}/{}", output.class_flips, output.class_rows),
               output.within ? "agrees" : fmt::format("differs (needs atol {:.3g})", output.needed_atol)});
  }
  std::string text = table.text();
  if (report.first_divergence) text += text_of(*report.first_divergence) + '\n';
  return text + fmt::format("{} on {} rows; in double precision they lie {:.3g} apart\n",
                            report.agree ? "the models agree" : "the models differ", report.rows,
                            report.truth_distance);
}

json json_of(const VerifyReport& report) {
  json outputs = json::array();
  for (const auto& output : report.outputs) outputs.push_back(json_of(output));
  json object = {{"agree", report.agree},
                 {"mismatch", report.mismatch},
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
