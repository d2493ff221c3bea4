#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <numbers>

#include "api/model_access.h"
#include "base/fail.h"
#include "bnrun/version.h"
#include "train/export/preparation.h"
#include "train/export/stages.h"
#include "train/layers/embedding.h"
#include "train/layers/shapes.h"
#include "train/network.h"

namespace bnrun::train {
namespace {

/// One element where all are the same, so that a fixed factor stays a scalar; else of the shape of a row.
Tensor shortest(const std::vector<float>& values, const Shape& row) {
  const bool uniform = std::all_of(values.begin(), values.end(), [&](float v) { return v == values[0]; });
  return uniform ? Tensor(Shape{}, std::vector<float>{values[0]}) : Tensor(row, values);
}

/// [N, row...]
ValueType batch_of(const Shape& row) {
  Dims dims{Dim::symbol("N")};
  for (const std::int64_t extent : row) dims.emplace_back(extent);
  return {DType::float32, std::move(dims)};
}

/// As ONNX has images: channels first.
ValueType type_of(const Shape& row) {
  return batch_of(is_image(row) ? Shape{row[2], row[0], row[1]} : row);
}

}  // namespace

void append_scaling(ChainWriter& chain, const Scaling& scaling, const std::string& stem, const Shape& row) {
  if (scaling.identity()) return;
  const auto append = [&](const std::string& name, const char* op_type, const std::vector<float>& values,
                          float neutral) {
    if (std::all_of(values.begin(), values.end(), [=](float v) { return v == neutral; })) return;
    chain.follow(stem + "_" + name, op_type, batch_of(row),
                 {chain.constant(stem + "." + name, shortest(values, row))});
  };
  append("offset", "Sub", scaling.offset, 0.0F);
  append("factor", "Mul", scaling.factor, 1.0F);
}

namespace {

void append_reshape(ChainWriter& chain, const std::string& name, const ValueType& type,
                    const std::vector<std::int64_t>& row) {
  std::vector<std::int64_t> shape{0};  // the batch stays
  shape.insert(shape.end(), row.begin(), row.end());
  const auto extents = static_cast<std::int64_t>(shape.size());
  chain.follow(name, "Reshape", type, {chain.constant(name + ".shape", Tensor(Shape{extents}, shape))});
}

/// From rows as they come to images with channels first.
void append_images(ChainWriter& chain, const Shape& row, const Shape& image) {
  const std::vector<std::int64_t> last(image.begin(), image.end());
  if (image[2] == 1) return append_reshape(chain, "images", type_of(image), {1, image[0], image[1]});
  if (row != image) append_reshape(chain, "images_channels_last", batch_of(image), last);
  chain.follow("images", "Transpose", type_of(image), {}, {{"perm", std::vector<std::int64_t>{0, 3, 1, 2}}});
}

/// Writes the nodes of one stage; `name` is that of its first layer, which stands before the names of all.
class StageWriter {
 public:
  StageWriter(ChainWriter& chain, std::string name, const Layer<float>& layer, const Shape& below,
              const Shape& behind)
      : chain_(chain),
        name_(std::move(name)),
        below_(below),
        width_(layer.outputs()),
        inputs_(layer.inputs()),
        type_(type_of(behind)) {
    for (auto& [suffix, tensor] : layer.weights())
      constants_.emplace_back(suffix, chain.constant(name_ + "." + suffix, std::move(tensor)));
  }

