#include "train/stack.h"

#include <algorithm>

#include "base/fail.h"
#include "train/layers/folded_linear.h"
#include "train/layers/shapes.h"
#include "train/parts.h"

namespace bnrun::train {
namespace {

/// The stage behind which a layer's output stands; -1 for the features.
template <class T>
std::int64_t stage_behind(const std::vector<Stage<T>>& stages, std::int64_t layer) {
  const auto found = std::find_if(stages.begin(), stages.end(), [=](const Stage<T>& stage) {
    return static_cast<std::int64_t>(stage.last) == layer;
  });
  return layer < 0 ? -1 : found - stages.begin();
}

/// How many parts the rows of a layer are cut into: 1 unless each is a matter of its own.
template <class T>
std::int64_t parts_of_rows(const Layer<T>& layer, std::int64_t rows) {
  constexpr std::int64_t kCost = 16;  // of an element
  return layer.by_rows() ? parts_of(rows, rows * layer.inputs() * kCost) : 1;
}

}  // namespace

template <class T>
Stack<T>::Stack(const Shape& input, std::vector<LayerSpec> specs)
    : specs_(std::move(specs)), shapes_{input}, objective_(Loss::mean_squared_error) {
  check_specs();
  widest_ = input.elements();
  std::int64_t trainable = 0;
  for (const LayerSpec& spec : specs_) {
    if (const auto* shortcut = std::get_if<Shortcut>(&spec)) check_shortcut(*shortcut);
    const Shape behind = shape_behind(spec, shapes_.back());
    layers_.push_back(make_layer<T>(spec, shapes_.back()));
    shapes_.push_back(behind);
    widest_ = std::max(widest_, outputs());
    trainable += layers_.back()->trainable();
  }
  if (is_image(shapes_.back()))
    fail(ErrorCode::invalid_input,
         "a network that puts out images of {}: a flatten layer or a global average makes rows of them",
         text_of(shapes_.back()));
  weights_.resize(static_cast<std::size_t>(trainable));
  gradients_.resize(weights_.size());
  std::size_t first = 0;
  for (const auto& layer : layers_) {
    layer->bind(weights_.data() + first, gradients_.data() + first);
    if (layer->kernel_elements() > 0) kernels_.emplace_back(first, count_of(layer->kernel_elements()));
    first += count_of(layer->trainable());
  }
  const auto* last = std::get_if<Activation>(&specs_.back());
  if (last != nullptr && *last == Activation::softmax) objective_ = Objective(Loss::cross_entropy);
  make_folded();
  arrange();
}

template <class T>
void Stack<T>::check_specs() const {
  const Shape& input = shapes_[0];
  constexpr std::int64_t kWidest = std::int64_t{1} << 32;
  if ((input.rank() != 1 && !is_image(input)) ||
      std::ranges::any_of(input, [](std::int64_t extent) { return extent < 1 || extent > kWidest; }))
    fail(ErrorCode::invalid_input, "a network of {} inputs", text_of(input));
  for (std::size_t i = 1; i < specs_.size(); ++i) {
    if (std::holds_alternative<Embedding>(specs_[i]))
      fail(ErrorCode::invalid_input, "an embedding behind other layers: it reads the features");
  }
  const auto multiplies = [](const LayerSpec& spec) {
    return std::holds_alternative<Dense>(spec) || std::holds_alternative<Conv2D>(spec);
  };
  if (std::none_of(specs_.begin(), specs_.end(), multiplies))
    fail(ErrorCode::invalid_input, "a network needs at least one dense layer or convolution");
}

/// That the layer which comes next may add what stands that far back.
template <class T>
void Stack<T>::check_shortcut(const Shortcut& shortcut) const {
  const auto back = static_cast<std::size_t>(shortcut.layers);
  if (shortcut.layers < 1 || back >= shapes_.size())
    fail(ErrorCode::invalid_input, "a shortcut over {} layers behind {}", shortcut.layers,
         shapes_.size() - 1);
  const Shape& from = shapes_[shapes_.size() - 1 - back];
  if (from != shapes_.back())
    fail(ErrorCode::invalid_input,
         "a shortcut adds {} values to {}: the layers of a residual block end in as many units as they "
         "receive",
         text_of(from), text_of(shapes_.back()));
}

/// Whether some Shortcut adds what goes into layer `value`.
template <class T>
bool Stack<T>::value_is_added(std::size_t value) const {
  for (std::size_t i = 0; i < specs_.size(); ++i) {
    const auto* shortcut = std::get_if<Shortcut>(&specs_[i]);
    if (shortcut != nullptr && i - static_cast<std::size_t>(shortcut->layers) == value) return true;
  }
  return false;
}

/// The normalisation right behind layer i that may be folded into it; null where there is none.
template <class T>
BatchNormalizationLayer<T>* Stack<T>::folds_into(std::size_t i) const {
  if (i + 1 == layers_.size() || value_is_added(i + 1)) return nullptr;
  return dynamic_cast<BatchNormalizationLayer<T>*>(layers_[i + 1].get());
}

template <class T>
void Stack<T>::make_folded() {
  folded_.clear();
  folded_.resize(layers_.size());
  const bool quantised = folding_ == Folding::int8;
  for (std::size_t i = 0; i < layers_.size() && folding_ != Folding::none; ++i) {
    auto* linear = dynamic_cast<LinearLayer<T>*>(layers_[i].get());
    if (linear == nullptr) continue;
    auto* behind = folds_into(i);
    if (behind != nullptr || quantised)
      folded_[i] = std::make_unique<FoldedLinearLayer<T>>(*linear, behind, quantised);
  }
}

template <class T>
void Stack<T>::arrange() {
  stages_.clear();
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    if (folded_[i] == nullptr || (folding_ == Folding::int8 && !rounds_)) {
      stages_.push_back({layers_[i].get(), i});
      continue;
    }
    Layer<T>* const layer = folded_[i].get();
    if (folds_into(i) != nullptr) ++i;
    stages_.push_back({layer, i});
  }
  outputs_.assign(stages_.size(), {});
  sums_.assign(stages_.size(), {});
  waiting_.assign(stages_.size(), {});
  reserved_rows_ = 0;
}

