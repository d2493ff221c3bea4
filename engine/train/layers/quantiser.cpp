#include "train/layers/quantiser.h"

namespace bnrun::train {

InputSteps MovingRange::steps() const {
  InputSteps result;
  const auto step = static_cast<float>((high() - low()) / 255.0);
  if (!(step >= std::numeric_limits<float>::min())) return result;
  result.step = step;
  result.zero_point =
      static_cast<std::uint8_t>(std::clamp(std::nearbyint(-low() / static_cast<double>(step)), 0.0, 255.0));
  return result;
}

}  // namespace bnrun::train
