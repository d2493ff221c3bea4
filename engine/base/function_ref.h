// A callable that lives elsewhere, for the time of a call.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace bnrun {

template <class Signature>
class FunctionRef;

/// Unlike std::function it never allocates. Valid while what it was made from is.
template <class R, class... Args>
class FunctionRef<R(Args...)> {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef> && std::is_invocable_r_v<R, F&, Args...>)
      FunctionRef(F&& f)
      : called_(const_cast<void*>(static_cast<const void*>(std::addressof(f)))),
        call_([](void* called, Args... args) -> R {
          return (*static_cast<std::remove_reference_t<F>*>(called))(std::forward<Args>(args)...);
        }) {}

  R operator()(Args... args) const { return call_(called_, std::forward<Args>(args)...); }

 private:
  void* called_;
  R (*call_)(void*, Args...);
};

}  // namespace bnrun