template <class T>
std::optional<std::int64_t> Stack<T>::added_to(std::size_t s) const {
  const auto* shortcut = std::get_if<Shortcut>(&specs_[stages_[s].last]);
  if (shortcut == nullptr) return std::nullopt;
  return stage_behind(stages_, static_cast<std::int64_t>(stages_[s].last) - shortcut->layers - 1);
}

template <class T>
std::vector<double> Stack<T>::statistics() const {
  std::vector<double> all;
  const auto append = [&all](Layer<T>& layer) {
    const auto part = layer.statistics();
    all.insert(all.end(), part.begin(), part.end());
  };
  for (const auto& layer : layers_) append(*layer);
  for (const auto& layer : folded_)
    if (layer) append(*layer);
  return all;
}

template <class T>
void Stack<T>::set_statistics(std::span<const double> values) {
  const auto take = [&values](Layer<T>& layer) {
    const auto part = layer.statistics();
    if (part.size() > values.size())
      fail(ErrorCode::invalid_input, "too few running statistics for these layers");
    std::copy_n(values.begin(), part.size(), part.begin());
    values = values.subspan(part.size());
  };
  for (const auto& layer : layers_) take(*layer);
  for (const auto& layer : folded_)
    if (layer) take(*layer);
  if (!values.empty())
    fail(ErrorCode::invalid_input, "{} more running statistics than these layers have", values.size());
}

template <class T>
void Stack<T>::set_folding(Folding folding) {
  folding_ = folding;
  rounds_ = true;
  make_folded();
  arrange();
}

template <class T>
void Stack<T>::freeze_statistics(bool frozen) {
  for (const auto& layer : layers_) layer->freeze_statistics(frozen);
  for (const auto& layer : folded_)
    if (layer) layer->freeze_statistics(frozen);
}

template <class T>
void Stack<T>::use(ThreadPool* pool) {
  pool_ = pool;
  for (const auto& layer : layers_) layer->use(pool);
}

template <class T>
void Stack<T>::round_in_training(bool on) {
  if (folding_ != Folding::int8 || rounds_ == on) return;
  rounds_ = on;
  arrange();
}

template <class T>
void Stack<T>::initialize(Random& random) {
  for (const auto& layer : layers_) layer->initialize(random);
}

template <class T>
void Stack<T>::begin(const Step& step) {
  std::uint64_t number = 0;  // so that no two layers draw alike
  for (const auto& layer : layers_) layer->begin({step.seed + 0x9e3779b97f4a7c15 * number++, step.number});
}

template <class T>
void Stack<T>::reserve(std::int64_t rows) {
  if (rows <= reserved_rows_) return;
  reserved_rows_ = rows;
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    const auto size_of = [&](std::size_t stage) { return count_of(rows * stages_[stage].layer->outputs()); };
    outputs_[s].resize(size_of(s));
    const auto added = added_to(s);
    if (!added) continue;
    sums_[s].resize(size_of(s));
    if (*added >= 0) waiting_[count_of(*added)].resize(size_of(count_of(*added)));
  }
  upper_.resize(static_cast<std::size_t>(rows * widest_));
  lower_.resize(upper_.size());
}

