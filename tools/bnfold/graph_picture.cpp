#include "graph_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

#include "common/html.h"

namespace bnrun {
namespace {

using cli::element;
using cli::escape;

constexpr std::size_t kMostLayers = 150;
constexpr std::size_t kMostLanes = 10;
constexpr double kWidth = 330.0;
constexpr double kBox = 38.0;
constexpr double kRow = 56.0;
constexpr double kLane = 9.0;

double top_of(std::size_t layer) {
  return 4.0 + kRow * static_cast<double>(layer);
}

/// A line from one layer to a later one that is not the next.
struct Detour {
  std::size_t from;
  std::size_t to;
  std::size_t lane = 0;
};

/// Of the layers drawn; each in the first lane that is free along its way.
std::vector<Detour> detours_of(const std::vector<LayerInfo>& layers, std::size_t drawn) {
  std::vector<Detour> detours;
  for (std::size_t to = 0; to < drawn; ++to) {
    for (const std::size_t from : layers[to].after) {
      if (from + 1 != to) detours.push_back({from, to});
    }
  }
  std::sort(detours.begin(), detours.end(), [](const Detour& a, const Detour& b) {
    return std::pair(a.from, a.to) < std::pair(b.from, b.to);
  });
  std::vector<std::size_t> free_from;
  for (Detour& detour : detours) {
    const auto lane =
        std::find_if(free_from.begin(), free_from.end(), [&](std::size_t end) { return end <= detour.from; });
    if (lane == free_from.end() && free_from.size() < kMostLanes) {
      detour.lane = free_from.size();
      free_from.push_back(detour.to);
      continue;
    }
    // Where all are taken, the first line that ends shares its lane.
    const auto shared = lane != free_from.end() ? lane : std::min_element(free_from.begin(), free_from.end());
    detour.lane = static_cast<std::size_t>(shared - free_from.begin());
    *shared = std::max(*shared, detour.to);
  }
  return detours;
}

std::string line(const std::string& path) {
  return element("path", "", fmt::format("class=\"edge\" d=\"{}\"", path));
}

std::string arrow_head(double x, double y, bool down) {
  const char* const shape = down ? "l-4 -7 h8 z" : "l-7 -4 v8 z";
  return element("path", "", fmt::format("class=\"head\" d=\"M{} {} {}\"", x, y, shape));
}

/// Whole characters of UTF-8, the middle left out where there are many.
std::string shortened(const std::string& text) {
  constexpr std::size_t kMost = 40;
  if (text.size() <= kMost) return text;
  const auto is_inside = [&](std::size_t i) { return (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80; };
  std::size_t head = kMost / 2;
  std::size_t tail = text.size() - kMost / 2;
  while (head > 0 && is_inside(head)) --head;
  while (tail < text.size() && is_inside(tail)) ++tail;
  return text.substr(0, head) + "\u2026" + text.substr(tail);
}

std::string box(const LayerInfo& layer, double x, double y, const std::string& style) {
  const double width = kWidth - x;
  const std::string name = layer.name.empty() ? "-> " + layer.output : layer.name;
  std::string content = element(
      "rect", "",
      fmt::format("width=\"{}\" height=\"{}\" rx=\"5\"", width - 2.0, kBox - 2.0) + " x=\"1\" y=\"1\"");
  content += element("text", escape(shortened(layer.op_type)), "class=\"op\" x=\"10\" y=\"16\"");
  content += element("text", escape(shortened(name)), "x=\"10\" y=\"31\"");
  content += element("title", escape(layer.op_type + " " + name + ", " + layer.type));
  // A picture within the picture cuts off what another font makes longer.
  return element(
      "svg", content,
      fmt::format("x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" class=\"box {}\"", x, y, width, kBox, style));
}

}  // namespace

std::string graph_picture(const std::vector<LayerInfo>& layers,
                          const std::function<std::string(const LayerInfo&)>& style) {
  const std::size_t drawn = std::min(layers.size(), kMostLayers);
  const auto detours = detours_of(layers, drawn);
  std::size_t lanes = 0;
  for (const Detour& detour : detours) lanes = std::max(lanes, detour.lane + 1);
  const double left = lanes == 0 ? 2.0 : 10.0 + kLane * static_cast<double>(lanes);
  std::string content;
  for (const auto& [from, to, lane] : detours) {
    const double x = left - 8.0 - kLane * static_cast<double>(lane);
    const double start = top_of(from) + kBox - 10.0;
    const double end = top_of(to) + 10.0;
    content +=
        line(fmt::format("M{} {} H{} V{} H{}", left, start, x, end, left)) + arrow_head(left, end, false);
  }
  for (std::size_t i = 0; i < drawn; ++i) {
    const auto& after = layers[i].after;
    if (i > 0 && std::find(after.begin(), after.end(), i - 1) != after.end()) {
      const double x = (left + kWidth) / 2.0;
      content += line(fmt::format("M{} {} V{}", x, top_of(i - 1) + kBox, top_of(i) - 6.0)) +
                 arrow_head(x, top_of(i), true);
    }
    content += box(layers[i], left, top_of(i), style(layers[i]));
  }
  double height = top_of(drawn);
  if (drawn < layers.size()) {
    content += element("text", fmt::format("and {} more", layers.size() - drawn),
                       fmt::format("x=\"{}\" y=\"{}\"", left, height + 12.0));
    height += 20.0;
  }
  return element("svg", content,
                 fmt::format("xmlns=\"http://www.w3.org/2000/svg\" class=\"graph\" viewBox=\"0 0 {0:.0f} "
                             "{1:.0f}\" width=\"{0:.0f}\" "
                             "height=\"{1:.0f}\" role=\"img\"",
                             kWidth, std::max(height, kRow)));
}

}  // namespace bnrun
