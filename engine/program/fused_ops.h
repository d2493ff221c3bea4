// Operators that exist only in a Program: several of the graph in one.
#pragma once

#include <memory>
#include <optional>

#include "affine/channel_affine.h"
#include "kernels/gemm/bfloat16.h"
#include "kernels/gemm/dense.h"
#include "kernels/math/activation.h"
#include "op/op.h"

namespace bnrun {

/// Whether an affine map fits into an element type, or for bfloat16 into float32, without loss of range.
bool epilogue_fits(DType dtype, const ChannelAffine& affine);

/// Scale, shift and activation as a kernel applies them. REQUIRES: epilogue_fits.
template <class T>
typename Dense<T>::Epilogue epilogue_of(const ChannelAffine& affine, const Activation& activation);
extern template Dense<float>::Epilogue epilogue_of<float>(const ChannelAffine&, const Activation&);
extern template Dense<double>::Epilogue epilogue_of<double>(const ChannelAffine&, const Activation&);

/// Y = behind(act(affine(X * W))), rows being all leading axes of X; `affine` lies on the last axis and includes the
/// bias, `behind` lies there too or is the identity. REQUIRES: epilogue_fits both; is_bend, unless that is so.
std::shared_ptr<const Op> make_dense_op(const Tensor& W, const ChannelAffine& affine,
                                        const Activation& activation, const ChannelAffine& behind,
                                        MatrixBackend backend);

/// Y = act(affine(X * W)) for bfloat16, rounded to it once. REQUIRES: epilogue_fits.
std::shared_ptr<const Op> make_bfloat16_dense_op(const Tensor& W, const ChannelAffine& affine,
                                                 const Activation& activation);

/// Y = act(scale[c] * X + shift[c]) for float32 and float64. The map is applied in double and rounded once,
/// as BatchNormalization itself does.
std::shared_ptr<const Op> make_channel_affine_op(const ChannelAffine& affine, const Activation& activation);

/// Y = (X - mean) / sqrt(variance + epsilon) * scale + shift over the last axes of X, float32 or float64, which have
/// `width` elements: in double, rounded once. With `centred` = false the mean is taken as 0.
struct Normalisation {
  std::size_t axes = 1;
  std::int64_t width = 0;
  double epsilon = 0.0;
  bool centred = true;
  const Tensor* scale = nullptr;  ///< [width] or of one element; null: 1, or 0
  const Tensor* shift = nullptr;
};
std::shared_ptr<const Op> make_normalisation_op(DType dtype, const Normalisation& normalisation);

/// The channels of X[N,C,...] as a matrix [rows, C / rows], transposed; elements of any type.
std::shared_ptr<const Op> make_channel_shuffle_op(std::int64_t rows);

}  // namespace bnrun
