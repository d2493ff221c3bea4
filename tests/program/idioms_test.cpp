// Normalisations and activations that a model writes in several nodes: which become one step, which do not, and that the
// numbers are those of the nodes.
#include "program/idioms.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "bnrun/session.h"
#include "program/compile.h"
#include "support/graph_building.h"

namespace bnrun::testing {
namespace {

using Ints = std::vector<std::int64_t>;

/// Writes formulas of x[N,3,8] in one element type.
class Formulas {
 public:
  Formulas(GraphBuilder& b, DType dtype) : b_(b), dtype_(dtype) {}

  Tensor number(double value) const { return convert(Tensor({}, std::vector{value}), dtype_); }
  Tensor numbers(const Shape& shape, std::uint32_t seed) const {
    return random_tensor(dtype_, shape, seed, 0.5, 1.5);
  }
  ValueId op(const char* type, const std::vector<NodeInput>& inputs, Attributes attributes = {}) {
    return b_.op(type, inputs, std::move(attributes));
  }
  ValueId mean(const NodeInput& x, Ints axes = {-1}) {
    return op("ReduceMean", {x}, {{"axes", std::move(axes)}});
  }

  /// As PyTorch writes LayerNorm.
  ValueId normalised(const NodeInput& x, const Ints& axes = {-1}) {
    const auto d = op("Sub", {x, mean(x, axes)});
    const auto variance = mean(op("Pow", {d, number(2.0)}), axes);
    return op("Div", {d, op("Sqrt", {op("Add", {variance, number(1e-3)})})});
  }
  /// As PyTorch writes RMSNorm.
  ValueId by_root_mean_square(const NodeInput& x) {
    const auto root = op("Sqrt", {op("Add", {mean(op("Pow", {x, number(2.0)})), number(1e-3)})});
    return op("Mul", {x, op("Reciprocal", {root})});
  }
  ValueId one_plus_erf(const NodeInput& x) {
    return op("Add", {op("Erf", {op("Div", {x, number(std::sqrt(2.0))})}), number(1.0)});
  }
  /// sqrt(2/pi)*(x + 0.044715*x^3)
  ValueId cubic(const NodeInput& x, double factor = 0.044715) {
    const auto cube = op("Mul", {op("Pow", {x, number(3.0)}), number(factor)});
    return op("Mul", {op("Add", {x, cube}), number(0.7978845608028654)});
  }

