#include "common/made_up.h"

#include <fmt/format.h>

#include <charconv>
#include <random>
#include <set>

#include "bnrun/error.h"
#include "common/program.h"
#include "io/names.h"

namespace bnrun::cli {
namespace {

std::string place_of(const PortInfo& port, std::size_t axis) {
  return fmt::format("{}:{}", port.name, axis);
}

bool has_name(const DimInfo& dim) {
  return !dim.extent && !dim.symbol.empty() && dim.symbol != "?";
}

void check_all_used(std::span<const PortInfo> ports, const Sizes& sizes) {
  std::vector<std::string> open;
  for (const PortInfo& port : ports) {
    for (std::size_t axis = 0; port.dims && axis < port.dims->size(); ++axis) {
      const DimInfo& dim = (*port.dims)[axis];
      if (dim.extent) continue;
      if (has_name(dim)) open.push_back(dim.symbol);
      open.push_back(place_of(port, axis));
    }
  }
  for (const auto& [name, size] : sizes) {
    if (std::find(open.begin(), open.end(), name) != open.end()) continue;
    throw UsageError(open.empty() ? fmt::format("--size {}={}: the model leaves no size open", name, size)
                                  : fmt::format("--size: the model leaves no size open that is called {}",
                                                io::with_nearest(name, open)));
  }
}

class Maker {
 public:
  Maker(std::span<const PortInfo> ports, std::int64_t rows, const Sizes& sizes) : rows_(rows), sizes_(sizes) {
    check_all_used(ports, sizes);
    for (const PortInfo& port : ports) {
      if (port.dims && !port.dims->empty() && has_name(port.dims->front()))
        batch_.insert(port.dims->front().symbol);
    }
  }

  Tensor make(const PortInfo& port) {
    if (!port.dims) throw Error(ErrorCode::unsupported, "input '" + port.name + "' has no known rank");
    Shape shape;
    for (std::size_t axis = 0; axis < port.dims->size(); ++axis) shape.push_back(size_of(port, axis));
    if (port.labels.defined()) return in_turn(port.labels, shape);
    if (!is_floating(port.dtype)) return Tensor(port.dtype, shape);
    std::vector<double> values(static_cast<std::size_t>(shape.elements()));
    for (double& value : values)
      value = 2.0 * static_cast<double>(draw_()) / static_cast<double>(std::minstd_rand::max()) - 1.0;
    return convert(Tensor(shape, values), port.dtype);
  }

 private:
  /// One category after the other.
  static Tensor in_turn(const Tensor& categories, const Shape& shape) {
    Tensor made(categories.dtype(), shape);
    const auto take = [&]<class T>(std::span<const T> from, std::span<T> to) {
      for (std::size_t i = 0; i < to.size() && !from.empty(); ++i) to[i] = from[i % from.size()];
    };
    if (categories.dtype() == DType::string)
      take(categories.span<std::string>(), made.mutable_span<std::string>());
    else
      take(categories.span<std::int64_t>(), made.mutable_span<std::int64_t>());
    return made;
  }

  std::int64_t size_of(const PortInfo& port, std::size_t axis) const {
    const DimInfo& dim = (*port.dims)[axis];
    if (dim.extent) return *dim.extent;
    const std::string place = place_of(port, axis);
    for (const std::string& name : {place, dim.symbol}) {
      if (const auto found = sizes_.find(name); found != sizes_.end()) return found->second;
    }
    if (axis == 0 || batch_.contains(dim.symbol)) return rows_;
    throw UsageError(fmt::format("input '{}' leaves a size open besides the rows: say --size {}=N", port.name,
                                 has_name(dim) ? dim.symbol : place));
  }

  std::int64_t rows_;
  const Sizes& sizes_;
  std::set<std::string> batch_;  ///< names of sizes that come first in an input
  std::minstd_rand draw_;
};

}  // namespace

void add_size_option(CLI::App& command, Sizes& sizes) {
  command
      .add_option_function<std::vector<std::string>>(
          "--size",
          [&sizes](const std::vector<std::string>& given) {
            for (const std::string& text : given) {
              const std::size_t sign = text.rfind('=');
              std::int64_t size = 0;
              const char* const end = text.data() + text.size();
              const auto parsed =
                  std::from_chars(text.data() + std::min(sign, text.size() - 1) + 1, end, size);
              if (sign == std::string::npos || sign == 0 || parsed.ec != std::errc() || parsed.ptr != end ||
                  size < 1)
                throw CLI::ValidationError("--size", "wants NAME=N, such as height=224, not '" + text + "'");
              const auto [entry, first] = sizes.emplace(text.substr(0, sign), size);
              if (!first && entry->second != size)
                throw CLI::ValidationError("--size", fmt::format("{} is {} and {}: give it once",
                                                                 entry->first, entry->second, size));
            }
          },
          "A size that the model leaves open besides the rows, for inputs that are made up: by its name or "
          "as INPUT:AXIS (repeatable)")
      ->type_name("NAME=N")
      ->allow_extra_args(false);
}

std::vector<Tensor> made_up_inputs(std::span<const PortInfo> ports, std::int64_t rows, const Sizes& sizes) {
  Maker maker(ports, rows, sizes);
  std::vector<Tensor> inputs;
  for (const PortInfo& port : ports) inputs.push_back(port.optional ? Tensor() : maker.make(port));
  return inputs;
}

std::int64_t rows_of(std::span<const TensorView> inputs) {
  for (const TensorView& input : inputs) {
    if (input.defined() && input.shape.rank() > 0) return input.shape[0];
  }
  return 1;
}

}  // namespace bnrun::cli
