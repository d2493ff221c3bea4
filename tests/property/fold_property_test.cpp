// Folding on random networks: whatever it does, the network computes the same, says what was done, and is
// still a model. BNRUN_FOLD_NETWORKS is the number of networks, BNRUN_FOLD_SEED the first seed.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <limits>
#include <optional>
#include <set>

#include "api/model_access.h"
#include "base/fail.h"
#include "bnrun/fold.h"
#include "bnrun/session.h"
#include "op/shape_rules.h"
#include "passes/widen.h"
#include "support/error_bound.h"
#include "support/random_graph.h"
#include "support/random_numbers.h"
#include "verify/interpret.h"

namespace bnrun::testing {
namespace {

/// A property that does not hold.
struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};
template <class... Args>
void require(bool holds, fmt::format_string<Args...> format, Args&&... args) {
  if (!holds) throw Violation(fmt::format(format, std::forward<Args>(args)...));
}

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

constexpr std::string_view kBatchNormalization = "BatchNormalization";

constexpr std::uint64_t kWithOptions = 4;  ///< every so many networks are folded with options, too
constexpr std::uint64_t kOptionsStream = ~std::uint64_t{2};

/// How often something was met, and how many affine maps in it folded.
struct Occurrence {
  std::size_t networks = 0;
  std::size_t folded = 0;
  std::size_t declined = 0;
};

/// What all networks together have exercised: a property that holds because nothing folds says nothing.
struct Tally {
  std::size_t networks = 0;
  std::size_t folded = 0;
  std::size_t declined = 0;
  std::size_t compared = 0;  ///< elements
  std::size_t beyond = 0;    ///< of these, without a bound since something may overflow
  double worst = 0.0;        ///< largest error as a part of its bound
  std::set<Decline> reasons;
  std::set<std::string> into;
  std::map<std::string, Occurrence, std::less<>> kinds;     ///< of pieces, see piece_kinds()
  std::map<std::string, Occurrence, std::less<>> features;  ///< of operators and whole networks
};

/// Kinds of networks and versions of operators that are easily lost from a generator.
constexpr std::string_view kFeatures[] = {"opset < 7",
                                          "opset > 17",
                                          "float16",
                                          "float32",
                                          "float64",
                                          "Split: equal parts",
                                          "Split: attribute",
                                          "Split: input",
                                          "Split: num_outputs",
                                          "BatchNormalization: consumed_inputs",
                                          "BatchNormalization: is_test",
                                          "BatchNormalization: spatial = 0",
                                          "BatchNormalization: training_mode",
                                          "broadcast attribute",
                                          "broadcast attribute with axis"};

std::set<std::string> features_of(const Graph& graph) {
  std::set<std::string> features;
  const auto opset = graph.opset("");
  if (opset < 7) features.insert("opset < 7");
  if (opset > 17) features.insert("opset > 17");
  features.insert(std::string(name_of(graph.value(graph.inputs()[0]).type.dtype)));
  for (const NodeId id : graph.live_nodes()) {
    const Node& node = graph.node(id);
    const auto has = [&](std::string_view attribute) { return node.attributes.contains(attribute); };
    const auto note = [&](bool holds, const std::string& feature) {
      if (holds) features.insert(feature);
    };
    note(true, node.op_type);
    note(has("broadcast") && !has("axis"), "broadcast attribute");
    note(has("broadcast") && has("axis"), "broadcast attribute with axis");
    if (node.op_type == "Split") {
      const bool given = node.inputs.size() > 1;
      features.insert(has("split")         ? "Split: attribute"
                      : given              ? "Split: input"
                      : has("num_outputs") ? "Split: num_outputs"
                                           : "Split: equal parts");
    }
    if (node.op_type == kBatchNormalization) {
      note(has("consumed_inputs"), "BatchNormalization: consumed_inputs");
      note(has("is_test"), "BatchNormalization: is_test");
      note(has("training_mode"), "BatchNormalization: training_mode");
      const auto spatial = node.attributes.find("spatial");
      note(spatial != node.attributes.end() && std::get<std::int64_t>(spatial->second) == 0,
           "BatchNormalization: spatial = 0");
    }
  }
  return features;
}

using Values = std::map<std::string, Tensor>;

Values values_of(const Graph& graph, const std::vector<Tensor>& inputs) {
  Values values;
  std::vector<TensorView> views(inputs.begin(), inputs.end());
  interpret(graph, views, [&](ValueId id, const Tensor& value) { values[graph.value(id).name] = value; });
  return values;
}

/// Every value that `computed` has in common with the truth lies within the bound.
void check_values(const char* which, const Values& computed, const Values& truth, const ErrorBound& bound,
                  Tally& tally) {
  for (const auto& [name, value] : computed) {
    const auto exact = truth.find(name);
    if (exact == truth.end() || !is_floating(value.dtype())) continue;
    require(value.shape() == exact->second.shape(), "{} '{}' is {}, it was {}", which, name,
            to_string(value.shape()), to_string(exact->second.shape()));
    const auto got = read_doubles(value);
    const auto expected = read_doubles(exact->second);
    for (std::size_t i = 0; i < got.size(); ++i) {
      const double allowed = bound(name, i);
      ++tally.compared;
      if (!std::isfinite(allowed)) {
        ++tally.beyond;
        continue;
      }
      require(std::abs(expected[i]) <= bound.magnitude(name, i) * (1.0 + 1e-9),
              "'{}'[{}] is larger than its magnitude", name, i);
      const double error = std::abs(got[i] - expected[i]);
      require(error <= allowed, "{} '{}'[{}] is {:.17g}, exactly {:.17g}: error {:.3g}, bound {:.3g}", which,
              name, i, got[i], expected[i], error, allowed);
      if (allowed > 0.0) tally.worst = std::max(tally.worst, error / allowed);
    }
  }
}

void check_ports(const std::vector<PortInfo>& before, const std::vector<PortInfo>& after) {
  require(before.size() == after.size(), "{} inputs or outputs, there were {}", after.size(), before.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    const PortInfo& a = before[i];
    const PortInfo& b = after[i];
    require(a.name == b.name && a.dtype == b.dtype && a.optional == b.optional, "'{}' became '{}'", a.name,
            b.name);
    const auto same_dim = [](const DimInfo& x, const DimInfo& y) {
      return x.extent == y.extent && x.symbol == y.symbol;
    };
    require(a.dims.has_value() == b.dims.has_value() &&
                (!a.dims || std::ranges::equal(*a.dims, *b.dims, same_dim)),
            "the dimensions of '{}' changed", a.name);
  }
}

std::set<std::string> batch_normalizations(const Graph& graph) {
  std::set<std::string> names;
  for (const NodeId id : graph.live_nodes()) {
    if (graph.node(id).op_type == kBatchNormalization) names.insert(graph.node(id).name);
  }
  return names;
}

/// The kind of piece that a node of this name belongs to.
std::string_view kind_of(std::string_view name) {
  return name.substr(0, name.find('/'));
}

/// Once what is in the network is known to hold.
void note_occurrences(const Graph& graph, const FoldReport& report, Tally& tally) {
  std::set<std::string> kinds;
  for (const NodeId id : graph.live_nodes()) kinds.emplace(kind_of(graph.node(id).name));
  for (const auto& kind : kinds) ++tally.kinds[kind].networks;
  for (const FoldEntry& entry : report.entries) {
    Occurrence& kind = tally.kinds[std::string(kind_of(entry.name))];
    ++(entry.folded ? kind.folded : kind.declined);
  }
  for (const auto& feature : features_of(graph)) {
    Occurrence& occurrence = tally.features[feature];
    ++occurrence.networks;
    for (const FoldEntry& entry : report.entries) ++(entry.folded ? occurrence.folded : occurrence.declined);
  }
}

void check_report(const FoldReport& report, const Model& original, const Model& folded, Tally& tally) {
  const auto before = batch_normalizations(graph_of(original));
  const auto after = batch_normalizations(graph_of(folded));
  std::set<std::string> seen;
  for (const FoldEntry& entry : report.entries) {
    ++(entry.folded ? tally.folded : tally.declined);
    if (entry.folded) {
      require(!entry.into.empty(), "nothing took {}", entry.name);
      tally.into.insert(entry.into.substr(0, entry.into.find(' ')) +
                        (entry.direction == FoldDirection::forward ? " forward" : " backward"));
    } else {
      tally.reasons.insert(entry.reason);
    }
    if (entry.form != kBatchNormalization) continue;
    require(seen.insert(entry.name).second, "two entries for '{}'", entry.name);
    require(before.contains(entry.name), "an entry for '{}', which never was", entry.name);
    require(after.contains(entry.name) != entry.folded, "'{}' is reported as {}", entry.name,
            entry.folded ? "folded" : "declined");
  }
  require(seen == before, "{} entries for {} BatchNormalizations", seen.size(), before.size());
  require(!report.complete() || after.empty(), "complete, but {} are left", after.size());
  require(report.before.operators == count(original).operators, "wrong counts before");
  require(report.after.operators == count(folded).operators, "wrong counts after");
  require(report.after.nodes <= report.before.nodes, "{} nodes became {}", report.before.nodes,
          report.after.nodes);
}

void check_stable(const Model& folded, const FoldOptions& options) {
  Model again = folded;
  const FoldReport report = fold(again, options);
  require(report.rewrites == 0, "folding again did something:\n{}", listing(graph_of(again)));
  require(listing(graph_of(again)) == listing(graph_of(folded)), "folding again changed the graph:\n{}",
          listing(graph_of(again)));
  for (const ValueId id : graph_of(folded).live_values()) {
    const Value& value = graph_of(folded).value(id);
    if (!value.constant.defined()) continue;
    require(identical(value.constant, graph_of(again).value(graph_of(again).find_value(value.name)).constant),
            "folding again changed '{}'", value.name);
  }
}

void check_round_trip(const Model& folded, const std::vector<Tensor>& inputs,
                      const std::filesystem::path& file) {
  folded.save(file);
  const Model loaded = Model::load(file);
  check_ports(folded.inputs(), loaded.inputs());
  check_ports(folded.outputs(), loaded.outputs());
  const std::vector<TensorView> views(inputs.begin(), inputs.end());
  const auto before = interpret(graph_of(folded), views);
  const auto after = interpret(graph_of(loaded), views);
  for (std::size_t i = 0; i < before.size(); ++i)
    require(identical(before[i], after[i]), "output {} differs after saving and loading", i);
}

/// Folds and checks what came out.
FoldReport check_fold(const Model& original, Model& folded, const FoldOptions& options,
                      const std::vector<Tensor>& inputs, const Values& truth, const ErrorBound& bound,
                      Tally& tally) {
  const FoldReport report = fold(folded, options);
  graph_of(folded).check();
  check_ports(original.inputs(), folded.inputs());
  check_ports(original.outputs(), folded.outputs());
  check_report(report, original, folded, tally);
  const Values values = values_of(graph_of(folded), inputs);
  check_values("folded", values, truth, bound, tally);
  for (const ValueId id : graph_of(folded).outputs())
    require(values.contains(graph_of(folded).value(id).name) || graph_of(folded).value(id).constant.defined(),
            "output '{}' is not computed", graph_of(folded).value(id).name);
  require(report.rewrites <= options.max_rewrites, "{} rewrites", report.rewrites);
  if (report.rewrites < options.max_rewrites) check_stable(folded, options);
  return report;
}

/// Nodes, simplifications or rewrites to leave out.
FoldOptions options_of(std::uint64_t seed) {
  Random random(seed, kOptionsStream);
  FoldOptions options;
  const auto kind = random.integer(0, 5);
  if (kind == 0) options.skip = {fmt::format("*{}", random.integer(0, 9))};
  if (kind == 1) options.only = {fmt::format("*{}", random.integer(0, 9)), "*BatchNormalization*"};
  if (kind == 2) options.max_rewrites = static_cast<std::size_t>(random.integer(0, 5));
  if (kind == 3) options.max_growth = random.pick<double>({1.0, 1.5, 10.0});
  if (kind >= 4) {
    for (const Simplification& simplification : simplifications()) {
      if (random.chance(0.5)) options.without.emplace_back(simplification.name);
    }
  }
  return options;
}

std::string describe(const FoldOptions& options) {
  return fmt::format("skip {}, only {}, without {}, at most {} rewrites, growth {}", options.skip,
                     options.only, options.without, options.max_rewrites, options.max_growth);
}

void check_left_alone(const Model& original, const Model& folded, const FoldOptions& options) {
  const auto after = batch_normalizations(graph_of(folded));
  for (const auto& name : batch_normalizations(graph_of(original))) {
    const auto matches = [&](const std::string& glob) {
      return ::fnmatch(glob.c_str(), name.c_str(), 0) == 0;
    };
    const bool stays = std::ranges::any_of(options.skip, matches) ||
                       (!options.only.empty() && std::ranges::none_of(options.only, matches));
    require(!stays || after.contains(name), "'{}' was to stay", name);
  }
}

/// What a session makes of the model, fused steps and all.
void check_session(const Model& original, const std::vector<Tensor>& inputs, const Values& truth,
                   const ErrorBound& bound, Tally& tally) {
  const Session session(original);
  std::vector<NamedTensor> given;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].defined()) given.push_back({session.inputs()[i].name, inputs[i]});
  }
  Values values;
  for (auto& [name, tensor] : session.run(given)) values[name] = std::move(tensor);
  check_values("compiled", values, truth, bound, tally);
}

