#include "tensorboard.h"

#include <array>

#include "report.h"

namespace bnrun {

TensorBoard::TensorBoard(std::string folder, bool classification)
    : folder_(std::move(folder)),
      metric_("epoch_" + std::string(metric_name(classification))),
      training_(folder_ + "/train") {}

void TensorBoard::add(const train::EpochReport& epoch) {
  using Scalar = io::EventFile::Scalar;
  const std::int64_t step = epoch.epoch - 1;
  training_.add(step, std::array{Scalar{"epoch_loss", epoch.loss}, Scalar{metric_, epoch.metric},
                                 Scalar{"epoch_learning_rate", epoch.learning_rate}});
  if (!epoch.validation_loss) return;
  if (!validation_) validation_.emplace(folder_ + "/validation");
  validation_->add(step, std::array{Scalar{"epoch_loss", *epoch.validation_loss},
                                    Scalar{metric_, *epoch.validation_metric}});
}

}  // namespace bnrun