 private:
  GraphBuilder& b_;
  DType dtype_;
};

struct Case {
  std::string name;
  std::function<ValueId(Formulas&, ValueId)> body;  ///< of x[N,3,8]
  /// The kernels of all steps.
  std::vector<std::string> kernels;
};

const std::vector<Case>& cases() {
  const std::vector<std::string> normalisation = {"normalisation"};
  const std::vector<std::string> activation = {"activation"};
  static const std::vector<Case> all = {
      {"LayerNorm with scale and shift",
       [](Formulas& f, ValueId x) {
         return f.op("Add", {f.op("Mul", {f.normalised(x), f.numbers({8}, 1)}), f.numbers({8}, 2)});
       },
       normalisation},
      {"LayerNorm without either", [](Formulas& f, ValueId x) { return f.normalised(x); }, normalisation},
      {"LayerNorm over two axes, scale in front",
       [](Formulas& f, ValueId x) {
         return f.op("Mul", {f.numbers({1, 3, 8}, 1), f.normalised(x, {1, 2})});
       },
       normalisation},
      {"LayerNorm with a shift of one number and a product of the difference with itself",
       [](Formulas& f, ValueId x) {
         const auto d = f.op("Sub", {x, f.mean(x)});
         const auto root = f.op("Sqrt", {f.op("Add", {f.number(1e-3), f.mean(f.op("Mul", {d, d}))})});
         return f.op("Add", {f.number(0.25), f.op("Mul", {f.op("Div", {f.number(1.0), root}), d})});
       },
       normalisation},
      {"LayerNorm to the power of -1/2",
       [](Formulas& f, ValueId x) {
         const auto d = f.op("Sub", {x, f.mean(x)});
         const auto variance = f.op("Add", {f.mean(f.op("Pow", {d, f.number(2.0)})), f.number(1e-3)});
         return f.op("Mul", {d, f.op("Pow", {variance, f.number(-0.5)})});
       },
       normalisation},
      {"RMSNorm with a scale, x being added behind it",
       [](Formulas& f, ValueId x) {
         return f.op("Add", {f.op("Mul", {f.by_root_mean_square(x), f.numbers({8}, 1)}), x});
       },
       {"normalisation", "operator"}},
      {"Gelu as PyTorch writes it",
       [](Formulas& f, ValueId x) {
         return f.op("Mul", {f.op("Mul", {x, f.one_plus_erf(x)}), f.number(0.5)});
       },
       activation},
      {"Gelu with half of x",
       [](Formulas& f, ValueId x) {
         return f.op("Mul", {f.one_plus_erf(x), f.op("Mul", {x, f.number(0.5)})});
       },
       activation},
      {"Gelu with half of the gate",
       [](Formulas& f, ValueId x) {
         return f.op("Mul", {x, f.op("Mul", {f.number(0.5), f.one_plus_erf(x)})});
       },
       activation},
      {"Gelu of which folding took the half",
       [](Formulas& f, ValueId x) {
         return f.op("Mul", {x, f.one_plus_erf(x)});
       },
       activation},
      {"Gelu by tanh of which folding took the half",
       [](Formulas& f, ValueId x) {
         return f.op("Mul", {x, f.op("Add", {f.op("Tanh", {f.cubic(x)}), f.number(1.0)})});
       },
       activation},
      {"Gelu by tanh",
       [](Formulas& f, ValueId x) {
         const auto gate = f.op("Add", {f.op("Tanh", {f.cubic(x)}), f.number(1.0)});
         return f.op("Mul", {f.op("Mul", {f.number(0.5), x}), gate});
       },
       activation},
      {"SiLU",
       [](Formulas& f, ValueId x) {
         return f.op("Mul", {x, f.op("Sigmoid", {x})});
       },
       activation},
      {"Gelu by sigmoid",
       [](Formulas& f, ValueId x) {
         return f.op("Mul", {f.op("Sigmoid", {f.op("Mul", {x, f.number(1.702)})}), x});
       },
       activation},
      {"Gelu behind a layer, which takes it along",
       [](Formulas& f, ValueId x) {
         const auto y = f.op("MatMul", {x, f.numbers({8, 8}, 3)});
         return f.op("Mul", {f.op("Mul", {y, f.one_plus_erf(y)}), f.number(0.5)});
       },
       {"dense, packed"}},
      {"Gelu behind LayerNorm",
       [](Formulas& f, ValueId x) {
         const auto y = f.normalised(x);
         return f.op("Mul", {f.op("Mul", {y, f.one_plus_erf(y)}), f.number(0.5)});
       },
       {"normalisation", "activation"}},
      {"means over different axes, where the difference is normalised without its own",
       [](Formulas& f, ValueId x) {
         const auto d = f.op("Sub", {x, f.mean(x, {1, 2})});
         const auto variance = f.mean(f.op("Pow", {d, f.number(2.0)}), {2});
         return f.op("Div", {d, f.op("Sqrt", {f.op("Add", {variance, f.number(1e-3)})})});
       },
       {"operator", "operator", "normalisation"}},
      // what stays
      {"mean over other axes than the last",
       [](Formulas& f, ValueId x) { return f.normalised(x, {1}); },
       {"operator", "operator", "operator", "operator", "affine map", "operator", "operator"}},
      {"x divided in place of the difference",
       [](Formulas& f, ValueId x) {
         const auto d = f.op("Sub", {x, f.mean(x)});
         const auto variance = f.mean(f.op("Pow", {d, f.number(2.0)}));
         return f.op("Div", {x, f.op("Sqrt", {f.op("Add", {variance, f.number(1e-3)})})});
       },
       {"operator", "operator", "operator", "operator", "affine map", "operator", "operator"}},
      {"scale along another axis stays behind",
       [](Formulas& f, ValueId x) {
         return f.op("Mul", {f.normalised(x), f.numbers({3, 1}, 1)});
       },
       {"normalisation", "affine map"}},
      {"half of the error function",
       [](Formulas& f, ValueId x) {
         const auto gate = f.op("Add", {f.op("Erf", {f.op("Div", {x, f.number(2.0)})}), f.number(1.0)});
         return f.op("Mul", {x, gate});
       },
       {"affine map", "operator", "affine map", "operator"}},
      {"cubic with another factor",
       [](Formulas& f, ValueId x) {
         const auto gate = f.op("Add", {f.op("Tanh", {f.cubic(x, 0.0447)}), f.number(1.0)});
         return f.op("Mul", {f.op("Mul", {f.number(0.5), x}), gate});
       },
       {"operator", "affine map", "operator", "affine map", "affine map", "affine map", "operator"}},
      {"gate of a factor that is no float",
       [](Formulas& f, ValueId x) {
         const auto far = f.op("Mul", {f.op("Mul", {x, f.number(1e30)}), f.number(1e30)});
         return f.op("Mul", {x, f.op("Sigmoid", {far})});
       },
       {"affine map", "affine map", "operator"}},
      {"gate shifted behind the sigmoid",
       [](Formulas& f, ValueId x) {
         return f.op("Mul", {x, f.op("Add", {f.op("Sigmoid", {x}), f.number(0.5)})});
       },
       {"operator", "affine map", "operator"}},
  };
  return all;
}

std::vector<std::string> kernels_of(const Program& program) {
  std::vector<std::string> kernels;
  for (const Stage& stage : program.stages) {
    for (const Step& step : stage.steps) kernels.emplace_back(step.kernel);
  }
  return kernels;
}

/// With `all`, everything that a node computes is an output of the model, so that no step can stand for several.
Model model_of(const Case& c, DType dtype, bool all = false) {
  GraphBuilder b;
  const auto x = b.input("x", dtype, {"N", 3, 8});
  Formulas formulas(b, dtype);
  const ValueId y = c.body(formulas, x);
  b.output(y);
  for (const NodeId id : b.graph().live_nodes()) {
    const ValueId value = b.graph().node(id).outputs[0];
    if (all && value != y) b.output(value);
  }
  return b.model();
}

TEST(Idioms, FormulasOfSeveralNodesAreOneStep) {
  for (const Case& c : cases()) {
    GraphBuilder b;
    Formulas formulas(b, DType::float32);
    b.output(c.body(formulas, b.input("x", DType::float32, {"N", 3, 8})));
    EXPECT_EQ(kernels_of(compile(prepared(b.graph()))), c.kernels) << c.name;
  }
}

TEST(Idioms, NumbersAreThoseOfTheNodes) {
  for (const DType dtype : {DType::float32, DType::float64}) {
    const double tolerance = dtype == DType::float32 ? 2e-6 : 4e-15;
    for (const Case& c : cases()) {
      SCOPED_TRACE(c.name);
      const std::vector<NamedTensor> inputs = {{"x", random_tensor(dtype, {5, 3, 8}, 7, -4.0, 4.0)}};
      const auto nodes = Session(model_of(c, dtype, true)).run(inputs);
      const auto steps = Session(model_of(c, dtype)).run(inputs);
      expect_close(steps[0].tensor, nodes[0].tensor, tolerance, tolerance);
    }
  }
}

TEST(Idioms, BitsDependNeitherOnTheBatchNorOnTheThreads) {
  for (const Case& c : cases()) {
    const Model model = model_of(c, DType::float32);
    const Tensor X = random_tensor({64, 3, 8}, 7, -4.0, 4.0);
    const Tensor all = Session(model, {.threads = 3}).run({{"x", X}})[0].tensor;
    const std::vector<float> last(X.data<float>() + 63 * 24, X.data<float>() + 64 * 24);
    const Tensor one = Session(model, {.threads = 1}).run({{"x", Tensor({1, 3, 8}, last)}})[0].tensor;
    EXPECT_EQ(std::memcmp(one.data<float>(), all.data<float>() + 63 * 24, one.bytes()), 0) << c.name;
  }
}

TEST(Idioms, ValueThatSomebodyElseReadsIsComputed) {
  for (const bool normalisation : {true, false}) {
    GraphBuilder b;
    const auto x = b.input("x", DType::float32, {"N", 3, 8});
    Formulas f(b, DType::float32);
    if (normalisation) {
      const auto d = f.op("Sub", {x, f.mean(x)});
      const auto variance = f.mean(f.op("Pow", {d, f.number(2.0)}));
      b.output(f.op("Div", {d, f.op("Sqrt", {f.op("Add", {variance, f.number(1e-3)})})}));
      b.output(f.op("Abs", {variance}));
    } else {
      const auto gate = f.op("Sigmoid", {x});
      b.output(f.op("Mul", {x, gate}));
      b.output(f.op("Abs", {gate}));
    }
    for (const std::string& kernel : kernels_of(compile(prepared(b.graph()))))
      EXPECT_NE(kernel, normalisation ? "normalisation" : "activation");
  }
}

TEST(Idioms, ExtentsInFrontOfTheRowsMayBeUnknown) {
  GraphBuilder b;
  const auto x = b.input("x", DType::float32, {"N", 3, 8});
  const Tensor shape({3}, Ints{-1, 6, 8});
  Formulas f(b, DType::float32);
  const auto y = f.op("Mul", {f.normalised(f.op("Reshape", {x, shape})), f.numbers({8}, 1)});
  b.output(f.op("Mul", {f.op("Mul", {y, f.one_plus_erf(y)}), f.number(0.5)}));
  EXPECT_EQ(kernels_of(compile(prepared(b.graph()))),
            (std::vector<std::string>{"operator", "normalisation", "activation"}));
}

TEST(Idioms, ValueOfManyReadersIsLookedAtOnce) {
  constexpr int kReaders = 40;  // in all orders of which a lifetime would not be enough
  GraphBuilder b;
  Formulas f(b, DType::float32);
  const auto y = f.op("Sigmoid", {b.input("x", DType::float32, {"N", 8})});
  for (int i = 0; i < kReaders; ++i) b.output(f.op("Abs", {y}));
  EXPECT_EQ(kernels_of(compile(prepared(b.graph()))).size(), 1U + kReaders);
}

TEST(Idioms, RowsOfUnknownWidthStayAsTheyAreWritten) {
  GraphBuilder b;
  const auto x = b.input("x", DType::float32, {"N", 3, "W"});
  Formulas f(b, DType::float32);
  b.output(f.normalised(x));
  for (const std::string& kernel : kernels_of(compile(prepared(b.graph()))))
    EXPECT_NE(kernel, "normalisation");
  const Tensor X = random_tensor({2, 3, 5}, 1);
  EXPECT_EQ(Session(b.model()).run({{"x", X}})[0].tensor.shape(), X.shape());
}

}  // namespace
}  // namespace bnrun::testing
