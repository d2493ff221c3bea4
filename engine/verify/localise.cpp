#include "verify/localise.h"

#include <map>
#include <string>

#include "verify/compare.h"
#include "verify/interpret.h"
#include "verify/judge.h"

namespace bnrun {
namespace {

/// A value of A, what it should be, and how far it may lie from that.
struct Known {
  Tensor own;
  Tensor truth;
  Judge judge;
};

std::int64_t channel_of(const Shape& shape, std::int64_t element) {
  if (shape.rank() < 2 || element < 0) return -1;
  return element / shape.elements(2, shape.rank()) % shape[1];
}

}  // namespace

std::vector<Tensor> widen(const std::vector<Tensor>& tensors) {
  std::vector<Tensor> wide;
  for (const Tensor& tensor : tensors)
    wide.push_back(tensor.defined() && is_floating(tensor.dtype()) ? convert(tensor, DType::float64)
                                                                   : tensor);
  return wide;
}

std::vector<TensorView> views_of(const std::vector<Tensor>& tensors) {
  return {tensors.begin(), tensors.end()};
}

std::optional<Divergence> first_divergence(const Models& models, const std::vector<Tensor>& inputs_a,
                                           const std::vector<Tensor>& inputs_b,
                                           const std::optional<Tolerance>& tolerance) {
  std::map<std::string, Known> values;
  interpret(models.a, views_of(inputs_a), [&](ValueId id, const Tensor& value) {
    values.emplace(models.a.value(id).name, Known{value, {}, Judge(value.dtype())});
  });
  const auto wide_inputs = widen(inputs_a);
  const auto known = [&](const Graph& graph, ValueId id) -> Known* {
    const auto found = values.find(graph.value(id).name);
    return found != values.end() && is_numeric(found->second.own.dtype()) ? &found->second : nullptr;
  };
  interpret(models.wide_a, views_of(wide_inputs), [&](ValueId id, const Tensor& value) {
    Known* own = known(models.wide_a, id);
    if (own == nullptr || !(own->own.shape() == value.shape())) return;
    own->truth = value;
    own->judge.add_own(0, value, own->own);
  });
  for (const OtherConstants& moved : models.moved) {
    const auto add = [&](ValueId id, const Tensor& value) {
      Known* own = known(models.wide_a, id);
      if (own != nullptr && own->truth.defined()) own->judge.add_moved(0, own->truth, value);
    };
    interpret(models.wide_a, views_of(wide_inputs), add, {}, moved);
  }
  std::optional<Divergence> first;
  interpret(models.b, views_of(inputs_b), [&](ValueId id, const Tensor& value) {
    Known* own = first ? nullptr : known(models.b, id);
    if (own == nullptr || !own->truth.defined() || !(own->own.shape() == value.shape()) ||
        own->own.dtype() != value.dtype())
      return;
    const Excess apart = largest_excess(own->own, value, tolerance.value_or(Tolerance{0.0, 1.0}));
    if (!tolerance) own->judge.add_other(0, own->truth, own->own, value);
    if ((tolerance ? apart.ratio : own->judge.excess()) <= 1.0) return;
    const NodeId producer = models.b.value(id).producer;
    first = Divergence{models.b.value(id).name, producer.valid() ? describe(models.b, producer) : "",
                       apart.absolute, channel_of(value.shape(), apart.element)};
  });
  return first;
}

}  // namespace bnrun