  void operator()(const Dense& /*spec*/) {
    if (find("W_scale") != nullptr)
      quantised_gemm();
    else
      node("Gemm");
  }
  void operator()(const BatchNormalization& spec) {
    node("BatchNormalization",
         {{"epsilon", static_cast<float>(spec.epsilon)}, {"momentum", static_cast<float>(spec.momentum)}});
  }
  void operator()(const LayerNormalization& spec) {
    node("LayerNormalization", {{"axis", std::int64_t{-1}}, {"epsilon", static_cast<float>(spec.epsilon)}});
  }
  void operator()(const Dropout& /*spec*/) {}  // nothing at inference
  void operator()(const Conv2D& spec) { node("Conv", of_windows(windows_of(spec, below_))); }
  void operator()(const Pooling2D& spec) {
    Attributes attributes = of_windows(windows_of(spec, below_));
    const bool average = spec.kind == Pooling2D::Kind::average;
    if (average) attributes["count_include_pad"] = std::int64_t{0};
    node(average ? "AveragePool" : "MaxPool", std::move(attributes));
  }
  void operator()(const GlobalAveragePooling2D& /*spec*/) {
    chain_.follow(name_ + "_pixel", "GlobalAveragePool", type_of(Shape{1, 1, below_[2]}), {});
    node("Flatten", {{"axis", std::int64_t{1}}});
  }
  /// Numbers lie as the trainer's do: channels last.
  void operator()(const Flatten& /*spec*/) {
    if (!is_image(below_)) return;
    if (below_[2] > 1 && below_[0] * below_[1] > 1)
      chain_.follow(name_ + "_channels_last", "Transpose", batch_of(below_), {},
                    {{"perm", std::vector<std::int64_t>{0, 2, 3, 1}}});
    node("Flatten", {{"axis", std::int64_t{1}}});
  }
  /// Tables are gathered from, the other columns too, and all stand side by side.
  void operator()(const Embedding& spec) {
    const ChainWriter::Ref features = chain_.last();
    std::vector<ChainWriter::Ref> parts;
    const auto others = other_columns(spec, inputs_);
    if (!others.empty()) {
      const auto count = static_cast<std::int64_t>(others.size());
      const ValueId which = chain_.constant(name_ + ".others", Tensor(Shape{count}, others));
      parts.push_back(chain_.add(name_ + "_others", "Gather", features, {which}, rows_of(count),
                                 {{"axis", std::int64_t{1}}}));
    }
    for (std::size_t i = 0; i < spec.columns.size(); ++i) {
      const auto& [column, values, width] = spec.columns[i];
      const std::string stem = fmt::format("{}_{}", name_, i + 1);
      const ValueId which =
          chain_.constant(fmt::format("{}.column_{}", name_, i + 1), Tensor(Shape{}, std::vector{column}));
      const auto place = chain_.add(stem + "_place", "Gather", features, {which},
                                    {DType::float32, Dims{Dim::symbol("N")}}, {{"axis", std::int64_t{1}}});
      const auto row = chain_.add(stem + "_row", "Cast", place, {}, {DType::int64, Dims{Dim::symbol("N")}},
                                  {{"to", static_cast<std::int64_t>(DType::int64)}});
      parts.push_back(chain_.add_of_two(stem, "Gather", constants_[i].second, row, rows_of(width)));
    }
    chain_.follow_of(name_, "Concat", type_, std::move(parts), {{"axis", std::int64_t{1}}});
  }
  void operator()(const LeakyRelu& spec) { node("LeakyRelu", {{"alpha", static_cast<float>(spec.alpha)}}); }
  void operator()(const Elu& spec) { node("Elu", {{"alpha", static_cast<float>(spec.alpha)}}); }
  void operator()(const Shortcut& /*spec*/) {
    fail(ErrorCode::internal, "a shortcut is written with the value it adds");
  }
  void operator()(Activation kind) {
    if (kind == Activation::gelu) return gelu();
    if (kind == Activation::softmax) return node("Softmax", {{"axis", std::int64_t{-1}}});
    constexpr std::array<const char*, 7> kNames{"Identity", "Relu", "Tanh", "Sigmoid", "", "", "Selu"};
    node(kNames[static_cast<std::size_t>(kind)]);
  }

 private:
  const ValueId* find(std::string_view suffix) const {
    const auto found = std::ranges::find(constants_, suffix, &std::pair<std::string, ValueId>::first);
    return found == constants_.end() ? nullptr : &found->second;
  }

  void node(const char* op_type, Attributes attributes = {}) {
    std::vector<ValueId> ids;
    for (const auto& entry : constants_) ids.push_back(entry.second);
    chain_.follow(name_, op_type, type_, ids, std::move(attributes));
  }

  static Attributes of_windows(const Windows& w) {
    using Ints = std::vector<std::int64_t>;
    return {{"kernel_shape", Ints{w.size.height, w.size.width}},
            {"pads", Ints{w.top, w.left, w.bottom, w.right}},
            {"strides", Ints{w.strides.height, w.strides.width}}};
  }

  /// x * 0.5 * (1 + erf(x / sqrt(2))): the operator Gelu is younger than the opset that is written.
  void gelu() {
    const auto scalar = [&](const char* suffix, double value) {
      return chain_.constant(name_ + "." + suffix, Tensor(Shape{}, std::vector{static_cast<float>(value)}));
    };
    const auto x = chain_.last();
    chain_.follow(name_ + "_scaled", "Div", type_, {scalar("sqrt_2", std::numbers::sqrt2)});
    chain_.follow(name_ + "_erf", "Erf", type_, {});
    chain_.follow(name_ + "_sum", "Add", type_, {scalar("one", 1.0)});
    chain_.follow(name_ + "_half", "Mul", type_, {scalar("half", 0.5)});
    chain_.join(name_, "Mul", type_, x);
  }

