#include "ops/conv/convolution.h"

#include "base/fail.h"

namespace bnrun {

void check_groups(const Dim& count, std::int64_t group, const char* what) {
  if (count.known() && count.extent() % group != 0)
    fail(ErrorCode::invalid_model, "{} {} do not divide into {} groups", count.extent(), what, group);
}

ConvolutionAttributes ConvolutionAttributes::read(AttributeReader& node) {
  ConvolutionAttributes convolution{WindowAttributes::read(node), node.get_int("group", 1)};
  if (convolution.group < 1) fail(ErrorCode::invalid_model, "group is {}", convolution.group);
  checked_extent(convolution.group);
  return convolution;
}

Dims ConvolutionAttributes::kernel_dims(const ValueType& W, std::size_t axes) const {
  window.check_axes(axes);
  Dims kernel = W.ranked() ? spatial(*W.dims) : Dims(axes);
  for (std::size_t i = 0; window.kernel_shape && i < axes; ++i) {
    const Dim declared((*window.kernel_shape)[i]);
    if (kernel[i].known() && !(kernel[i] == declared))
      fail(ErrorCode::invalid_model, "kernel_shape says {} where W has {}", declared.extent(),
           kernel[i].extent());
    kernel[i] = declared;
  }
  return kernel;
}

std::optional<Dims> ConvolutionAttributes::infer_dims(const ValueType& X, const ValueType& W) const {
  if (!X.ranked()) return std::nullopt;
  check_spatial(X);
  Dim M;
  if (W.ranked()) {
    if (W.rank() != X.rank())
      fail(ErrorCode::invalid_model, "X is {} and W is {}: their ranks differ", to_string(X), to_string(W));
    M = (*W.dims)[0];
    check_groups(M, group, "output channels");
    const Dim& C = (*X.dims)[1];
    const Dim& per_group = (*W.dims)[1];
    if (C.known() && per_group.known() &&
        (C.extent() % group != 0 || C.extent() / group != per_group.extent()))
      fail(ErrorCode::invalid_model, "X has {} channels, W takes {} in {} groups", C.extent(),
           per_group.extent(), group);
  }
  const Dims kernel = kernel_dims(W, X.rank() - 2);
  Dims dims{(*X.dims)[0], M};
  for (const Dim& dim : window.output_dims(spatial(*X.dims), kernel)) dims.push_back(dim);
  return dims;
}

DimProduct convolution_macs(const FoldArgs& args, std::size_t weights) {
  DimProduct macs = DimProduct::of(args.outputs[0]);
  return macs *= DimProduct::of(args.inputs[weights], 1);
}

}  // namespace bnrun
