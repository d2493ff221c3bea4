// Labels and categories (ai.onnx.ml): LabelEncoder and CategoryMapper look each element up in a table,
// OneHotEncoder marks its place in a list, ZipMap gives probabilities names.
#include <algorithm>
#include <numeric>

#include "base/dispatch.h"
#include "base/fail.h"
#include "op/labelled.h"
#include "op/shape_rules.h"
#include "ops/ml/ml.h"

namespace bnrun {
namespace {

using LabelTypes = TypeList<std::string, std::int64_t, float, double, std::int32_t, std::int16_t>;

template <class T>
Tensor vector_of(const std::vector<T>& values) {
  return Tensor({static_cast<std::int64_t>(values.size())}, values);
}

template <class T>
Tensor scalar_of(const T& value) {
  return Tensor({}, std::vector<T>{value});
}

/// NaN equals NaN and comes first, so that missing values can be looked up.
template <class T>
bool comes_before(const T& a, const T& b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (a != a || b != b) return a != a && b == b;
  }
  return a < b;
}

/// keys[i] becomes values[i], anything else `otherwise`. Of equal keys the first one counts.
class LookupTable {
 public:
  LookupTable(Tensor keys, Tensor values, Tensor otherwise)
      : keys_(std::move(keys)), values_(std::move(values)), otherwise_(std::move(otherwise)) {
    if (keys_.elements() != values_.elements())
      fail(ErrorCode::invalid_model, "{} keys for {} values", keys_.elements(), values_.elements());
    if (otherwise_.dtype() != values_.dtype() || otherwise_.elements() != 1)
      fail(ErrorCode::invalid_model, "the default is no single {}", name_of(values_.dtype()));
    order_.resize(static_cast<std::size_t>(keys_.elements()));
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    dispatch(LabelTypes{}, keys_.dtype(), [&]<class K>() {
      const K* key = keys_.data<K>();
      std::ranges::stable_sort(order_,
                               [&](std::size_t a, std::size_t b) { return comes_before(key[a], key[b]); });
    });
  }

  const Tensor& keys() const { return keys_; }
  DType key_type() const { return keys_.dtype(); }
  DType value_type() const { return values_.dtype(); }

  void look_up(const TensorView& X, const MutableTensorView& Y) const {
    dispatch(LabelTypes{}, keys_.dtype(), [&]<class K>() {
      dispatch(LabelTypes{}, values_.dtype(), [&]<class V>() {
        const K* key = keys_.data<K>();
        V* y = Y.data<V>();
        for (const K& x : X.span<K>()) {
          const auto found = std::ranges::lower_bound(
              order_, x, [](const K& a, const K& b) { return comes_before(a, b); },
              [&](std::size_t i) -> const K& { return key[i]; });
          const bool known = found != order_.end() && !comes_before(x, key[*found]);
          *y++ = known ? values_.data<V>()[*found] : *otherwise_.data<V>();
        }
      });
    });
  }

 private:
  Tensor keys_, values_, otherwise_;
  std::vector<std::size_t> order_;  ///< of the keys, ascending
};

/// A LabelEncoder or CategoryMapper: one table, or one for each direction where the type of X decides.
class LabelEncoder final : public Op, public Categorical {
 public:
  explicit LabelEncoder(std::vector<LookupTable> tables) : tables_(std::move(tables)) {}

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    return {{table_for(X.dtype).value_type(), X.dims}};
  }

  void run(const RunArgs& args) const override {
    const LookupTable& table = table_for(args.in(0).dtype);
    if (table.key_type() == args.in(0).dtype) return table.look_up(args.in(0), args.out(0));
    table.look_up(convert(args.in(0), table.key_type()), args.out(0));
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override { return elementwise_axes(args); }

  Tensor categories() const override {
    const auto found = std::ranges::find(tables_, DType::string, &LookupTable::key_type);
    return found != tables_.end() ? found->keys() : Tensor();
  }

 private:
  /// float keys also serve double elements, as `widened` graphs have them.
  const LookupTable& table_for(DType dtype) const {
    for (const LookupTable& table : tables_) {
      if (table.key_type() == dtype || (table.key_type() == DType::float32 && dtype == DType::float64))
        return table;
    }
    fail(ErrorCode::invalid_model, "X is {}, the keys are {}", name_of(dtype),
         name_of(tables_[0].key_type()));
  }

  std::vector<LookupTable> tables_;
};

/// The one list among prefix_tensor, prefix_strings, prefix_int64s, prefix_floats that the node has.
Tensor read_list(AttributeReader& node, const std::string& prefix) {
  std::vector<Tensor> lists;
  if (const auto strings = node.get_strings(prefix + "_strings")) lists.push_back(vector_of(*strings));
  if (const auto ints = node.get_ints(prefix + "_int64s")) lists.push_back(vector_of(*ints));
  if (const auto floats = node.get_floats(prefix + "_floats")) lists.push_back(vector_of(*floats));
  if (node.version() >= 4) {
    if (const auto tensor = node.get_tensor(prefix + "_tensor")) lists.push_back(*tensor);
  }
  if (lists.size() != 1) fail(ErrorCode::invalid_model, "{} lists of {}, expected one", lists.size(), prefix);
  return lists[0];
}

/// The default of that type; exporters also write those of other types, which mean nothing then.
Tensor read_default(AttributeReader& node, DType dtype) {
  const std::string text = node.get_string("default_string", "_Unused");
  const std::int64_t number = node.get_int("default_int64", -1);
  const double real = node.get_float("default_float", -0.0);
  if (node.version() >= 4) {
    if (const auto tensor = node.get_tensor("default_tensor")) return *tensor;
  }
  if (dtype == DType::string) return scalar_of(text);
  return is_floating(dtype) ? convert(scalar_of(real), dtype) : convert(scalar_of(number), dtype);
}

/// int64 to string and back, by pairs.
std::unique_ptr<const Op> make_both_ways(AttributeReader& node, const std::vector<std::int64_t>& numbers,
                                         const std::vector<std::string>& strings) {
  const Tensor n = vector_of(numbers);
  const Tensor s = vector_of(strings);
  std::vector<LookupTable> tables;
  tables.emplace_back(n, s, read_default(node, DType::string));
  tables.emplace_back(s, n, read_default(node, DType::int64));
  return std::make_unique<LabelEncoder>(std::move(tables));
}

class OneHotEncoder final : public Op, public Categorical {
 public:
  explicit OneHotEncoder(AttributeReader& node)
      : categories_(read_list(node, "cats")),
        zeros_(node.get_bool("zeros", true)),
        type_(node.result_type(DType::float32)),
        index_(categories_, positions(categories_.elements()), scalar_of(std::int64_t{-1})) {
    check_inputs(node, 1, 1);
    if (categories_.dtype() == DType::float32) fail(ErrorCode::invalid_model, "the categories are floats");
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    if ((X.dtype == DType::string) != (categories_.dtype() == DType::string))
      fail(ErrorCode::invalid_model, "X is {}, the categories are {}", name_of(X.dtype),
           name_of(categories_.dtype()));
    ValueType Y{type_, X.dims};
    if (Y.ranked()) Y.dims->emplace_back(categories_.elements());
    return {Y};
  }