/// All properties of one network, or the first that does not hold.
std::optional<std::string> violation(const Recipe& recipe, Tally& tally,
                                     const std::optional<std::filesystem::path>& file) {
  try {
    const auto [original, inputs] = random_network(recipe);
    const Graph wide = widened(graph_of(original));
    std::vector<Tensor> wide_inputs;
    for (const Tensor& input : inputs)
      wide_inputs.push_back(is_floating(input.dtype()) ? convert(input, DType::float64) : input);
    const Values truth = values_of(wide, wide_inputs);
    const ErrorBound bound(wide, wide_inputs, inputs[0].dtype());
    // A bound that the original broke would be a wrong bound.
    check_values("unfolded", values_of(graph_of(original), inputs), truth, bound, tally);

    Model folded = original;
    const FoldReport report = check_fold(original, folded, {}, inputs, truth, bound, tally);
    if (recipe.seed % kWithOptions == 0) {
      Model partly = original;
      Tally apart;
      const FoldOptions options = options_of(recipe.seed);
      try {
        check_fold(original, partly, options, inputs, truth, bound, apart);
        check_left_alone(original, partly, options);
      } catch (const std::exception& problem) {
        throw Violation(
            fmt::format("with {}: {}\n{}", describe(options), problem.what(), listing(graph_of(partly))));
      }
      tally.compared += apart.compared;
      tally.beyond += apart.beyond;
    }
    check_session(original, inputs, truth, bound, tally);
    if (file) check_round_trip(folded, inputs, *file);
    ++tally.networks;
    note_occurrences(graph_of(original), report, tally);
    return std::nullopt;
  } catch (const std::exception& error) {
    return error.what();
  }
}

