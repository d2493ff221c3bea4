// The C interface: each function guards its pointers, calls the C++ one, and turns what is thrown into a status.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <exception>
#include <new>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/fail.h"
#include "bnrun/bnrun.h"
#include "bnrun/error.h"
#include "bnrun/fold.h"
#include "bnrun/session.h"
#include "bnrun/verify.h"
#include "bnrun/version.h"

using bnrun::DType;
using bnrun::Error;
using bnrun::ErrorCode;
using bnrun::fail;
using bnrun::MutableTensorView;
using bnrun::PortInfo;
using bnrun::Shape;
using bnrun::Tensor;
using bnrun::TensorView;

struct bnrun_pool {
  std::shared_ptr<bnrun::ThreadPool> threads;
};

struct bnrun_session {
  bnrun::Session session;
};

struct bnrun_results {
  std::vector<Tensor> tensors;
  std::vector<std::vector<const char*>> strings;  ///< of each tensor that holds some
};

namespace {

static_assert(BNRUN_MAX_RANK == Shape::kMaxRank);

thread_local std::string last_error;

/// What a progress callback of the caller asks for.
struct CancelledByCaller {};

bnrun_status status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_model:
      return BNRUN_INVALID_MODEL;
    case ErrorCode::unsupported:
      return BNRUN_UNSUPPORTED;
    case ErrorCode::invalid_input:
      return BNRUN_INVALID_INPUT;
    case ErrorCode::resource_limit:
      return BNRUN_RESOURCE_LIMIT;
    case ErrorCode::io:
      return BNRUN_IO;
    case ErrorCode::internal:
      break;
  }
  return BNRUN_INTERNAL;
}

bnrun_status failed(bnrun_status status, const char* message) noexcept {
  try {
    last_error = message;
  } catch (...) {
    last_error.clear();  // there is no memory for what went wrong
  }
  return status;
}

template <class Body>
bnrun_status guarded(Body&& body) noexcept {
  try {
    body();
    return BNRUN_OK;
  } catch (const CancelledByCaller&) {
    return failed(BNRUN_CANCELLED, "the run was cancelled by its progress callback");
  } catch (const Error& error) {
    return failed(status_of(error.code()), error.what());
  } catch (const std::bad_alloc&) {
    return failed(BNRUN_RESOURCE_LIMIT, "out of memory");
  } catch (const std::exception& error) {
    return failed(BNRUN_INTERNAL, error.what());
  } catch (...) {
    return failed(BNRUN_INTERNAL, "an exception of unknown type");
  }
}

/// Throws invalid_input for a null pointer.
void check(const void* pointer, const char* name) {
  if (pointer == nullptr) fail(ErrorCode::invalid_input, "'{}' is a null pointer", name);
}

/// Where the members behind `size` begin: a header that knows fewer of them ends at one of these.
constexpr std::size_t kSessionMembers[] = {
    offsetof(bnrun_session_options, threads),   offsetof(bnrun_session_options, fold),
    offsetof(bnrun_session_options, blas),      offsetof(bnrun_session_options, fast),
    offsetof(bnrun_session_options, pool),      offsetof(bnrun_session_options, skip),
    offsetof(bnrun_session_options, skip_count)};
constexpr std::size_t kRunMembers[] = {offsetof(bnrun_run_options, progress),
                                       offsetof(bnrun_run_options, context)};
constexpr std::size_t kVerifyMembers[] = {
    offsetof(bnrun_verify_options, rtol), offsetof(bnrun_verify_options, atol),
    offsetof(bnrun_verify_options, rows), offsetof(bnrun_verify_options, seed),
    offsetof(bnrun_verify_options, budget)};

/// The members that the caller knows over the defaults of all.
template <class Options>
Options read_options(const Options* given, Options defaults, std::span<const std::size_t> members) {
  if (given == nullptr) return defaults;
  if (given->size < sizeof defaults && std::ranges::find(members, given->size) == members.end())
    fail(ErrorCode::invalid_input, "options of size {}, at which no member ends: start from the _INIT value",
         given->size);
  std::memcpy(&defaults, given, std::min(given->size, sizeof defaults));
  return defaults;
}