  void run(const RunArgs& args) const override {
    const TensorView& X = args.in(0);
    TemporaryVector<std::int64_t> at(static_cast<std::size_t>(X.elements()));
    const MutableTensorView found{DType::int64, X.shape, at.data()};
    if (X.dtype == categories_.dtype()) {
      index_.look_up(X, found);
    } else {
      convert(X, found);
      index_.look_up(found, found);
    }
    const auto count = static_cast<std::size_t>(categories_.elements());
    TemporaryVector<double> y(static_cast<std::size_t>(X.elements()) * count, 0.0);
    for (std::size_t i = 0; i < at.size(); ++i) {
      const std::int64_t category = at[i];
      if (category >= 0)
        y[i * count + static_cast<std::size_t>(category)] = 1.0;
      else if (!zeros_)
        fail(ErrorCode::invalid_input, "element {} is none of the categories", i);
    }
    store(y, args.out(0));
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    if (!args.inputs[0].ranked()) return std::nullopt;
    return AxisMap::leading(args.inputs[0].rank(), args.inputs[0].rank() + 1);
  }

  Tensor categories() const override { return categories_; }

 private:
  static Tensor positions(std::int64_t count) {
    std::vector<std::int64_t> values(static_cast<std::size_t>(count));
    std::iota(values.begin(), values.end(), std::int64_t{0});
    return vector_of(values);
  }

  Tensor categories_;
  bool zeros_;
  DType type_;
  LookupTable index_;
};

/// A sequence of maps from label to probability in ONNX; here the probabilities themselves, column i
/// belonging to label i.
class ZipMap final : public Op, public Labelled {
 public:
  explicit ZipMap(AttributeReader& node) : labels_(read_list(node, "classlabels")) {
    check_inputs(node, 1, 1);
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    if (X.ranked() && X.rank() > 0 && X.dims->back().known() && X.dims->back().extent() != labels_.elements())
      fail(ErrorCode::invalid_model, "X is {}, there are {} labels", to_string(X), labels_.elements());
    return {{X.dtype, X.dims}};
  }

  void run(const RunArgs& args) const override {
    dispatch(TypeList<float, double>{}, args.in(0).dtype,
             [&]<class T>() { std::ranges::copy(args.in(0).span<T>(), args.out(0).data<T>()); });
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    if (!(args.inputs[0].ranked() && args.inputs[0].rank() > 1)) return std::nullopt;
    return AxisMap::leading(args.inputs[0].rank() - 1, args.inputs[0].rank());
  }

  const Tensor& labels() const override { return labels_; }

 private:
  Tensor labels_;
};

}  // namespace

std::unique_ptr<const Op> make_label_encoder(AttributeReader& node) {
  check_inputs(node, 1, 1);
  if (node.version() == 1) {
    const auto classes = node.get_strings("classes_strings").value_or(std::vector<std::string>{});
    std::vector<std::int64_t> indices(classes.size());
    std::iota(indices.begin(), indices.end(), std::int64_t{0});
    return make_both_ways(node, indices, classes);
  }
  Tensor keys = read_list(node, "keys");
  Tensor values = read_list(node, "values");
  Tensor otherwise = read_default(node, values.dtype());
  const DType type = node.result_type(DType::float32);
  if (values.dtype() == DType::float32 && otherwise.dtype() == DType::float32) {
    values = convert(values, type);
    otherwise = convert(otherwise, type);
  }
  std::vector<LookupTable> tables;
  tables.emplace_back(std::move(keys), std::move(values), std::move(otherwise));
  return std::make_unique<LabelEncoder>(std::move(tables));
}

std::unique_ptr<const Op> make_category_mapper(AttributeReader& node) {
  check_inputs(node, 1, 1);
  return make_both_ways(node, node.get_ints("cats_int64s").value_or(std::vector<std::int64_t>{}),
                        node.get_strings("cats_strings").value_or(std::vector<std::string>{}));
}

std::unique_ptr<const Op> make_one_hot_encoder(AttributeReader& node) {
  return std::make_unique<OneHotEncoder>(node);
}

std::unique_ptr<const Op> make_zip_map(AttributeReader& node) {
  return std::make_unique<ZipMap>(node);
}

}  // namespace bnrun
