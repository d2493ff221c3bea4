#include "kernels/gemm/blas.h"

#include <cblas.h>
#include <dlfcn.h>

#include <algorithm>
#include <limits>
#include <type_traits>

#include "bnrun/error.h"
#include "bnrun/machine.h"

namespace bnrun {
namespace {

/// What is called of OpenBLAS.
struct Blas {
  decltype(&cblas_sgemm) sgemm;
  decltype(&cblas_dgemm) dgemm;
  decltype(&openblas_get_config) config;
  decltype(&openblas_get_corename) corename;
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
  void* const library = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw Error(ErrorCode::unsupported,
                std::string("a matrix product needs OpenBLAS, which cannot be loaded: ") + ::dlerror());
  }
  // OpenBLAS counts in int; the engine's own threads take the rows, so its thread pool stays out of the way.
  find<decltype(&openblas_set_num_threads)>(library, "openblas_set_num_threads")(1);
  return {find<decltype(&cblas_sgemm)>(library, "cblas_sgemm"),
          find<decltype(&cblas_dgemm)>(library, "cblas_dgemm"),
          find<decltype(&openblas_get_config)>(library, "openblas_get_config"),
          find<decltype(&openblas_get_corename)>(library, "openblas_get_corename")};
}

/// Loaded when it is first called: its 14,000 relocations and its threads are most of what starting a program takes
/// that needs none of them.
const Blas& blas() {
  static const Blas loaded = load();
  return loaded;
}

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
