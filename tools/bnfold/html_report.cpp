// The report of a fold as one page.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "bnrun/version.h"
#include "common/fold_report.h"
#include "common/html.h"
#include "document.h"
#include "graph_picture.h"
#include "verify_report.h"

namespace bnrun {
namespace {

using cli::element;
using cli::escape;

// tests/end_to_end/report_test.py computes the contrast of every pair of these colours that meet.
constexpr std::string_view kStyle = R"(
:root { color-scheme: light dark; --page: #ffffff; --text: #1b1f24; --soft: #565d66; --line: #c9ced6; --good: #1f7a3f; --bad: #a8401c;
  --left: #fff1ea; --gone: #fbe0cf; --took: #d5e6fb; --box: #f1f3f5; --old: #6b727c; --new: #1f62a8; }
@media (prefers-color-scheme: dark) { :root { --page: #14171a; --text: #e6e9ec; --soft: #a4abb3; --line: #454b53; --good: #63c98a; --bad: #f0926c;
  --left: #33231b; --gone: #54331f; --took: #1d3a5c; --box: #262b30; --old: #98a0a9; --new: #6fb1f5; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; background: var(--page); color: var(--text); }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; } h1, h2, p, li, td, figcaption { overflow-wrap: anywhere; }
.verdict { font-size: 1.1rem; } .scroll { overflow-x: auto; }
table { border-collapse: collapse; } th, td { padding: .25rem .6rem; text-align: left; vertical-align: top; }
th { border-bottom: 2px solid var(--line); } td { border-bottom: 1px solid var(--line); } .wide td.l { min-width: 9.8rem; }
.r { text-align: right; font-variant-numeric: tabular-nums; } td.r { white-space: nowrap; }
tr.folded td:first-child { border-left: 5px solid var(--good); } tr.declined td:first-child { border-left: 5px solid var(--bad); }
tr.declined { background: var(--left); }
.yes { color: var(--good); } .no { color: var(--bad); } .yes, .no { font-weight: 600; }
figure { margin: 1.2rem 0; } figcaption, footer { color: var(--soft); } footer { margin-top: 3rem; } .notes { color: var(--text); }
svg { max-width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: var(--text); } svg .op { font-weight: 600; }
.pair { display: flex; flex-wrap: wrap; gap: 2rem; } .pair figure { margin: 0; max-width: 100%; }
.box rect { fill: var(--box); stroke: var(--old); } .gone rect { fill: var(--gone); stroke: var(--bad); stroke-dasharray: 4 3; }
.took rect { fill: var(--took); stroke: var(--new); } .edge { fill: none; stroke: var(--old); } .head { fill: var(--old); }
.old { fill: var(--old); } .new { fill: var(--new); } .axis { stroke: var(--line); }
@media (max-width: 700px) {
  .wide, .wide tbody, .wide tr { display: block; } .wide thead { display: none; } .wide tr { margin-bottom: 1rem; }
  .wide td, .wide td.l { display: flex; justify-content: space-between; gap: 1rem; text-align: right; min-width: 0; white-space: normal; }
  .wide td::before { content: attr(data-head); color: var(--soft); text-align: left; flex: none; max-width: 50%; }
  .wide td:empty { display: none; }
}
)";

std::string number(double value) {
  return fmt::format("{:.3g}", value);
}

/// As much of a name as has room beside a bar.
std::string shortened(const std::string& name) {
  constexpr std::size_t kMost = 20;
  if (name.size() <= kMost) return name;
  std::size_t end = kMost;
  while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xC0) == 0x80) --end;
  return name.substr(0, end) + "\u2026";
}

std::string text_at(double x, double y, std::string_view anchor, std::string_view text) {
  return element("text", escape(text),
                 fmt::format("x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"", x, y, anchor));
}

std::string picture(double width, double height, std::string_view caption, std::string_view content) {
  const std::string svg = element(
      "svg", content,
      fmt::format("xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
                  "height=\"{1:.0f}\" role=\"img\"",
                  width, height));
  return element("figure", element("figcaption", escape(caption)) + svg) + '\n';
}

/// Two bars per operator, before above after.
std::string operator_bars(const FoldReport& report) {
  constexpr double kLabels = 150.0;
  constexpr double kBars = 150.0;
  constexpr double kRow = 30.0;
  auto operators = report.before.operators;
  operators.insert(report.after.operators.begin(), report.after.operators.end());
  const auto of = [](const ModelCounts& counts, const std::string& name) {
    const auto found = counts.operators.find(name);
    return found == counts.operators.end() ? std::size_t{0} : found->second;
  };
  std::size_t most = 1;
  for (const auto& [name, count] : operators)
    most = std::max({most, of(report.before, name), of(report.after, name)});
  std::string content;
  double y = 0.0;
  for (const auto& [name, count] : operators) {
    content += text_at(kLabels - 8.0, y + 18.0, "end", shortened(name));
    double top = y + 4.0;
    for (const auto& [counts, style] : {std::pair(&report.before, "old"), std::pair(&report.after, "new")}) {
      const std::size_t nodes = of(*counts, name);
      const double width = kBars * static_cast<double>(nodes) / static_cast<double>(most);
      content += fmt::format("<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{:.1f}\" height=\"10\"/>", style,
                             kLabels, top, width);
      content += text_at(kLabels + width + 5.0, top + 9.0, "start", std::to_string(nodes));
      top += 11.0;
    }
    y += kRow;
  }
  return picture(kLabels + kBars + 30.0, y, "Operators before (grey) and after (blue)", content);
}

/// For each output a logarithmic axis with the median, the upper quantiles and the maximum of the difference.
std::string error_quantiles(const std::vector<OutputComparison>& outputs) {
  constexpr double kLabels = 110.0;
  constexpr double kAxis = 200.0;
  constexpr double kRow = 36.0;
  double least = std::numeric_limits<double>::infinity();
  double most = -least;
  for (const auto& output : outputs) {
    if (!(output.max_absolute > 0.0) || !std::isfinite(output.max_absolute)) continue;
    most = std::max(most, std::ceil(std::log10(output.max_absolute)));
    least = std::min(least, std::ceil(std::log10(output.max_absolute)) - 1.0);
    for (const double quantile : output.quantiles_absolute)
      if (quantile > 0.0) least = std::min(least, std::floor(std::log10(quantile)));
  }
  if (most < least) return "";  // no difference at all, or none that can be drawn
  const auto place = [&](double value) {
    const double log = value > 0.0 ? std::clamp(std::log10(value), least, most) : least;
    return kLabels + kAxis * (log - least) / (most - least);
  };
  std::string content;
  double y = 0.0;
  for (const auto& output : outputs) {
    const double middle = y + 12.0;
    content += text_at(kLabels - 8.0, middle + 4.0, "end", shortened(output.name));
    content += fmt::format("<line class=\"axis\" x1=\"{0}\" y1=\"{2}\" x2=\"{1}\" y2=\"{2}\"/>", kLabels,
                           kLabels + kAxis, middle);
    const auto dot = [&](double value, double radius, const std::string& title) {
      content += element(
          "circle", element("title", escape(title + " " + number(value))),
          fmt::format("class=\"new\" cx=\"{:.1f}\" cy=\"{}\" r=\"{}\"", place(value), middle, radius));
    };
    for (std::size_t i = 0; i < kErrorQuantiles.size(); ++i)
      dot(output.quantiles_absolute[i], 4.0,
          fmt::format("{}% of the elements differ by at most", 100.0 * kErrorQuantiles[i]));
    dot(output.max_absolute, 6.0, "largest difference");
    y += kRow;
  }
  content += text_at(kLabels, y, "start", fmt::format("1e{:.0f} or less", least));
  content += text_at(kLabels + kAxis, y, "end", fmt::format("1e{:.0f}", most));
  return picture(kLabels + kAxis + 20.0, y + 8.0,
                 "Absolute difference: median, 90, 99, 99.9 percent of the elements, and the largest",
                 content);
}

std::string section(std::string_view title, const std::string& content) {
  return element("h2", escape(title)) + '\n' + element("div", content, "class=\"scroll\"") + '\n';
}

std::string summary(const FoldDocument& document) {
  const auto& entries = document.fold.entries;
  const auto folded =
      std::count_if(entries.begin(), entries.end(), [](const FoldEntry& e) { return e.folded; });
  const auto verdict = [](bool good, const std::string& text) {
    return element("span", escape(text), good ? "class=\"yes\"" : "class=\"no\"");
  };
  std::string text = verdict(document.fold.complete(),
                             entries.empty() ? "There is nothing to fold."
                                             : fmt::format("{} of {} folded.", folded, entries.size()));
  text += ' ';
  if (!document.unverified.empty()) {
    text += escape("The folded model was not compared with the original: " + document.unverified + '.');
  } else {
    const VerifyReport& verification = *document.verification;
    text += verdict(verification.agree(), fmt::format("The folded model {} with {} on {} rows.",
                                                      verification.agree() ? "agrees" : "does not agree",
                                                      reference_of(document), verification.rows));
  }
  if (!document.output.empty()) text += ' ' + escape("Written to " + document.output + '.');
  return element("p", text, "class=\"verdict\"") + '\n';
}

std::string changes(const FoldDocument& document) {
  cli::HtmlTable table({"", "before", "after"}, "lrr");
  for (const auto& [what, before, after] : changes_of(document)) table.add({what, before, after});
  return table.html() + operator_bars(document.fold);
}

/// The graph before and after, side by side where there is room.
std::string graphs(const FoldDocument& document) {
  std::set<std::string> kept;
  for (const LayerInfo& layer : document.after.layers) kept.insert(layer.output);
  std::set<std::string> takers;
  for (const FoldEntry& entry : document.fold.entries) {
    if (entry.folded) takers.insert(entry.into);
  }
  const auto took = [&](const LayerInfo& layer) {
    return takers.contains(fmt::format("{} '{}'", layer.op_type, layer.name));
  };
  std::set<std::string> names;
  for (const LayerInfo& layer : document.after.layers) names.insert(layer.op_type + " " + layer.name);
  const auto before = [&](const LayerInfo& layer) -> std::string {
    const bool stays = names.contains(layer.op_type + " " + layer.name) &&
                       !(layer.name.empty() && !kept.contains(layer.output));
    return !stays ? "gone" : took(layer) ? "took" : "";
  };
  const auto after = [&](const LayerInfo& layer) -> std::string { return took(layer) ? "took" : ""; };
  const auto figure = [](const std::string& caption, const std::string& svg) {
    return element("figure", element("figcaption", caption) + svg);
  };
  const std::string pair =
      figure("Before: dashed orange goes, blue takes it", graph_picture(document.before.layers, before)) +
      figure("After", graph_picture(document.after.layers, after));
  return element("div", pair, "class=\"pair\"");
}

std::string provenance(const Provenance& provenance) {
  std::string notes =
      element("p", escape(provenance.program + ", " + provenance.date + "; " + provenance.built));
  cli::HtmlTable table({"file", "", "SHA-256"}, "lll");
  for (const auto& [role, path, sha256] : provenance.files)
    table.add({path, role, sha256.value_or("not known: no regular file")});
  return notes + table.html();
}

std::string fates(const FoldReport& report) {
  if (report.entries.empty()) return element("p", "There is no BatchNormalization, nor one in disguise.");
  cli::HtmlTable table({"name", "form", "fate", "max |s| (channel)", "max |W|", "max |b|", "error growth",
                        "denormals flushed"},
                       "lllrrrrr");
  const auto change = [](const Magnitude& m) {
    return m.before == 0.0 && m.after == 0.0 ? "" : number(m.before) + " → " + number(m.after);
  };
  for (const FoldEntry& entry : report.entries) {
    const std::string scale = fmt::format("{} ({})", number(entry.max_scale), entry.max_scale_channel);
    if (entry.folded) {
      table.add({entry.name, entry.form, cli::fate_of(entry), scale, change(entry.weights),
                 change(entry.bias), number(entry.max_growth), std::to_string(entry.flushed_denormals)},
                "folded");
    } else {
      table.add(
          {entry.name, entry.form, cli::fate_of(entry), entry.channels == 0 ? "" : scale, "", "", "", ""},
          "declined");
    }
  }
  return table.html();
}

std::string conversions(const FoldReport& report) {
  cli::HtmlTable table({"name", "operator", "now"}, "lll");
  for (const auto& [name, op_type, now] : report.converted) table.add({name, op_type, now});
  return table.html();
}

std::string simplifications_of(const FoldReport& report) {
  std::string items;
  for (const auto& line : report.simplifications) items += element("li", escape(line));
  return element("ul", items) + '\n';
}

std::string verification(const VerifyReport& report) {
  cli::HtmlTable table({"output", "elements", "max abs", "mean abs", "p99 abs", "max rel", "max ulp",
                        "class flips", "from the truth, before", "after", ""},
                       "lrrrrrrrrrl");
  for (const auto& output : report.outputs) {
    table.add({output.name, std::to_string(output.elements), number(output.max_absolute),
               number(output.mean_absolute), number(output.p99_absolute()), number(output.max_relative),
               number(output.max_ulp), fmt::format("{}/{}", output.class_flips, output.class_rows),
               number(output.error_of_a), number(output.error_of_b), verdict_on(output, report)},
              output.within ? "folded" : "declined");
  }
  std::string notes = element("p", escape(sentence_of(report) + '.'));
  for (const auto& sentence : circumstances_of(report)) notes += element("p", escape(sentence));
  if (report.first_divergence) notes += element("p", escape(text_of(*report.first_divergence)));
  if (report.truth_distance)
    notes += element("p", escape(fmt::format("In double precision the two lie {} apart.",
                                             number(*report.truth_distance))));
  return table.html() + notes + error_quantiles(report.outputs);
}

}  // namespace

std::string html_of(const FoldDocument& document) {
  std::string body = element("h1", escape(document.model)) + '\n' + summary(document);
  body += section("Before and after", changes(document));
  if (!document.fold.converted.empty()) body += section("Converted to inference", conversions(document.fold));
  body += section("BatchNormalization and its disguises", fates(document.fold));
  body += section("The graph", graphs(document));
  if (!document.fold.simplifications.empty())
    body += section("What else was done", simplifications_of(document.fold));
  if (document.verification) {
    body += section("Comparison with " + std::string(reference_of(document)),
                    verification(*document.verification));
  }
  body += section("What this speaks of", provenance(document.provenance));
  body += element("footer", "bnfold " BNRUN_VERSION) + '\n';
  const std::string head =
      "<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" content=\"width=device-width\"/>\n" +
      element("title", escape("bnfold " + document.model)) + '\n' + element("style", kStyle) + '\n';
  return "<!DOCTYPE html>\n" +
         element("html", element("head", head) + '\n' + element("body", body), "lang=\"en\"") + '\n';
}

}  // namespace bnrun
