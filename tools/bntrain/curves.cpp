#include "curves.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "common/html.h"

namespace bnrun {
namespace {

constexpr std::array<const char*, 8> kColours{"#2a6fb0", "#d1603d", "#3a8f5c", "#8a5aa8",
                                              "#b08a2a", "#c04a7a", "#4a9fa8", "#666666"};

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  std::size_t epochs = 0;

  double share(double value) const { return high > low ? (value - low) / (high - low) : 0.5; }
};

Range range_of(const Chart& chart) {
  Range range;
  for (const Curve& curve : chart.curves) {
    range.epochs = std::max(range.epochs, curve.values.size());
    for (const double value : curve.values) {
      if (!std::isfinite(value)) continue;
      range.low = std::min(range.low, value);
      range.high = std::max(range.high, value);
    }
  }
  if (range.low > range.high) range.low = range.high = 0.0;
  return range;
}

std::string polyline(const Curve& curve, const Range& range, double left, double top, double width,
                     double height) {
  std::string points;
  for (std::size_t i = 0; i < curve.values.size(); ++i) {
    if (!std::isfinite(curve.values[i])) continue;
    const double along =
        range.epochs > 1 ? static_cast<double>(i) / static_cast<double>(range.epochs - 1) : 0.5;
    points += fmt::format("{:.1f},{:.1f} ", left + along * width,
                          top + (1.0 - range.share(curve.values[i])) * height);
  }
  return fmt::format(
      "<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\" stroke-opacity=\"0.85\" points=\"{}\"/>",
      kColours[curve.colour % kColours.size()], points);
}

}  // namespace

std::string svg_of(const Chart& chart) {
  constexpr double kLeft = 60;
  constexpr double kTop = 10;
  constexpr double kWidth = 560;
  constexpr double kHeight = 240;
  const Range range = range_of(chart);
  std::string inside;
  for (int i = 0; i <= 4; ++i) {
    const double y = kTop + kHeight * i / 4.0;
    const double value = range.high + (range.low - range.high) * i / 4.0;
    inside += fmt::format(
        "<line x1=\"{0}\" y1=\"{1:.1f}\" x2=\"{2}\" y2=\"{1:.1f}\" stroke=\"#ccc\" stroke-width=\"0.5\"/>"
        "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5:.4g}</text>",
        kLeft, y, kLeft + kWidth, kLeft - 6, y + 4, value);
  }
  inside += fmt::format(
      "<text x=\"{}\" y=\"{}\">1</text><text x=\"{}\" y=\"{}\" text-anchor=\"end\">epoch {}</text>", kLeft,
      kTop + kHeight + 16, kLeft + kWidth, kTop + kHeight + 16, range.epochs);
  std::set<std::pair<std::string, std::size_t>> named;
  double legend_y = kTop + 12;
  for (const Curve& curve : chart.curves) {
    inside += polyline(curve, range, kLeft, kTop, kWidth, kHeight);
    if (!named.emplace(curve.name, curve.colour).second) continue;
    inside += fmt::format(
        "<rect x=\"{0}\" y=\"{1}\" width=\"14\" height=\"4\" fill=\"{2}\"/><text x=\"{3}\" "
        "y=\"{4}\">{5}</text>",
        kLeft + kWidth + 14, legend_y - 6, kColours[curve.colour % kColours.size()], kLeft + kWidth + 34,
        legend_y, cli::escape(curve.name));
    legend_y += 18;
  }
  return cli::element(
      "svg", inside,
      fmt::format("viewBox=\"0 0 {} {}\" role=\"img\" font-family=\"sans-serif\" font-size=\"12\"",
                  kLeft + kWidth + 220, kTop + kHeight + 24));
}

