#include "common/bound_run.h"

namespace bnrun::cli {

BoundRun::BoundRun(const Session& session, std::int64_t rows, const Sizes& sizes)
    : session_(session), inputs_(made_up_inputs(session.inputs(), rows, sizes)) {
  views_.assign(inputs_.begin(), inputs_.end());
  for (const TensorType& type : session_.output_types(views_)) outputs_.emplace_back(type);
  for (Tensor& output : outputs_) output_views_.push_back(output.mutable_view());
  run();
}

}  // namespace bnrun::cli
