// Learning curves as a page and in a terminal.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace bnrun {

struct Curve {
  std::string name;
  std::vector<double> values;  ///< one for each epoch
  std::size_t colour = 0;      ///< curves of one colour belong together
};

struct Chart {
  std::string title;
  std::vector<Curve> curves;
};

/// An SVG of the curves with axes and a legend; names are escaped. Values that are not finite are left out.
std::string svg_of(const Chart& chart);

/// Medians with what lies around them, in groups along the page, those of one colour beside each other.
struct SpanChart {
  struct Span {
    double low = 0.0;
    double middle = 0.0;
    double high = 0.0;
  };
  struct Group {
    std::vector<std::string> label;  ///< lines
    std::vector<Span> spans;         ///< one for each name
  };
  std::string title;
  std::vector<std::string> names;
  std::vector<Group> groups;
};
std::string svg_of(const SpanChart& chart);

/// A page that needs nothing else: the charts, then `tables`, which is HTML.
std::string page_of(const std::string& title, const std::string& lead, const std::vector<Chart>& charts,
                    const std::string& tables);

/// Lines of braille dots, 2 x 4 in a character, with the range beside them and the names below.
std::string terminal_chart(const Chart& chart);

}  // namespace bnrun