std::vector<std::string> read_list(const char* const* texts, std::size_t count) {
  if (count != 0) check(texts, "skip");
  std::vector<std::string> list;
  for (std::size_t i = 0; i < count; ++i) {
    check(texts[i], "skip");
    list.emplace_back(texts[i]);
  }
  return list;
}

bnrun::SessionOptions read_options(const bnrun_session_options* given) {
  const bnrun_session_options options =
      read_options(given, bnrun_session_options BNRUN_SESSION_OPTIONS_INIT, kSessionMembers);
  bnrun::SessionOptions result{.threads = options.threads};
  if (options.fold == 0)
    result.fold.reset();
  else
    result.fold->skip = read_list(options.skip, options.skip_count);
  if (options.blas != 0 && options.fast != 0)
    fail(ErrorCode::invalid_input, "options 'blas' and 'fast' are both set: choose one");
  if (options.blas != 0) result.kernels = bnrun::Kernels::blas;
  if (options.fast != 0) result.kernels = bnrun::Kernels::fast;
  if (options.pool != nullptr) result.pool = options.pool->threads;
  return result;
}

bnrun::RunOptions read_options(const bnrun_run_options* given) {
  if (given == nullptr) return {};
  const bnrun_run_options options =
      read_options(given, bnrun_run_options BNRUN_RUN_OPTIONS_INIT, kRunMembers);
  if (options.progress == nullptr) return {};
  return {.progress = [progress = options.progress, context = options.context](double done) {
    if (progress(context, done) != 0) throw CancelledByCaller{};
  }};
}

Shape shape_of(const bnrun_tensor& tensor) {
  if (tensor.rank < 0 || tensor.rank > BNRUN_MAX_RANK)
    fail(ErrorCode::invalid_input, "a tensor of rank {} is given, the highest is {}", tensor.rank,
         int{BNRUN_MAX_RANK});
  return Shape(std::span(tensor.shape, static_cast<std::size_t>(tensor.rank)));
}

DType dtype_of(const bnrun_tensor& tensor) {
  if (tensor.dtype < 0 || tensor.dtype > BNRUN_BFLOAT16)
    fail(ErrorCode::invalid_input, "element type {} is none that a tensor has", tensor.dtype);
  return static_cast<DType>(tensor.dtype);
}

/// Throws invalid_input unless so many are given as the model has.
void check_count(std::size_t given, std::size_t wanted, const char* what) {
  if (given != wanted) fail(ErrorCode::invalid_input, "{} {} given, the model has {}", given, what, wanted);
}

/// Inputs as the engine takes them. Those of a few inputs lie in place, so that a run allocates nothing.
class Inputs {
 public:
  Inputs(const bnrun_session& session, const bnrun_tensor* given, std::size_t count, bool with_data) {
    check_count(count, session.session.inputs().size(), "inputs");
    if (count != 0) check(given, "inputs");
    if (count > kInPlace) more_.resize(count);
    views_ = {count > kInPlace ? more_.data() : few_, count};
    for (std::size_t i = 0; i < count; ++i) {
      const DType dtype = dtype_of(given[i]);
      if (dtype == DType::undefined) continue;
      views_[i] = {dtype, shape_of(given[i]), given[i].data};
      if (with_data && dtype == DType::string) views_[i] = read_strings(given[i], views_[i].shape);
    }
  }
  std::span<const TensorView> views() const { return views_; }

 private:
  static constexpr std::size_t kInPlace = 4;

  TensorView read_strings(const bnrun_tensor& given, const Shape& shape) {
    if (std::any_of(shape.begin(), shape.end(), [](std::int64_t extent) { return extent < 0; }))
      fail(ErrorCode::invalid_input, "a string tensor has shape {}", to_string(shape));
    Tensor tensor(DType::string, shape);
    const auto* texts = static_cast<const char* const*>(given.data);
    if (tensor.elements() != 0) check(texts, "data");
    for (std::string& text : tensor.mutable_span<std::string>()) {
      check(*texts, "a string");
      text = *texts++;
    }
    strings_.push_back(std::move(tensor));
    return strings_.back().view();
  }

