"""Guards and signs that folding rests on, each with the edits that take it away.

An edit is (file, text, replacement); the text occurs once in the file. A mutation with edits in two files
removes a guard that stands twice, so that either alone would be enough.
"""

REWRITE = "engine/graph/rewrite.cpp"
ROUTE = "engine/passes/fold/route.cpp"
FOLD = "engine/passes/fold/search.cpp"
CHAIN = "engine/passes/fold/chain.cpp"
PACKED = "engine/passes/fold/packed.cpp"
PREPARE = "engine/passes/prepare.cpp"
QUERY = "engine/graph/node_query.cpp"
SPLIT = "engine/passes/fold/split.cpp"
LINEAR = "engine/passes/fold/rewrite_linear.cpp"
RULES = "engine/passes/fold/rules.cpp"
CANCEL = "engine/passes/fold/rules/cancel_rearrangements.cpp"
JOIN = "engine/passes/fold/rules/join_gemm.cpp"
BROADCAST = "engine/ops/elementwise/binary_affine.cpp"
BINARY = "engine/ops/elementwise/binary.cpp"
AFFINE = "engine/affine/channel_affine.cpp"
BN = "engine/ops/norm/batch_normalization.cpp"
GEMM = "engine/ops/linear/gemm.cpp"
MATMUL = "engine/ops/linear/matmul.cpp"
CONV = "engine/ops/conv/conv.cpp"
ROUNDING = "engine/affine/scaled_tensor.cpp"
POOL = "engine/ops/pool/pool.cpp"
REDUCE = "engine/ops/reduce/reduce.cpp"
UNARY = "engine/ops/activation/activations.cpp"
MATH = "engine/ops/elementwise/unary_math.cpp"
RESHAPE = "engine/ops/shape/reshape.cpp"
TRANSPOSE = "engine/ops/shape/transpose.cpp"
DROPOUT = "engine/ops/norm/dropout.cpp"
CAST = "engine/ops/elementwise/cast.cpp"
SCALED = "engine/affine/scaled_tensor.cpp"
CONCAT = "engine/ops/shape/concat.cpp"
EINSUM = "engine/ops/linear/einsum.cpp"
ML_LINEAR = "engine/ops/ml/ml_linear.cpp"
QUANTIZE = "engine/ops/quantised/quantize.cpp"
NORM = "engine/ops/norm/normalization.cpp"
VARIADIC = "engine/ops/elementwise/variadic.cpp"
PASSING = "engine/op/passing.cpp"
SLICE = "engine/ops/shape/slice.cpp"
PAD = "engine/ops/shape/pad.cpp"
EXPAND = "engine/ops/shape/expand.cpp"
RESIZE = "engine/ops/image/resize.cpp"
DEPTH = "engine/ops/image/depth_space.cpp"
GATHER = "engine/ops/index/gather.cpp"
SCATTER = "engine/ops/index/scatter.cpp"
REVERSE = "engine/ops/index/reverse_sequence.cpp"
SELECT = "engine/ops/index/select.cpp"
WHERE = "engine/ops/elementwise/binary_logic.cpp"

_IGNORE_READERS = (REWRITE, "if (is_removed(rewrite, user)) continue;", "continue;")


def _mutation(name, *edits):
    return {"name": name, "edits": edits}


