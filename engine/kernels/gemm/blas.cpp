#include "kernels/gemm/blas.h"

#include <cblas.h>
#include <dlfcn.h>

#include <algorithm>
#include <limits>
#include <mutex>
#include <type_traits>

#include "bnrun/error.h"
#include "bnrun/machine.h"

namespace bnrun {
namespace {

/// What is called of OpenBLAS.
struct Blas {
  decltype(&cblas_sgemm) sgemm;
  decltype(&cblas_dgemm) dgemm;
  decltype(&openblas_get_num_threads) threads;
  decltype(&openblas_set_num_threads) set_threads;
  decltype(&openblas_get_config) config;
  decltype(&openblas_get_corename) corename;
  bool shared;  ///< with the program around the engine, numpy say, which may count on its threads
};

/// The function as its header declares it.
template <class Function>
Function find(void* library, const char* name) {
  void* const found = ::dlsym(library, name);
  if (found == nullptr) throw Error(ErrorCode::unsupported, std::string("OpenBLAS lacks ") + name);
  return reinterpret_cast<Function>(found);
}

Blas load() {
  constexpr const char* kLibrary = "libopenblas.so.0";
  const bool shared = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD) != nullptr;
  void* const library = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw Error(ErrorCode::unsupported,
                std::string("a matrix product needs OpenBLAS, which cannot be loaded: ") + ::dlerror());
  }
  return {find<decltype(&cblas_sgemm)>(library, "cblas_sgemm"),
          find<decltype(&cblas_dgemm)>(library, "cblas_dgemm"),
          find<decltype(&openblas_get_num_threads)>(library, "openblas_get_num_threads"),
          find<decltype(&openblas_set_num_threads)>(library, "openblas_set_num_threads"),
          find<decltype(&openblas_get_config)>(library, "openblas_get_config"),
          find<decltype(&openblas_get_corename)>(library, "openblas_get_corename"),
          shared};
}

/// Loaded when it is first called: its 14,000 relocations and its threads are most of what starting a program takes
/// that needs none of them.
const Blas& blas() {
  static const Blas loaded = [] {
    const Blas library = load();
    // The engine's own threads take the rows, so OpenBLAS's stay out of the way.
    if (!library.shared) library.set_threads(1);
    return library;
  }();
  return loaded;
}

/// One thread for OpenBLAS while products of the engine run, and then as many as the program around it had.
class OneThread {
 public:
  OneThread() {
    if (!blas().shared) return;
    const std::lock_guard lock(mutex_);
    if (users_++ > 0) return;
    before_ = blas().threads();
    blas().set_threads(1);
  }
  ~OneThread() {
    if (!blas().shared) return;
    const std::lock_guard lock(mutex_);
    if (--users_ == 0) blas().set_threads(before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  static inline std::mutex mutex_;
  static inline int users_ = 0;
  static inline int before_ = 1;
};

/// OpenBLAS counts in int.
blasint narrow(std::int64_t extent) {
  if (extent > std::numeric_limits<blasint>::max()) {
    throw Error(ErrorCode::resource_limit, "a matrix dimension exceeds what BLAS can count (2^31)");
  }
  return static_cast<blasint>(extent);
}

CBLAS_TRANSPOSE flag(Transpose transpose) {
  return transpose == Transpose::yes ? CblasTrans : CblasNoTrans;
}

}  // namespace

template <class T>
void blas_gemm(Transpose trans_a, Transpose trans_b, std::int64_t M, std::int64_t N, std::int64_t K, T alpha,
               const T* A, std::int64_t lda, const T* B, std::int64_t ldb, T beta, T* C, std::int64_t ldc) {
  if (M == 0 || N == 0) return;
  if (K == 0) {
    for (std::int64_t m = 0; m < M; ++m) {
      for (std::int64_t n = 0; n < N; ++n) C[m * ldc + n] = beta == T(0) ? T(0) : beta * C[m * ldc + n];
    }
    return;
  }
  const OneThread one_thread;
  const auto call = [&](auto gemm) {
    gemm(CblasRowMajor, flag(trans_a), flag(trans_b), narrow(M), narrow(N), narrow(K), alpha, A, narrow(lda),
         B, narrow(ldb), beta, C, narrow(ldc));
  };
  if constexpr (std::is_same_v<T, float>)
    call(blas().sgemm);
  else
    call(blas().dgemm);
}

std::string blas_name() {
  return blas().config();
}
std::string blas_kernels() {
  return blas().corename();
}

template void blas_gemm(Transpose, Transpose, std::int64_t, std::int64_t, std::int64_t, float, const float*,
                        std::int64_t, const float*, std::int64_t, float, float*, std::int64_t);
template void blas_gemm(Transpose, Transpose, std::int64_t, std::int64_t, std::int64_t, double, const double*,
                        std::int64_t, const double*, std::int64_t, double, double*, std::int64_t);

}  // namespace bnrun