  TensorView few_[kInPlace];
  std::vector<TensorView> more_;
  std::vector<Tensor> strings_;
  std::span<TensorView> views_;
};

void write_type(const bnrun::TensorType& type, bnrun_tensor& out) {
  out = {static_cast<std::int32_t>(type.dtype), static_cast<std::int32_t>(type.shape.rank()), {}, nullptr};
  std::copy(type.shape.begin(), type.shape.end(), out.shape);
}

const PortInfo& port_at(const std::vector<PortInfo>& ports, std::size_t index, const char* what) {
  if (index >= ports.size())
    fail(ErrorCode::invalid_input, "{} {} is asked for, the model has {}", what, index, ports.size());
  return ports[index];
}

void write_port(const PortInfo& port, bnrun_tensor& out) {
  out = {static_cast<std::int32_t>(port.dtype), -1, {}, nullptr};
  if (!port.dims || port.dims->size() > BNRUN_MAX_RANK) return;
  out.rank = static_cast<std::int32_t>(port.dims->size());
  std::ranges::transform(*port.dims, out.shape,
                         [](const bnrun::DimInfo& dim) { return dim.extent.value_or(-1); });
}

std::size_t find(const std::vector<PortInfo>& ports, const char* name, const char* what) {
  const auto found = std::ranges::find(ports, name, &PortInfo::name);
  if (found != ports.end()) return static_cast<std::size_t>(found - ports.begin());
  std::vector<std::string> names;
  for (const PortInfo& port : ports) names.push_back("'" + port.name + "'");
  fail(ErrorCode::invalid_input, "the model has no {} '{}', it has {}", what, name, fmt::join(names, ", "));
}

const char* name_at(const std::vector<PortInfo>& ports, std::size_t index) {
  return index < ports.size() ? ports[index].name.c_str() : nullptr;
}

bnrun_fold_counts counts_of(const bnrun::FoldReport& report) {
  const auto folded = std::ranges::count_if(report.entries, &bnrun::FoldEntry::folded);
  return {static_cast<std::size_t>(folded), report.entries.size() - static_cast<std::size_t>(folded)};
}

}  // namespace

const char* bnrun_version() {
  return BNRUN_VERSION;
}
int bnrun_abi_version() {
  return BNRUN_ABI_VERSION;
}
const char* bnrun_last_error() {
  return last_error.c_str();
}
const char* bnrun_status_name(bnrun_status status) {
  constexpr const char* kNames[] = {"ok", "invalid_model", "unsupported", "invalid_input", "resource_limit",
                                    "io", "internal",      "cancelled"};
  const auto index = static_cast<std::size_t>(status);
  return index < std::size(kNames) ? kNames[index] : "unknown";
}

bnrun_status bnrun_pool_new(int32_t threads, bnrun_pool** pool) {
  return guarded([&] {
    check(pool, "pool");
    *pool = nullptr;
    *pool = new bnrun_pool{bnrun::make_thread_pool(threads)};
  });
}
void bnrun_pool_close(bnrun_pool* pool) {
  delete pool;
}

bnrun_status bnrun_session_open(const char* path, const bnrun_session_options* options,
                                bnrun_session** session) {
  return guarded([&] {
    check(path, "path");
    check(session, "session");
    *session = nullptr;
    *session = new bnrun_session{bnrun::Session::load(path, read_options(options))};
  });
}
bnrun_status bnrun_session_parse(const void* bytes, size_t count, const bnrun_session_options* options,
                                 bnrun_session** session) {
  return guarded([&] {
    check(bytes, "bytes");
    check(session, "session");
    *session = nullptr;
    auto model = bnrun::Model::parse({static_cast<const std::byte*>(bytes), count});
    *session = new bnrun_session{bnrun::Session(std::move(model), read_options(options))};
  });
}
void bnrun_session_close(bnrun_session* session) {
  delete session;
}