MUTATIONS = [
    # ---- who reads what changes
    _mutation("a changed value may have other readers", _IGNORE_READERS,
              (ROUTE, "if (uses(asked, reader) != 0 || !is_indifferent(reader, id, map))\n        return", "if (false) return")),
    _mutation("who reads dimensions reads what was", (LINEAR, "rewrite_.nodes.push_back(copy_of(graph_.node(id)));", "rewrite_.nodes.push_back({graph_.node(id), {}, {}});\n      for (const ValueId input : graph_.node(id).inputs) rewrite_.nodes.back().inputs.push_back(Operand::of(input));\n      for (const ValueId output : graph_.node(id).outputs) rewrite_.nodes.back().outputs.push_back(Operand::of(output));")),
    _mutation("a value may change in two ways",
              (ROUTE, "if (!fresh && !(known->second == map)) return", "if (false) return")),
    _mutation("a changed value may be an output",
              (ROUTE, "if (value.is_output) return Declined", "if (false) return Declined"),
              (REWRITE, "if (value.is_output) return Refusal", "if (false) return Refusal")),
    _mutation("a changed value may be read by a subgraph", _IGNORE_READERS,
              (ROUTE, "if (read_by_subgraph(graph, id))", "if (false)")),
    _mutation("a redirected value may be read by a subgraph",
              (REWRITE, "if (is_captured_by(graph, from, user)) {", "if (false) {")),
    _mutation("a redirection may change the shape",
              (REWRITE, "if (old_type.dtype != new_type.dtype || !same_dims) {", "if (false) {"),
              (CANCEL, "if (!x_dims || !y_dims || *x_dims != *y_dims) return std::nullopt;", "")),
    _mutation("rearrangements cancel whatever the dimensions",
              (CANCEL, "if (!x_dims || !y_dims || *x_dims != *y_dims) return std::nullopt;", "")),
    _mutation("a folded constant may be infinite",
              (REWRITE, "if (!constant.known_finite && !reach_of(constant.tensor).finite)", "if (false)")),
    _mutation("the data may be any operand", (ROUTE, "if (is_layer(graph_, id) && carrying == 1 && route_.maps.contains(from[0])) {", "if (is_layer(graph_, id)) {")),
    # ---- what the caller asked for
    _mutation("the growth limit is ignored", (FOLD, "if (growth > limit) {", "if (false) {")),
    _mutation("skipped nodes are folded", (FOLD, "if (is_switched_off(chain) || (chain.affine.is_identity()", "if ((chain.affine.is_identity()")),
    _mutation("skipped nodes are taken along",
              (FOLD, "[&](NodeId id) { return is_left_alone(id); })) {\n    journal_.decline(",
               "[&](NodeId) { return false; })) {\n    journal_.decline(")),
    _mutation("the number of rewrites is not limited",
              (FOLD, "return rewrites_ < options_.max_rewrites;", "return true;")),
    _mutation("a fold need not save anything", (FOLD, "if (saved < 1) {", "if (false) {")),
    _mutation("a fold into several may add as many operators as it saves",
              (FOLD, "if (saved < 1) {", "if (saved < 0) {")),
    # ---- what stays
    _mutation("the centring of another channel stays",
              (SPLIT, "split.stays.c[i] = c;", "split.stays.c[i == 0 ? 0 : i - 1] = c;")),
    _mutation("the centring is lost",
              (LINEAR, "std::vector<double>(stays.c.size(), 1.0), stays.c};",
               "std::vector<double>(stays.c.size(), 1.0), std::vector<double>(stays.c.size(), 0.0)};")),
    _mutation("what the centring rounds away is lost", (SPLIT, "t = which == Centre::all ? 0.0 : rest;", "t = 0.0;")),
    _mutation("a centring that stands alone may round away what matters",
              (SPLIT, "(!negligible || std::abs(c)", "(std::abs(c)")),
    _mutation("data as they come may lose as much as computed ones", (FOLD, "return view_.comes_unrounded(chain.input) ?", "return false ?")),
    _mutation("a Sub that was left is folded when the model is folded again",
              (CHAIN, "&& graph_.node(id).name.ends_with(kCentreSuffix)", "&& false")),
    _mutation("a channel of scale 0 may be centred",
              (SPLIT, "if (!std::isfinite(c)) return std::nullopt;", ""),
              (SPLIT, "std::abs(c) > centre_limit(storage)", "false"), (SPLIT, "(!negligible || ", "(")),
    _mutation("a constant may leave sums no room", (FOLD, "if (magnitude.after > limit &&", "if (false &&")),
    _mutation("skipped nodes leave a centring",
              (FOLD, "if (!is_switched_off(chain) && journal_.lists(chain) &&", "if (journal_.lists(chain) &&")),
    _mutation("a centring is sought in a graph that this round has changed",
              (FOLD, "if (rewrites_ != first) return;", "")),
    _mutation("skipped nodes are shortened",
              (FOLD, "if (is_switched_off(chain) ||\n", "if (\n")),
    _mutation("chains are shortened where that cancels",
              (FOLD, "return forward_growth(chain.affine) > kMaxGrowth;", "return false;")),
    _mutation("a shorter BatchNormalization keeps its epsilon",
              (BN, ".attributes = {{\"epsilon\", 0.0F}}", ".attributes = {}")),
    _mutation("a constant of an old opset lies at the last axis",
              (LINEAR, "if (names_axis) node.attributes[\"axis\"] = std::int64_t{map.axis};", "")),
    # ---- ways that fork
    _mutation("a constant that is joined stays as it was",
              (LINEAR, "for (const auto& [port, map] : step.constants) {", "for (const auto& [port, map] : step.constants) {\n      continue;")),
    _mutation("a map on constants starts over at every row",
              (LINEAR, "static_cast<std::size_t>(i / inner) % map.channels();", "static_cast<std::size_t>(i) % map.channels();")),
    _mutation("Concat: each part gets the first channels", (CONCAT, "first += length;", "")),
    _mutation("Concat: the axis of the channels is that of the parts",
              (CONCAT, "if (whole.axis != static_cast<int>(*axis)) return std::vector(parts.size(), whole);",
               "if (false) return std::vector(parts.size(), whole);")),
    _mutation("Concat: maps on another axis join",
              (CONCAT, "if (!maps[i].uniform() && maps[i].axis != whole.axis)", "if (false)")),
    _mutation("Concat: lengths need not be known",
              (CONCAT, "|| !(*part.dims)[axis].known()) return std::nullopt;",
               ") return std::nullopt;\n    if (!(*part.dims)[axis].known()) { lengths.push_back(4); continue; }")),
    _mutation("a sum lets any scale pass", (BROADCAST, "if (part.scale != sum.scale)", "if (false)")),
    _mutation("both operands of a sum take the shift", (BROADCAST, "t = i == taker ? t / weights[taker] : 0.0;", "t = t / weights[taker];")),
    _mutation("Sub adds the shifts", (BINARY, "kind_ == Arithmetic::add ? 1.0 : -1.0}", "1.0}")),
    _mutation("the mean's shift is that of one operand", (BROADCAST, "t = i == taker ? t / weights[taker] : 0.0;", "t = i == taker ? t : 0.0;")),
    _mutation("only the first operand of a sum may take the shift",
              (BROADCAST, "args.shift_to_last ? parts.size() - 1 : 0;", "0;")),
    _mutation("what does nothing is folded", (FOLD, "(chain.affine.is_identity() && !journal_.lists(chain))", "false")),
    _mutation("half precision loses its subnormals", (SCALED, "return 0.0;", "return 0x1p-14;")),
    _mutation("an operand may be stretched along the channels",
              (BROADCAST, "operand.rank() == result.rank() && axis < operand.rank() &&\n           (*operand.dims)[axis] == channels;",
               "axis < operand.rank();")),
    _mutation("a product is a sum",
              (BINARY, "if (kind_ == Arithmetic::mul || kind_ == Arithmetic::div)", "if (false)")),
    _mutation("a product lets a shift pass",
              (BROADCAST, "if (map.has_shift()) return Declined{Decline::activation_between, {}};", "")),
    _mutation("a product takes one channel for many",
              (BROADCAST, "const ValueType both[] = {args.inputs[i], args.outputs[0]};", "const ValueType both[] = {args.inputs[i], args.inputs[i]};")),
    _mutation("Einsum: the weights may be stretched",
              (EINSUM, "(*W.dims)[k_first ? 0 : 1]))", "(*X.dims)[static_cast<std::size_t>(product.summed)]))")),
    _mutation("Einsum: another axis of x may be summed too",
              (EINSUM, "(label != k && axis_in(plan.output, label) < 0)", "false")),
    _mutation("LinearRegressor: a map goes back through a post_transform",
              (ML_LINEAR, "if (transform_ != PostTransform::none && !after.is_identity())", "if (false)")),
    _mutation("LinearRegressor: a coefficient may leave sums no room",
              (ML_LINEAR, "return !(std::abs(x) <= kRoomForSums);", "return std::isnan(x);")),
    _mutation("DequantizeLinear: the scales lie on any axis",
              (QUANTIZE, "if (many && (!axis ||", "if (false && (!axis ||")),
    _mutation("QuantizeLinear: a shift vanishes", (QUANTIZE, "if (before.has_shift()) return", "if (false) return")),
    _mutation("QuantizeLinear: steps may be negative", (QUANTIZE, "if (!(step > 0.0)) return", "if (false) return")),
    _mutation("integer weights: the sign goes where it does not fit",
              (QUANTIZE, "fits[channel_of(i)] = false;", "fits[channel_of(i)] = true;")),
    _mutation("integer weights: factors lie on any axis",
              (PACKED, "if (!by_column) return std::nullopt;", "")),
    _mutation("integer weights: whoever reads them reads integers",
              (QUERY, "return input > 0 ? node.op->linear() : rearranges(graph, node) && is_packed(graph, node.outputs[0]);", "return true;")),
    _mutation("integer weights: an output of the graph is one",
              (PREPARE, "is_packed(graph_, output) && !graph_.value(output).is_output", "is_packed(graph_, output)")),
    _mutation("a normalisation keeps its scale as well",
              (NORM, "{.inputs = {{1, filled(*scale, 1.0)}}, .attributes = {}}", "{.inputs = {}, .attributes = {}}")),
    _mutation("a normalisation keeps its bias as well",
              (NORM, "found.without.inputs.emplace_back(2, filled(*B, 0.0));", "")),
    _mutation("the bias of a normalisation may become another operator",
              (FOLD, "(forward && is_bias_behind(id, remaining))", "forward")),
    _mutation("a constant in front of an unknown operator is not stretched",
              (BINARY, "types[i].dims->rbegin()[static_cast<std::ptrdiff_t>(k)] = Dim();", "continue;")),
    _mutation("a centring may be of any size",
              (SPLIT, "|| std::abs(c) > centre_limit(storage)", "")),
    _mutation("a divisor takes the scale itself",
              (BROADCAST, "if (!divides || i == 0) return map;", "return map;")),
    _mutation("a product of matrices lets a shift pass",
              (MATMUL, "if (map.has_shift()) return Declined{Decline::activation_between, {}};", "")),
    _mutation("a product of matrices passes any axis",
              (MATMUL, "if (map.axis != static_cast<int>(Y.rank() - (i == 0 ? 2 : 1)))", "if (false)")),
    _mutation("Max lets a negative scale pass", (VARIADIC, "if (!grows || !equal) return", "if (!equal) return")),
    _mutation("Max lets different maps pass", (VARIADIC, "if (!grows || !equal) return", "if (!grows) return")),
    # ---- rounding
    _mutation("denormal constants stay", (ROUNDING, "    x = 0.0;\n", "")),
    # ---- simplifications
    _mutation("one output takes over the name of another",
              (RULES, "if (!producer.valid() || graph.value(to).is_output ||", "if (!producer.valid() ||"),
              (REWRITE, "if (value.is_output) return Refusal", "if (false) return Refusal")),
    _mutation("a value whose name goes keeps its readers",
              (RULES, "if (graph.value(to).users.size() > 1) rewrite.redirected = {{to, from}};", ""),
              (REWRITE, "if (is_removed(rewrite, user)) continue;", "continue;")),
    _mutation("any two rearrangements cancel",
              (CANCEL, "if (moved->from.at(*moved_back->from[i]) != i) return std::nullopt;", "")),
    _mutation("MatMul of any rank becomes Gemm",
              (JOIN, "return graph.value(id).type.ranked() && graph.value(id).type.rank() == 2;",
               "return graph.value(id).type.ranked();")),
    # ---- constants as maps
    _mutation("a constant of higher rank is a map",
              (BROADCAST, "if (shape.rank() > data.rank()) {", "if (false) {")),
    _mutation("a constant may stretch the data", (BROADCAST, "if (dim == Dim(1))", "if (false)")),
    _mutation("an unknown extent is the constant's", (BROADCAST, "if (!dim.known())", "if (false)")),
    _mutation("a constant may vary along two axes",
              (BROADCAST, "if (axis != ChannelAffine::kUniform)", "if (false)")),
    _mutation("a constant's axis counts from the front",
              (BROADCAST, "axis = static_cast<int>(data_axis);", "axis = static_cast<int>(i);")),
    _mutation("c / x is x / c", (BINARY, "if (kind_ == Arithmetic::div && constant_input == 0)", "if (false)")),
    _mutation("c - x is x - c",
              (BINARY, "return constant_input == 1 ? std::pair(1.0, -c) : std::pair(-1.0, c);",
               "return std::pair(1.0, -c);")),
    _mutation("x - c is x + c", (BINARY, "std::pair(1.0, -c) : std::pair(-1.0, c)",
                                 "std::pair(1.0, c) : std::pair(-1.0, c)")),
    _mutation("integers are folded",
              (BINARY, "if (!is_floating(args.inputs[data_input].dtype)) return", "if (false) return"),
              (MATMUL, "if (!is_floating(B->dtype())) return", "if (false) return")),
    _mutation("maps on different axes compose", (AFFINE, "(first.axis != second.axis || ", "(false && ")),
    _mutation("a second shift forgets the second scale",
              (AFFINE, "result.shift[c] = a.shift[c] * b.scale[c] + b.shift[c];",
               "result.shift[c] = a.shift[c] + b.shift[c];")),
    # ---- BatchNormalization
    _mutation("the variance may be anything",
              (AFFINE, "if (!(variance > 0.0) || !std::isfinite(variance)) {", "if (false) {")),
    _mutation("the variance may be zero", (AFFINE, "if (!(variance > 0.0)", "if (!(variance >= 0.0)")),
    _mutation("epsilon is forgotten", (AFFINE, "const double variance = var[c] + epsilon;",
                                       "const double variance = var[c];")),
    _mutation("a training BatchNormalization is folded",
              (BN, "if (training_) return Declined{Decline::training_mode, {}};", "")),
    _mutation("readers of the statistics are ignored",
              (BN, "if (args.output_used[i]) return", "if (false) return")),
    _mutation("a parameter need not be constant",
              (BN, "if (constant == nullptr) return Declined{Decline::not_constant, fmt::format(\"input {}\", i + 1)};",
               "if (constant == nullptr) { parameters[i] = parameters[0]; continue; }")),
    _mutation("parameters per position pass as per channel",
              (BN, "if (constant->shape().rank() != 1)", "if (false)"),
              (BN, "if (!spatial_ && X.rank() > 2) return", "if (false) return")),
    _mutation("spatial = 0 is ignored", (BN, "if (!spatial_ && X.rank() > 2) return", "if (false) return")),
    # ---- Gemm
    _mutation("Gemm: transA is ignored", (GEMM, "(before.axis != 1 || trans_a_)", "(before.axis != 1)")),
    _mutation("Gemm: a map on the rows of A", (GEMM, "(before.axis != 1 || trans_a_)", "(trans_a_)")),
    _mutation("Gemm: a map on the rows of the result",
              (GEMM, "if (!after.uniform() && after.axis != 1)", "if (false)")),
    _mutation("Gemm: alpha is ignored", (GEMM, "for (double& factor : k_factors) factor *= alpha_;", "")),
    _mutation("Gemm: beta is ignored", (GEMM, "has_C ? beta_ * C[", "has_C ? C[")),
    _mutation("Gemm: beta = 0 reads C",
              (GEMM, "const bool has_C = args.present(2) && beta_ != 0.0;\n    if (has_C && args.constant(2) == nullptr)",
               "const bool has_C = args.present(2);\n    if (has_C && args.constant(2) == nullptr)")),
    _mutation("Gemm: C has one row", (GEMM, "if (C_shape.rank() == 2) rows = static_cast<std::size_t>(C_shape[0]);", "")),
    _mutation("Gemm: the bias is not scaled", (GEMM, "(c + carried[n].value()) * s_out.scale[n] + s_out.shift[n]",
                                               "(c + carried[n].value()) + s_out.shift[n]")),
    _mutation("Gemm: the shift in front is dropped", (GEMM, "carried[n].add_product(s_in.shift[k], alpha_ * w);",
                                                      "carried[n].add_product(0.0 * s_in.shift[k], w);")),
    _mutation("Gemm: the shift in front is not multiplied by alpha",
              (GEMM, "carried[n].add_product(s_in.shift[k], alpha_ * w);", "carried[n].add_product(s_in.shift[k], w);")),
    _mutation("Gemm: transB is ignored",
              (GEMM, "trans_b_ ? ScaledTensor{", "false ? ScaledTensor{")),
    _mutation("Gemm: a stretched C without the flag of old opsets",
              (GEMM, "if (needs_broadcast_flag_) absorbed.attributes", "if (false) absorbed.attributes")),
    # ---- MatMul
    _mutation("MatMul: a map on another axis of A", (MATMUL, "if (!before.uniform() && before.axis != last)", "if (false)")),
    _mutation("MatMul: a map on another axis of the result",
              (MATMUL, "if (!after.uniform() && after.axis != last)", "if (false)")),
    _mutation("MatMul: the shift in front is not scaled",
              (MATMUL, "absorbed.remaining.shift[n] += carried[n].value() * s_out.scale[n];",
               "absorbed.remaining.shift[n] += carried[n].value();")),
    _mutation("MatMul: weights of any rank", (MATMUL, "if (B->shape().rank() != 2) return Declined", "if (false) return Declined")),
    # ---- Conv
    _mutation("Conv: a shift in front of padding",
              (CONV, "if (before.has_shift() && W != nullptr && convolution_.window.may_pad(spatial(W->shape())))",
               "if (false)")),
    _mutation("ConvTranspose: a shift in front",
              (CONV, "if (before.has_shift()) return Declined{Decline::padding, \"fewer", "if (false) return Declined{Decline::padding, \"fewer")),
    _mutation("Conv: a map on another axis", (CONV, "if (!map->uniform() && map->axis != 1) return", "if (false) return")),
    _mutation("Conv: the bias is not scaled", (CONV, "bias[m] = bias[m] * s_out.scale[m] + s_out.shift[m];",
                                               "bias[m] = bias[m] + s_out.shift[m];")),
    _mutation("Conv: groups are ignored", (CONV, "s_in.scale : s_out.scale, groups}", "s_in.scale : s_out.scale, 1}")),
    _mutation("Conv: the bias need not be constant",
              (CONV, "if (args.present(2) && args.constant(2) == nullptr)\n    return Declined",
               "if (false)\n    return Declined"),
              (CONV, "      args.present(2) ? read_doubles", "      args.constant(2) != nullptr ? read_doubles")),
    # ---- operators that maps pass
    _mutation("a shift passes Relu", (UNARY, "if (affine.has_shift()) return", "if (false) return")),
    _mutation("a negative scale passes Relu",
              (UNARY, "if (!(s > 0.0)) return", "if (false) return")),
    _mutation("any activation is homogeneous", (UNARY, "if (!homogeneous) return", "if (false) return")),
    _mutation("a negative scale passes MaxPool", (POOL, "if (!(s > 0.0)) return", "if (false) return")),
    _mutation("a shift passes padding that counts", (POOL, "if (affine.has_shift() && zeros_count) return", "if (false) return")),
    _mutation("a map on a pooled axis", (POOL, "if (affine.axis > 1) return", "if (false) return")),
    _mutation("any pool takes a map", (POOL, "if (kind_ == Pooling::lp) return", "if (false) return")),
    _mutation("averaged channels are still there",
              (REDUCE, "return Declined{Decline::axis_unproven, \"the channels are reduced\"};", "return affine;")),
    _mutation("any reduction is a mean", (REDUCE, "      default:\n        break;\n    }\n    return Declined{Decline::activation_between, {}};", "      default:\n        break;\n    }\n    return affine;")),
    _mutation("a sum counts its shift once",
              (REDUCE, "t = from == Side::input ? t * n : t / n;", "t = from == Side::input ? t : t / n;")),
    _mutation("a negative scale passes ReduceMax",
              (REDUCE, "if (std::ranges::all_of(affine.scale, [](double s) { return s > 0.0; })) return affine;", "return affine;")),
    _mutation("a scale passes the logarithm of a sum", (REDUCE, "if (!affine.has_scale()) return affine;", "return affine;")),
    _mutation("a shift passes a norm", (PASSING, "if (affine.has_shift()) return Declined", "if (false) return Declined")),
    _mutation("a negative scale passes a norm backward", (PASSING, "if (from == Side::output && !(s >= 0.0))", "if (false)")),
    _mutation("a negative scale passes a norm forward", (PASSING, "    s = std::abs(s);\n", "")),
    _mutation("copies of one channel may carry different maps", (PASSING, "if (known[to] &&", "if (false &&")),
    _mutation("any constant is left alone", (PASSING, "if (affine.scale[c] * element + affine.shift[c] != element) return false;", "")),
    _mutation("Slice: the step is 1", (SLICE, "copies.sources.push_back(selection.first + i * selection.step);", "copies.sources.push_back(selection.first + i);")),
    _mutation("Slice: a flip is no change", (SLICE, "(selection.step == 1 || selection.count <= 1)", "true")),
    _mutation("Pad: the constant may change", (PAD, "|| leaves_constant(at_border, args))", "|| true)")),
    _mutation("Pad: the constant does not take the map", (PAD, "return std::vector{map, ChannelAffine{}, map};", "return std::vector{map};")),
    _mutation("Pad: what is taken away and added is nothing", (PAD, "return before != 0 || after != 0;", "return before + after != 0;")),
    _mutation("Expand: stretched channels may differ", (EXPAND, "if (affine.scale[c] != affine.scale[0] || affine.shift[c] != affine.shift[0])", "if (false)")),
    _mutation("Tile: any number of repeats is one", (EXPAND, "[](auto repeat) { return repeat == 1; }", "[](auto repeat) { return repeat >= 1; }")),
    _mutation("Resize: the channels stay", (RESIZE, "if (!affine.uniform() && !keeps_axis(args, static_cast<std::size_t>(affine.axis)))", "if (false)")),
    _mutation("Resize: what is extrapolated may change", (RESIZE, "if (crops() && !leaves_alone(affine, extrapolation_value_))", "if (false)")),
    _mutation("Resize: a scale that keeps the extent is 1", (RESIZE, "return at < scales->size() && (*scales)[at] == 1.0;", "return (*X.dims)[axis] == (*args.outputs[0].dims)[axis];")),
    _mutation("Resize: places may move by a half", (RESIZE, "if (crops() || transformation_ == Transformation::tf_half_pixel_for_nn) return false;", "if (crops()) return false;")),
    _mutation("DepthToSpace: columns are rows", (DEPTH, "depth_first_ ? channel % C : channel / (block_ * block_)", "channel % C")),
    _mutation("Gather: the axis of channels stays", (GATHER, "moved.axis = static_cast<int>(at + index_rank - 1);", "")),
    _mutation("ScatterND: updates have the axes of the data", (SCATTER, "moved.axis = behind + static_cast<int>(indices.rank()) - 1;", "")),
    _mutation("ScatterND: updates may carry another map", (SCATTER, "if (!(*of_updates == maps[kUpdates])) return apart;", "")),
    _mutation("ScatterND: sums may change in part", (SCATTER, "if (reduction_ != ScatterReduction::none)\n      return", "if (false)\n      return")),
    _mutation("ReverseSequence: the channels stay", (REVERSE, "if (affine.uniform() || affine.axis != time_axis_) return affine;", "return affine;")),
    _mutation("a shift passes the zeros of a triangle", (SELECT, "if (affine.has_shift()) return Declined", "if (false) return Declined")),
    _mutation("Where: branches may carry different maps", (WHERE, "if (from == Side::input && !(maps[i] == map))", "if (false)")),
    _mutation("pools of 1x1 take every element", (POOL, "std::all_of(window_.strides.begin(), window_.strides.end(), one) &&", "true &&")),
    _mutation("one element is its own square", (REDUCE, "if (bends || !resolved ||", "if (!resolved ||")),
    _mutation("Reshape: channels that share a place may differ", (RESHAPE, "if (shared) return result;", "return result;")),
    _mutation("Transpose: the axis stays", (TRANSPOSE, "map.from.emplace_back(axis);", "map.from.emplace_back(map.from.size());")),
    _mutation("Dropout: the ratio is 0",
              (DROPOUT, "|| read_doubles(ratio->view())[0] != 0.0;", "|| false;")),
    _mutation("Dropout: training is ignored",
              (DROPOUT, "return mode == nullptr || mode->elements() != 1 || mode->data<bool>()[0];", "return false;")),
    _mutation("Cast may change the type", (CAST, "return args.inputs[0].dtype == args.outputs[0].dtype;", "return true;"),
              (REWRITE, "if (old_type.dtype != new_type.dtype || !same_dims) {", "if (!same_dims) {")),
]