  void quantised_gemm() {
    const auto add = [&](const std::string& suffix, const char* op_type, ChainWriter::Ref x,
                         std::vector<ValueId> parameters, const ValueType& type, std::int64_t axis) {
      return chain_.add(name_ + suffix, op_type, x, parameters, type, {{"axis", axis}});
    };
    const ValueId zeros =
        chain_.constant(name_ + ".W_zero_point",
                        Tensor(Shape{width_}, std::vector<std::int8_t>(static_cast<std::size_t>(width_))));
    const std::vector<ValueId> input{*find("x_scale"), *find("x_zero_point")};
    const auto rounded =
        add("_input_quantized", "QuantizeLinear", chain_.last(), input, rows_of(inputs_, DType::uint8), 1);
    const auto x = add("_input", "DequantizeLinear", rounded, input, rows_of(inputs_), 1);
    const auto W = add("_W", "DequantizeLinear", *find("W"), {*find("W_scale"), zeros},
                       {DType::float32, Dims{Dim(inputs_), Dim(width_)}}, 1);
    const auto b =
        add("_b", "DequantizeLinear", *find("b"), {*find("b_scale")}, {DType::float32, Dims{Dim(width_)}}, 0);
    chain_.follow_of(name_, "Gemm", type_, {x, W, b});
  }

  ChainWriter& chain_;
  std::string name_;
  Shape below_;
  std::int64_t width_;
  std::int64_t inputs_;
  ValueType type_;
  std::vector<std::pair<std::string, ValueId>> constants_;
};

}  // namespace

void append_stages(ChainWriter& chain, const Network& network, std::size_t left_out) {
  const auto infos = network.layers();
  const auto& stack = network.state().stack;
  std::vector<ChainWriter::Ref> outputs;  // of each stage
  const auto features = chain.last();
  std::size_t first = 0;  // layer of the stage
  for (std::size_t s = 0; s + left_out < stack.stages().size(); ++s) {
    const auto& stage = stack.stages()[s];
    const Shape& behind = stack.shapes()[stage.last + 1];
    if (const auto added = stack.added_to(s))
      chain.join(infos[first].name, "Add", type_of(behind),
                 *added < 0 ? features : outputs[static_cast<std::size_t>(*added)]);
    else
      std::visit(StageWriter(chain, infos[first].name, *stage.layer, stack.shapes()[first], behind),
                 stack.specs()[first]);
    outputs.push_back(chain.last());
    first = stage.last + 1;
  }
}

Model to_model(const Network& network, const ModelDescription& description, const Preparation& preparation) {
  const bool prepared = preparation.columns.count() > 0;
  if (prepared && preparation.outputs() != network.inputs())
    fail(ErrorCode::invalid_input, "the preparation makes {} columns, the network has {} inputs",
         preparation.outputs(), network.inputs());
  if (description.row.rank() > 0 && prepared)
    fail(ErrorCode::invalid_input, "rows of {} and the columns of a table: give one",
         text_of(description.row));
  if (description.row.rank() > 0 && description.row.elements() != network.inputs())
    fail(ErrorCode::invalid_input, "rows of {} for a network of {} inputs", text_of(description.row),
         network.inputs());
  const Shape row = description.row.rank() > 0 ? description.row : Shape{network.inputs()};
  const auto infos = network.layers();
  const auto text_names = text_inputs(preparation, infos);
  Graph graph;
  graph.name = "network";
  graph.opsets[""] = 17;
  const ValueId first =
      prepared ? append_preparation(graph, preparation, text_names) : graph.add_input("input", batch_of(row));
  ChainWriter chain(std::move(graph), first);
  append_scaling(chain, network.input_scaling(), "input", row);
  if (is_image(network.input_shape())) append_images(chain, row, network.input_shape());
  append_stages(chain, network);
  append_scaling(chain, network.target_scaling().inverted(), "target", Shape{network.outputs()});

  ModelMetadata metadata;
  metadata.producer_name = "bnrun";
  metadata.producer_version = BNRUN_VERSION;
  const auto set_list = [&](const char* key, const std::vector<std::string>& list) {
    metadata.properties[key] =
        nlohmann::json(list).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  };
  if (!description.features.empty()) set_list("bnrun.features", description.features);
  if (!description.classes.empty()) set_list("bnrun.classes", description.classes);
  if (!description.targets.empty()) set_list("bnrun.targets", description.targets);
  if (description.missing_spellings) set_list("bnrun.na", *description.missing_spellings);
  if (!text_names.empty()) {
    nlohmann::ordered_json columns;
    if (!preparation.columns.numbers.empty()) columns["input"] = preparation.columns.numbers;
    for (std::size_t t = 0; t < text_names.size(); ++t)
      columns[text_names[t]] = {preparation.columns.texts[t].name};
    metadata.properties["bnrun.columns"] =
        columns.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  if (preparation.missing != MissingRule::error)
    metadata.properties["bnrun.missing"] = name_of(preparation.missing);
  if (!description.target.empty()) metadata.properties["bnrun.target"] = description.target;
  const bool classes = network.loss() == Loss::cross_entropy || network.loss() == Loss::binary_cross_entropy;
  return make_model(chain.finish(classes ? "probabilities" : "prediction"), std::move(metadata));
}

}  // namespace bnrun::train