size_t bnrun_session_input_count(const bnrun_session* session) {
  return session != nullptr ? session->session.inputs().size() : 0;
}
size_t bnrun_session_output_count(const bnrun_session* session) {
  return session != nullptr ? session->session.outputs().size() : 0;
}
const char* bnrun_session_input_name(const bnrun_session* session, size_t index) {
  return session != nullptr ? name_at(session->session.inputs(), index) : nullptr;
}
const char* bnrun_session_output_name(const bnrun_session* session, size_t index) {
  return session != nullptr ? name_at(session->session.outputs(), index) : nullptr;
}
size_t bnrun_session_class_count(const bnrun_session* session) {
  return session != nullptr ? session->session.class_names().size() : 0;
}
const char* bnrun_session_class_name(const bnrun_session* session, size_t index) {
  if (index >= bnrun_session_class_count(session)) return nullptr;
  return session->session.class_names()[index].c_str();
}
const char* bnrun_session_metadata(const bnrun_session* session, const char* key) {
  if (session == nullptr || key == nullptr) return nullptr;
  const bnrun::ModelMetadata& metadata = session->session.metadata();
  for (const auto& [name, text] : metadata.properties) {
    if (name == key) return text.c_str();
  }
  const std::pair<const char*, const std::string*> own[] = {{"producer_name", &metadata.producer_name},
                                                            {"graph_name", &metadata.graph_name},
                                                            {"doc_string", &metadata.doc_string},
                                                            {"domain", &metadata.domain}};
  for (const auto& [name, text] : own) {
    if (std::strcmp(name, key) == 0) return text->c_str();
  }
  return nullptr;
}

bnrun_status bnrun_session_input(const bnrun_session* session, size_t index, bnrun_tensor* declared) {
  return guarded([&] {
    check(session, "session");
    check(declared, "declared");
    write_port(port_at(session->session.inputs(), index, "input"), *declared);
  });
}
bnrun_status bnrun_session_output(const bnrun_session* session, size_t index, bnrun_tensor* declared) {
  return guarded([&] {
    check(session, "session");
    check(declared, "declared");
    write_port(port_at(session->session.outputs(), index, "output"), *declared);
  });
}
bnrun_status bnrun_session_find_input(const bnrun_session* session, const char* name, size_t* index) {
  return guarded([&] {
    check(session, "session");
    check(name, "name");
    check(index, "index");
    *index = find(session->session.inputs(), name, "input");
  });
}
bnrun_status bnrun_session_find_output(const bnrun_session* session, const char* name, size_t* index) {
  return guarded([&] {
    check(session, "session");
    check(name, "name");
    check(index, "index");
    *index = find(session->session.outputs(), name, "output");
  });
}
bnrun_status bnrun_session_fold_counts(const bnrun_session* session, bnrun_fold_counts* counts) {
  return guarded([&] {
    check(session, "session");
    check(counts, "counts");
    *counts = counts_of(session->session.fold_report());
  });
}

bnrun_status bnrun_session_output_types(const bnrun_session* session, const bnrun_tensor* inputs,
                                        size_t input_count, bnrun_tensor* outputs, size_t output_count) {
  return guarded([&] {
    check(session, "session");
    const auto types = session->session.output_types(Inputs(*session, inputs, input_count, false).views());
    check_count(output_count, types.size(), "outputs");
    check(outputs, "outputs");
    for (std::size_t i = 0; i < types.size(); ++i) write_type(types[i], outputs[i]);
  });
}

