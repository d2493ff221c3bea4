#include "verify_report.h"

#include <fmt/format.h>

#include "common/printable.h"
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
          {"finite", output.finite},
          {"within", output.within},
          {"excess", output.excess},
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
  std::string text =
      fmt::format("they part at '{}', made by {}: {:.3g} apart", cli::printable(divergence.value),
                  cli::printable(divergence.node), divergence.max_absolute);
  if (divergence.channel >= 0) text += fmt::format(" in channel {}", divergence.channel);
  return text;
}

std::string counted(std::int64_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::vector<std::string> circumstances_of(const VerifyReport& report) {
  std::vector<std::string> sentences;
  for (const auto& [name, shape, origin] : report.inputs)
    sentences.push_back(cli::printable(fmt::format("input '{}' {}: {}", name, to_string(shape), origin)));
  sentences.push_back(
      fmt::format("{} in {}{}, seed {}; {}", counted(report.rows, "row"), counted(report.sets, "set"),
                  report.complete ? "" : ", where the budget ended it (--budget)", report.seed,
                  report.tolerance ? fmt::format("every element held to {:.3g} + {:.3g}*|b|",
                                                 report.tolerance->atol, report.tolerance->rtol)
                                   : "judged by how far each is from the original in double precision"));
  return sentences;
}

std::string sentence_of(const VerifyReport& report) {
  switch (report.verdict) {
    case Verdict::agree:
      return "the models agree";
    case Verdict::differ:
      return report.why.empty() ? "the models differ" : "the models differ: " + cli::printable(report.why);
    case Verdict::nothing_finite:
      return "nothing was compared: all outputs are NaN or infinite in the first model";
    case Verdict::not_compared:
      break;
  }
  return "not compared: " + cli::printable(report.why);
}

std::string verdict_on(const OutputComparison& output, const VerifyReport& report) {
  if (output.within) return output.finite == 0 && output.elements > 0 ? "nothing finite" : "agrees";
  if (report.tolerance) return fmt::format("differs (needs atol {:.3g})", output.needed_atol);
  return fmt::format("differs ({:.3g} times what is allowed)", output.excess);
}

std::string text_of(const VerifyReport& report) {
  if (report.outputs.empty()) return sentence_of(report) + '\n';
  const auto number = [](double value) { return fmt::format("{:.3g}", value); };
  cli::TextTable table("lrrrrrrrrrl");
  table.add({"output", "elements", "max abs", "mean abs", "p99 abs", "max rel", "max ulp", "class flips",
             "error of 1st", "of 2nd", ""});
  for (const auto& output : report.outputs) {
    table.add({output.name, std::to_string(output.elements), number(output.max_absolute),
               number(output.mean_absolute), number(output.p99_absolute()), number(output.max_relative),
               number(output.max_ulp), fmt::format("{}/{}", output.class_flips, output.class_rows),
               number(output.error_of_a), number(output.error_of_b), verdict_on(output, report)});
  }
  std::string text = table.text();
  if (report.first_divergence) text += text_of(*report.first_divergence) + '\n';
  for (const auto& sentence : circumstances_of(report)) text += sentence + '\n';
  text += sentence_of(report);
  if (report.truth_distance)
    text += fmt::format("; in double precision they lie {:.3g} apart", *report.truth_distance);
  return text + '\n';
}

json json_of(const VerifyReport& report) {
  json outputs = json::array();
  for (const auto& output : report.outputs) outputs.push_back(json_of(output));
  json inputs = json::array();
  for (const auto& [name, shape, origin] : report.inputs)
    inputs.push_back(
        {{"name", name}, {"shape", std::vector<std::int64_t>(shape.begin(), shape.end())}, {"from", origin}});
  json object = {{"agree", report.agree()},
                 {"verdict", name_of(report.verdict)},
                 {"why", report.why},
                 {"inputs", std::move(inputs)},
                 {"sets", report.sets},
                 {"rows", report.rows},
                 {"seed", report.seed},
                 {"complete", report.complete},
                 {"truth_distance", report.truth_distance ? json(*report.truth_distance) : json()},
                 {"outputs", std::move(outputs)}};
  object["tolerance"] =
      report.tolerance ? json{{"rtol", report.tolerance->rtol}, {"atol", report.tolerance->atol}} : json();
  if (const auto& divergence = report.first_divergence) {
    object["first_divergence"] = {{"value", divergence->value},
                                  {"node", divergence->node},
                                  {"max_absolute", divergence->max_absolute},
                                  {"channel", divergence->channel}};
  }
  return object;
}

}  // namespace bnrun
