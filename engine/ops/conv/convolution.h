// What Conv, ConvInteger and QLinearConv share: attributes, shape rule, geometry.
#pragma once

#include "op/attribute_reader.h"
#include "op/op.h"
#include "op/window.h"

namespace bnrun {

/// Y[N,M,...] = X[N,C,...] convolved with W[M,C/group,...]: Conv, ConvInteger, QLinearConv.
struct ConvolutionAttributes {
  WindowAttributes window;
  std::int64_t group = 1;

  static ConvolutionAttributes read(AttributeReader& node);

  /// Dimensions of Y, absent while the rank of X is unknown. Throws invalid_model when X and W cannot fit.
  std::optional<Dims> infer_dims(const ValueType& X, const ValueType& W) const;
  Window over(const Shape& X, const Shape& W) const { return window.over(spatial(X), spatial(W)); }

  /// Spatial dimensions of W. Unknown ones are taken from kernel_shape.
  /// Throws invalid_model when W and kernel_shape differ.
  Dims kernel_dims(const ValueType& W, std::size_t axes) const;
};

/// Every element of the output meets the elements of one filter, W[0], W being input `weights`.
DimProduct convolution_macs(const FoldArgs& args, std::size_t weights);

/// Throws invalid_model when `count` is known and `group` does not divide it.
void check_groups(const Dim& count, std::int64_t group, const char* what);

}  // namespace bnrun
