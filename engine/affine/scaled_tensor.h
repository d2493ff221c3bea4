// Constants as folding changes them: the elements a model stores and what each is multiplied by.
#pragma once

#include <cstddef>
#include <vector>

#include "base/dispatch.h"
#include "base/scan.h"
#include "bnrun/tensor.h"

namespace bnrun {

/// values[i,j,t] * outer[i] * inner[g*J + j] over values of I*J*T elements, I rows falling into `groups`
/// equally large groups g of J factors each. By default one factor of 1 for all. Computed in double, element
/// by element, so that a large weight is never held in double as a whole.
struct ScaledTensor {
  Tensor values;  ///< any floating type; shared with whoever else holds it
  std::vector<double> outer{1.0};
  std::vector<double> inner{1.0};  ///< [groups * J]
  std::size_t groups = 1;

  std::size_t columns() const { return inner.size() / groups; }  ///< J
  std::size_t taps() const {                                     ///< T. REQUIRES: there are elements
    return static_cast<std::size_t>(values.elements()) / (outer.size() * columns());
  }
  /// g*J of row i.
  std::size_t first_column(std::size_t i) const { return i / (outer.size() / groups) * columns(); }
};

/// Calls visit(i, g*J + j, double(values[i,j,t])) for all elements in the order of storage.
template <class F>
void for_each_element(const ScaledTensor& tensor, F&& visit) {
  if (tensor.values.elements() == 0) return;
  const std::size_t columns = tensor.columns();
  const std::size_t taps = tensor.taps();
  dispatch(FloatTypes{}, tensor.values.dtype(), [&]<class T>() {
    const T* value = tensor.values.data<T>();
    for (std::size_t i = 0; i < tensor.outer.size(); ++i) {
      const std::size_t first = tensor.first_column(i);
      for (std::size_t j = first; j < first + columns; ++j) {
        for (std::size_t t = 0; t < taps; ++t)
          visit(i, j, static_cast<double>(static_cast<ComputeType<T>>(*value++)));
      }
    }
  });
}

struct RoundedTensor {
  Tensor tensor;
  std::size_t flushed = 0;  ///< elements that became zero
  Reach before;             ///< of the values, their factors left out
  Reach after;              ///< of `tensor`
};

/// The products rounded once to `storage`; those below its normal range, float16 excepted, become zero. Large constants
/// are gone through once.
RoundedTensor round_to_storage(const ScaledTensor& tensor, DType storage);

}  // namespace bnrun
