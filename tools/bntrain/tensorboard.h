// A training as TensorBoard shows it.
#pragma once

#include <optional>
#include <string>

#include "bnrun/train.h"
#include "io/events.h"

namespace bnrun {

/// Tags and folders as Keras's callback has them: FOLDER/train and, where there is validation, FOLDER/validation.
class TensorBoard {
 public:
  /// Throws io when nothing can be written there.
  TensorBoard(std::string folder, bool classification);
  void add(const train::EpochReport& epoch);

 private:
  std::string folder_;
  std::string metric_;
  io::EventFile training_;
  std::optional<io::EventFile> validation_;
};

}  // namespace bnrun