bnrun_status bnrun_session_run(const bnrun_session* session, const bnrun_tensor* inputs, size_t input_count,
                               const bnrun_tensor* outputs, size_t output_count,
                               const bnrun_run_options* options) {
  return guarded([&] {
    check(session, "session");
    check(outputs, "outputs");
    check_count(output_count, session->session.outputs().size(), "outputs");
    const Inputs in(*session, inputs, input_count, true);
    constexpr std::size_t kInPlace = 4;
    MutableTensorView few[kInPlace];
    std::vector<MutableTensorView> more(output_count > kInPlace ? output_count : 0);
    const std::span out(output_count > kInPlace ? more.data() : few, output_count);
    for (std::size_t i = 0; i < output_count; ++i) {
      if (outputs[i].dtype == BNRUN_STRING)
        fail(ErrorCode::invalid_input, "output {} holds strings: bnrun_session_run_new gives them", i);
      out[i] = {dtype_of(outputs[i]), shape_of(outputs[i]), outputs[i].data};
    }
    session->session.run(in.views(), out, read_options(options));
  });
}

bnrun_status bnrun_session_run_new(const bnrun_session* session, const bnrun_tensor* inputs,
                                   size_t input_count, const bnrun_run_options* options,
                                   bnrun_results** results) {
  return guarded([&] {
    check(session, "session");
    check(results, "results");
    *results = nullptr;
    const Inputs in(*session, inputs, input_count, true);
    auto made = std::make_unique<bnrun_results>();
    made->tensors = session->session.run(in.views(), read_options(options));
    for (const Tensor& tensor : made->tensors) {
      auto& texts = made->strings.emplace_back();
      if (tensor.dtype() != DType::string) continue;
      for (const std::string& text : tensor.span<std::string>()) texts.push_back(text.c_str());
    }
    *results = made.release();
  });
}
bnrun_status bnrun_results_get(const bnrun_results* results, size_t index, bnrun_tensor* output) {
  return guarded([&] {
    check(results, "results");
    check(output, "output");
    if (index >= results->tensors.size())
      fail(ErrorCode::invalid_input, "output {} is asked for, there are {}", index, results->tensors.size());
    const Tensor& tensor = results->tensors[index];
    write_type(tensor.type(), *output);
    // The caller reads; C has one type for both ways.
    const void* data = tensor.dtype() == DType::string ? results->strings[index].data() : tensor.view().bytes;
    output->data = const_cast<void*>(data);
  });
}
void bnrun_results_close(bnrun_results* results) {
  delete results;
}

bnrun_status bnrun_fold(const char* path, const char* target, const char* const* skip, size_t skip_count,
                        bnrun_fold_counts* counts) {
  return guarded([&] {
    check(path, "path");
    check(target, "target");
    bnrun::Model model = bnrun::Model::load(path);
    const auto report = bnrun::fold(model, {.skip = read_list(skip, skip_count)});
    model.save(target);
    if (counts != nullptr) *counts = counts_of(report);
  });
}

bnrun_status bnrun_verify(const char* path_a, const char* path_b, const bnrun_verify_options* options,
                          int* agree) {
  return guarded([&] {
    check(path_a, "path_a");
    check(path_b, "path_b");
    check(agree, "agree");
    const auto given = read_options(options, bnrun_verify_options BNRUN_VERIFY_OPTIONS_INIT, kVerifyMembers);
    bnrun::VerifyOptions verify_options{.seed = given.seed, .budget = given.budget};
    if (!(given.rtol < 0.0 && given.atol < 0.0))  // NaN included, which is refused
      verify_options.tolerance = {std::max(given.rtol, 0.0), std::max(given.atol, 0.0)};
    if (given.rows != 0) verify_options.rows = given.rows;
    const auto report = bnrun::verify(bnrun::Model::load(path_a), bnrun::Model::load(path_b), verify_options);
    if (report.verdict == bnrun::Verdict::not_compared) throw Error(report.cause, report.why);
    *agree = report.agree() ? 1 : 0;
    if (report.agree()) return;
    last_error = report.why;
    for (const auto& output : report.outputs) {
      if (last_error.empty() && !output.within)
        last_error = fmt::format("output '{}' differs by up to {:.3g}, {:.3g} times what is allowed",
                                 output.name, output.max_absolute, output.excess);
    }
    if (last_error.empty()) last_error = "no output had a finite element, so that nothing was compared";
  });
}
