// What an operator may be besides an Op: Labelled when its result has names in ONNX that a tensor cannot hold,
// Categorical when it knows some values of its input alone.
#pragma once

#include "bnrun/tensor.h"

namespace bnrun {

class Labelled {
 public:
  virtual ~Labelled() = default;
  /// Names of the columns of output 0, strings or int64.
  virtual const Tensor& labels() const = 0;
};

class Categorical {
 public:
  virtual ~Categorical() = default;
  /// The values of input 0 that it knows, strings or int64; undefined where they are of another type.
  virtual Tensor categories() const = 0;
};

}  // namespace bnrun
