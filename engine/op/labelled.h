// Labelled: what an operator may be besides an Op when its result has names in ONNX that a tensor cannot hold.
#pragma once

#include "bnrun/tensor.h"

namespace bnrun {

class Labelled {
 public:
  virtual ~Labelled() = default;
  /// Names of the columns of output 0, strings or int64.
  virtual const Tensor& labels() const = 0;
};

}  // namespace bnrun
