// What random networks consist of. Each piece adds nodes behind `x` and returns the values that the network
// may go on from, the one it most likely does last.
#pragma once

#include "support/random_sketch.h"

namespace bnrun::testing {

// ------------------------------------------------------------ layers (random_layers.cpp)

/// Gemm, MatMul with or without Add, Conv or ConvTranspose, with any attributes.
Flow linear(Sketch& net, const Flow& x);
/// One that gives this many channels and leaves all other extents.
Flow linear_to(Sketch& net, const Flow& x, std::int64_t channels);
/// As before, with given weights (see weights_to) and a bias at times.
Flow linear_with(Sketch& net, const Flow& x, ValueId W);
ValueId weights_to(Sketch& net, const Flow& x, std::int64_t channels);

Flow activation(Sketch& net, const Flow& x);
Flow pool(Sketch& net, const Flow& x);
/// Returns its input.
Flow identity(Sketch& net, const Flow& x);
/// Moves the elements.
Flow move(Sketch& net, const Flow& x);

// ------------------------------------------------------------ affine maps (random_affine.cpp)

Flow batch_normalization(Sketch& net, const Flow& x);
/// The same in disguise: one to three constant Mul, Add, Sub, Div, ...
Flow disguise(Sketch& net, Flow x);
/// What exporters write for BatchNormalization, its parameters computed in the graph.
Flow decomposed(Sketch& net, const Flow& x);
/// Any of these.
Flow affine(Sketch& net, const Flow& x);
/// Several in a row, with nothing linear on either side.
Flows affine_chain(Sketch& net, const Flow& x);
/// A channel whose shift is 1e8 times its scale, in front of a layer or behind one.
Flows ill_conditioned(Sketch& net, const Flow& x);
/// BatchNormalization that computes the statistics of its batch.
Flows training(Sketch& net, const Flow& x);

// ------------------------------------------------------------ ways of maps (random_routes.cpp)

/// Copies, repeats, leaves out, weighs or chooses elements; may be x.view(x.size(0), -1).
Flow route(Sketch& net, const Flow& x);
/// Returns its input, as no operator that is called Identity does.
Flow idle(Sketch& net, const Flow& x);
/// An affine map -> a route -> a layer, or a layer -> a route -> an affine map.
Flows affine_route(Sketch& net, const Flow& x);
Flows route_affine(Sketch& net, const Flow& x);
/// A layer -> Slices along the channels -> an affine map on one or on each.
Flows parts_affine(Sketch& net, const Flow& x);

// ------------------------------------------------------------ several ends (random_branches.cpp)

/// Two values that meet, where their shapes allow it.
Flows meet(Sketch& net, const Flow& a, const Flow& b);
/// Branches -> Concat along the channels -> affine map, or affine maps in front of it and a layer behind.
Flows concat_affine(Sketch& net, const Flow& x);
Flows affine_concat(Sketch& net, const Flow& x);
/// Concat of channels that are constant, behind an affine map or in front of one.
Flows concat_constant(Sketch& net, const Flow& x);
/// x -> Concat(x, f(x)), f starting with BatchNormalization, once or twice, then a layer (DenseNet).
Flows dense_block(Sketch& net, const Flow& x);
/// A layer -> Split along the channels -> an affine map on each part, or one map -> Split -> a layer each.
Flows split_affine(Sketch& net, const Flow& x);
Flows affine_split(Sketch& net, const Flow& x);
/// Layers -> Concat -> Split in other places, with maps between or behind them.
Flows concat_split(Sketch& net, const Flow& x);
/// Add, Sub, Sum, Max, ... of two layers, then an affine map; or the maps first.
Flows merge_affine(Sketch& net, const Flow& x);
Flows affine_merge(Sketch& net, const Flow& x);
/// x + f(x), with BatchNormalization in f.
Flows residual(Sketch& net, const Flow& x);
/// One set of weights, two layers.
Flows shared_weights(Sketch& net, const Flow& x);
/// An affine map that several layers read.
Flows several_readers(Sketch& net, const Flow& x);
/// The value on one side of an affine map is an output of the graph.
Flows output_midway(Sketch& net, const Flow& x);
/// The rank depends on an input.
Flows unknown_rank(Sketch& net, const Flow& x);

}  // namespace bnrun::testing
