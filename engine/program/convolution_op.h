// A convolution with what follows it, on channels-last data.
#pragma once

#include <memory>

#include "affine/channel_affine.h"
#include "kernels/math/activation.h"
#include "op/op.h"

namespace bnrun {

/// The spatial axes of X[N,D1,...,C].
Shape between_ends(const Shape& shape);
/// Dimensions of Y[N,D1,...,M] where X[N,D1,...,C] is convolved with a kernel of these extents. Throws invalid_model when X
/// does not fit.
Dims convolved_dims(const WindowAttributes& window, const ValueType& X, const Shape& kernel, std::int64_t C,
                    std::int64_t M);

/// Whether the kernels know this convolution: float32 or float64, one to three spatial axes.
bool has_convolution_kernel(const ConvolutionForm& form);

/// Y[N,D1,...,M] = act(affine(X[N,D1,...,C] convolved with W) + addend): `affine` lies on axis 1 and includes the bias,
/// the addend is input 1, which may be left out. REQUIRES: has_convolution_kernel, epilogue_fits.
std::shared_ptr<const Op> make_convolution_op(const ConvolutionForm& form, const ChannelAffine& affine,
                                              const Activation& activation);

/// The tile (2 or 4) in which `Winograd` computes this convolution quickest, its output being Y[N,M,D1,...]; 0 where
/// `Convolution` is quicker or the only one. Extents that are not known are taken for those of a middling image.
std::int64_t winograd_tile(const ConvolutionForm& form, const Dims& output);

/// The same convolution in tiles, within the bound that `Winograd` states. REQUIRES: winograd_tile allows a tile;
/// epilogue_fits.
std::shared_ptr<const Op> make_winograd_op(std::int64_t tile, const ConvolutionForm& form,
                                           const ChannelAffine& affine, const Activation& activation);

}  // namespace bnrun
