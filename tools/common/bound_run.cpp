#include "common/bound_run.h"

#include "bnrun/error.h"

namespace bnrun::cli {
namespace {

Tensor make_input(const PortInfo& port, std::int64_t rows) {
  if (!port.dims) throw Error(ErrorCode::unsupported, "input '" + port.name + "' has no known rank");
  Shape shape;
  for (const DimInfo& dim : *port.dims) shape.push_back(dim.extent.value_or(rows));
  if (!is_floating(port.dtype)) return Tensor(port.dtype, shape);
  std::vector<double> values(static_cast<std::size_t>(shape.elements()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i * 7 % 17) / 8.0 - 1.0;
  return convert(Tensor(shape, values), port.dtype);
}

}  // namespace

BoundRun::BoundRun(const Session& session, std::int64_t rows) : session_(session) {
  for (const PortInfo& port : session_.inputs())
    inputs_.push_back(port.optional ? Tensor() : make_input(port, rows));
  views_.assign(inputs_.begin(), inputs_.end());
  for (const TensorType& type : session_.output_types(views_)) outputs_.emplace_back(type);
  for (Tensor& output : outputs_) output_views_.push_back(output.mutable_view());
  run();
}

}  // namespace bnrun::cli