/// Leaves out one step after the other for as long as what is left still fails.
Recipe shrunk(Recipe recipe, const std::optional<std::filesystem::path>& file) {
  Tally unused;
  for (std::size_t i = 0; i < recipe.steps.size();) {
    Recipe smaller = recipe;
    smaller.steps.erase(smaller.steps.begin() + static_cast<std::ptrdiff_t>(i));
    if (violation(smaller, unused, file)) {
      recipe = std::move(smaller);
      i = 0;
    } else {
      ++i;
    }
  }
  return recipe;
}

std::string account_of(const Recipe& recipe, const std::string& problem) {
  std::string text =
      fmt::format("seed {}, steps {}: {}\n", recipe.seed, fmt::join(recipe.steps, ","), problem);
  try {
    Model model = random_network(recipe).model;
    text += listing(graph_of(model));
    fold(model);
    text += "folded:\n" + listing(graph_of(model));
  } catch (const std::exception& error) {
    text += error.what();
  }
  return text;
}

void print(const Tally& tally) {
  std::vector<std::string_view> reasons;
  for (const Decline reason : tally.reasons) reasons.push_back(name_of(reason));
  fmt::print(
      "{} networks: {} folded into {}; {} declined: {}\n{} elements, {} without a bound, largest error / "
      "bound {:.3g}\n",
      tally.networks, tally.folded, fmt::join(tally.into, ", "), tally.declined, fmt::join(reasons, ", "),
      tally.compared, tally.beyond, tally.worst);
  for (const auto* table : {&tally.kinds, &tally.features}) {
    for (const auto& [name, found] : *table) {
      fmt::print("{:38} {:7} networks {:7} folded {:7} declined\n", name, found.networks, found.folded,
                 found.declined);
    }
  }
}