/// What stage s received, after `forward`.
template <class T>
const T* Stack<T>::input_of(std::size_t s, const Batch<T>& batch) const {
  if (!sums_[s].empty()) return sums_[s].data();
  return s == 0 ? batch.features : outputs_[s - 1].data();
}

template <class T>
double Stack<T>::forward(const Batch<T>& batch) {
  reserve(batch.rows);
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    Layer<T>& layer = *stages_[s].layer;
    if (const auto added = added_to(s)) {
      const T* below = s == 0 ? batch.features : outputs_[s - 1].data();
      const T* other = *added < 0 ? batch.features : outputs_[count_of(*added)].data();
      std::transform(below, below + batch.rows * layer.inputs(), other, sums_[s].data(), std::plus<T>{});
    }
    const T* const x = input_of(s, batch);
    each_part(pool_, batch.rows, parts_of_rows(layer, batch.rows),
              [&](std::int64_t /*part*/, std::int64_t first, std::int64_t count, int /*worker*/) {
                layer.forward(count, x + first * layer.inputs(),
                              outputs_[s].data() + first * layer.outputs());
              });
  }
  return objective_(batch, outputs(), input_of(stages_.size() - 1, batch), outputs_.back().data(),
                    upper_.data());
}

template <class T>
void Stack<T>::backward(const Batch<T>& batch) {
  for (auto& gradient : waiting_) std::fill(gradient.begin(), gradient.end(), T(0));
  std::size_t s = stages_.size();
  if (objective_.takes_logits()) --s;  // upper_ is already the gradient below the last stage
  while (s-- > 0) {
    Layer<T>& layer = *stages_[s].layer;
    const std::int64_t width = batch.rows * layer.outputs();
    if (!waiting_[s].empty())
      std::transform(upper_.data(), upper_.data() + width, waiting_[s].data(), upper_.data(), std::plus<T>{});
    const auto added = added_to(s);
    if (added && *added >= 0) {
      T* const other = waiting_[count_of(*added)].data();
      std::transform(other, other + width, upper_.data(), other, std::plus<T>{});
    }
    const T* const x = input_of(s, batch);
    each_part(pool_, batch.rows, parts_of_rows(layer, batch.rows),
              [&](std::int64_t /*part*/, std::int64_t first, std::int64_t count, int /*worker*/) {
                const std::int64_t below = first * layer.inputs();
                const std::int64_t above = first * layer.outputs();
                layer.backward(count, x + below, outputs_[s].data() + above, upper_.data() + above,
                               s == 0 ? nullptr : lower_.data() + below);
              });
    std::swap(upper_, lower_);
  }
}

template <class T>
std::span<const T> Stack<T>::output(const Batch<T>& batch) const {
  return {outputs_.back().data(), static_cast<std::size_t>(batch.rows * outputs())};
}

template <class T>
void Stack<T>::infer(std::int64_t rows, const T* x, T* y, const Visit& visit) const {
  constexpr std::int64_t kNumbersAtOnce = std::int64_t{1} << 22;
  const std::int64_t at_once = std::clamp<std::int64_t>(kNumbersAtOnce / widest_, 1, 256);
  const std::int64_t most = std::min(rows, at_once);
  std::vector<T> from(static_cast<std::size_t>(most * widest_));
  std::vector<T> to(from.size());
  std::vector<std::vector<T>> kept(stages_.size());
  for (std::int64_t first = 0; first < rows; first += at_once) {
    const std::int64_t count = std::min(at_once, rows - first);
    const T* const features = x + first * inputs();
    std::copy_n(features, count * inputs(), from.begin());
    for (std::size_t s = 0; s < stages_.size(); ++s) {
      const Layer<T>& layer = *stages_[s].layer;
      if (const auto added = added_to(s)) {
        const T* const other = *added < 0 ? features : kept[count_of(*added)].data();
        std::transform(from.data(), from.data() + count * layer.inputs(), other, from.data(), std::plus<T>{});
      }
      layer.infer(count, from.data(), to.data());
      std::swap(from, to);
      const auto values = std::span<const T>(from).first(count_of(count * layer.outputs()));
      if (value_is_added(stages_[s].last + 1)) kept[s].assign(values.begin(), values.end());
      if (visit) visit(s, count, values);
    }
    std::copy_n(from.begin(), count * outputs(), y + first * outputs());
  }
}

template class Stack<float>;
template class Stack<double>;

}  // namespace bnrun::train