std::string svg_of(const SpanChart& chart) {
  constexpr double kLeft = 60;
  constexpr double kTop = 52;
  constexpr double kHeight = 240;
  constexpr double kStep = 20;  // from name to name
  const double group_width = kStep * static_cast<double>(chart.names.size() + 2);
  const double width = group_width * static_cast<double>(chart.groups.size());
  Range range;
  for (const auto& group : chart.groups) {
    for (const auto& span : group.spans) {
      if (std::isfinite(span.low)) range.low = std::min(range.low, span.low);
      if (std::isfinite(span.high)) range.high = std::max(range.high, span.high);
    }
  }
  if (range.low > range.high) range.low = range.high = 0.0;
  const auto y_of = [&](double value) { return kTop + (1.0 - range.share(value)) * kHeight; };
  std::string inside = fmt::format("<text x=\"{}\" y=\"16\">{}</text>", kLeft, cli::escape(chart.title));
  for (int i = 0; i <= 4; ++i) {
    const double value = range.high + (range.low - range.high) * i / 4.0;
    inside += fmt::format(
        "<line x1=\"{0}\" y1=\"{1:.1f}\" x2=\"{2}\" y2=\"{1:.1f}\" stroke=\"#ccc\" stroke-width=\"0.5\"/>"
        "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5:.3f}</text>",
        kLeft, y_of(value), kLeft + width, kLeft - 6, y_of(value) + 4, value);
  }
  for (std::size_t n = 0; n < chart.names.size(); ++n)
    inside +=
        fmt::format("<circle cx=\"{0}\" cy=\"32\" r=\"5\" fill=\"{1}\"/><text x=\"{2}\" y=\"36\">{3}</text>",
                    kLeft + 5 + 180.0 * static_cast<double>(n), kColours[n % kColours.size()],
                    kLeft + 16 + 180.0 * static_cast<double>(n), cli::escape(chart.names[n]));
  double left = kLeft;
  for (const auto& group : chart.groups) {
    for (std::size_t n = 0; n < group.spans.size(); ++n) {
      const auto& span = group.spans[n];
      if (!std::isfinite(span.low) || !std::isfinite(span.high)) continue;
      inside += fmt::format(
          "<line x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\" stroke=\"{3}\" "
          "stroke-width=\"2\"/>"
          "<circle cx=\"{0:.1f}\" cy=\"{4:.1f}\" r=\"5\" fill=\"{3}\"/>",
          left + kStep * static_cast<double>(n + 1) + kStep / 2, y_of(span.low), y_of(span.high),
          kColours[n % kColours.size()], y_of(span.middle));
    }
    for (std::size_t line = 0; line < group.label.size(); ++line)
      inside += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>",
                            left + group_width / 2, kTop + kHeight + 20 + 16 * static_cast<double>(line),
                            cli::escape(group.label[line]));
    left += group_width;
  }
  return cli::element("svg", inside,
                      fmt::format("xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\" "
                                  "font-family=\"sans-serif\" font-size=\"12\"",
                                  kLeft + width + 20, kTop + kHeight + 50));
}

std::string page_of(const std::string& title, const std::string& lead, const std::vector<Chart>& charts,
                    const std::string& tables) {
  std::string body = cli::element("h1", cli::escape(title)) + cli::element("p", cli::escape(lead));
  for (const Chart& chart : charts) body += cli::element("h2", cli::escape(chart.title)) + svg_of(chart);
  return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">" +
         cli::element("title", cli::escape(title)) +
         "<style>body{font-family:sans-serif;max-width:900px;margin:2em auto;padding:0 1em;color:#222}"
         "table{border-collapse:collapse;margin:1em 0}td,th{padding:.25em .7em;border-bottom:1px solid #ddd}"
         "svg{width:100%}h2{font-size:1.1em}</style></head>\n<body>" +
         body + tables + "</body></html>\n";
}

std::string terminal_chart(const Chart& chart) {
  constexpr std::size_t kColumns = 56;
  constexpr std::size_t kRows = 8;
  // Bits of a braille character by row and column of its dots.
  constexpr unsigned kDots[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
  const Range range = range_of(chart);
  std::vector<unsigned> cells(kRows * kColumns);
  for (const Curve& curve : chart.curves) {
    for (std::size_t dot = 0; dot < 2 * kColumns && !curve.values.empty(); ++dot) {
      const double at = static_cast<double>(dot) / (2 * kColumns - 1) * static_cast<double>(range.epochs - 1);
      if (at > static_cast<double>(curve.values.size() - 1)) break;
      const auto left = static_cast<std::size_t>(at);
      const std::size_t right = std::min(left + 1, curve.values.size() - 1);
      const double value = std::lerp(curve.values[left], curve.values[right], at - std::floor(at));
      if (!std::isfinite(value)) continue;
      const auto y = static_cast<std::size_t>(std::lround((1.0 - range.share(value)) * (4 * kRows - 1)));
      cells[y / 4 * kColumns + dot / 2] |= kDots[y % 4][dot % 2];
    }
  }
  std::string text = chart.title + "\n";
  for (std::size_t row = 0; row < kRows; ++row) {
    text += row == 0           ? fmt::format("{:>9.4g} ", range.high)
            : row + 1 == kRows ? fmt::format("{:>9.4g} ", range.low)
                               : std::string(10, ' ');
    std::string line;
    for (std::size_t column = 0; column < kColumns; ++column) {
      const unsigned code = 0x2800 + cells[row * kColumns + column];
      line += static_cast<char>(0xE0 | (code >> 12));
      line += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
      line += static_cast<char>(0x80 | (code & 0x3F));
    }
    text += line + "\n";
  }
  std::string names;
  for (const Curve& curve : chart.curves) names += (names.empty() ? "" : ", ") + curve.name;
  return text + fmt::format("          epochs 1 to {}: {}\n", range.epochs, names);
}

}  // namespace bnrun