TEST(FoldProperty, FoldedNetworksComputeTheSame) {
  constexpr std::uint64_t kRoundTrips = 16;  // every so many networks go through a file
  constexpr int kEnoughFailures = 5;
  const std::uint64_t first = setting("BNRUN_FOLD_SEED", 1);
  const std::uint64_t networks = setting("BNRUN_FOLD_NETWORKS", 20000);
  const auto file = std::filesystem::temp_directory_path() / fmt::format("fold_property_{}.onnx", ::getpid());
  Tally tally;
  int failures = 0;
  for (std::uint64_t seed = first; seed < first + networks && failures < kEnoughFailures; ++seed) {
    const auto where = seed % kRoundTrips == 0 ? std::optional(file) : std::nullopt;
    const Recipe recipe = Recipe::of(seed);
    if (!violation(recipe, tally, where)) continue;
    const Recipe smallest = shrunk(recipe, where);
    ADD_FAILURE() << account_of(smallest, violation(smallest, tally, where).value_or("?"));
    ++failures;
  }
  std::filesystem::remove(file);
  print(tally);
  if (networks < 2000) return;
  EXPECT_GE(tally.folded, networks / 2);
  for (const char* op_type : {"Gemm", "MatMul", "Conv", "ConvTranspose"}) {
    for (const char* direction : {"forward", "backward"})
      EXPECT_TRUE(tally.into.contains(fmt::format("{} {}", op_type, direction))) << op_type << direction;
  }
  EXPECT_GE(tally.reasons.size(), 7U);
  EXPECT_LT(tally.beyond, tally.compared / 25);
  for (const PieceKind& kind : piece_kinds()) {
    const Occurrence& found = tally.kinds[std::string(kind.name)];
    EXPECT_GE(found.networks, networks / 200) << kind.name;
    const auto maps = static_cast<double>(found.folded + found.declined);
    EXPECT_GE(static_cast<double>(found.folded), kind.folds * maps) << kind.name;
  }
  for (const std::string_view feature : kFeatures)
    EXPECT_GE(tally.features[std::string(feature)].networks, networks / 1000) << feature;
}

/// The folded models themselves, for another implementation's checker (property/check_sample.py).
TEST(FoldProperty, WriteSample) {
  const char* folder = std::getenv("BNRUN_FOLD_SAMPLE");
  // fold_property_sample runs this test with a folder; without one there is nobody to check what it writes.
  if (folder == nullptr) GTEST_SKIP() << "BNRUN_FOLD_SAMPLE names no folder";
  for (std::uint64_t seed = 1; seed <= setting("BNRUN_FOLD_NETWORKS", 200); ++seed) {
    Model model = random_network(Recipe::of(seed)).model;
    fold(model);
    model.save(std::filesystem::path(folder) / fmt::format("folded_{}.onnx", seed));
  }
}

}  // namespace
}  // namespace bnrun::testing
