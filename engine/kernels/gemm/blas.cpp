#include "kernels/gemm/blas.h"

#include <cblas.h>

#include <algorithm>
#include <limits>
#include <type_traits>

#include "bnrun/error.h"
#include "bnrun/machine.h"

namespace bnrun {
namespace {

/// OpenBLAS counts in int; the engine's own threads take the rows, so its thread pool stays out of the way.
void use_one_blas_thread() {
  static const bool done = [] {
    openblas_set_num_threads(1);
    return true;
  }();
  static_cast<void>(done);
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
  use_one_blas_thread();
  const auto call = [&](auto gemm) {
    gemm(CblasRowMajor, flag(trans_a), flag(trans_b), narrow(M), narrow(N), narrow(K), alpha, A, narrow(lda),
         B, narrow(ldb), beta, C, narrow(ldc));
  };
  if constexpr (std::is_same_v<T, float>)
    call(cblas_sgemm);
  else
    call(cblas_dgemm);
}

std::string blas_name() {
  return openblas_get_config();
}
std::string blas_kernels() {
  return openblas_get_corename();
}

template void blas_gemm(Transpose, Transpose, std::int64_t, std::int64_t, std::int64_t, float, const float*,
                        std::int64_t, const float*, std::int64_t, float, float*, std::int64_t);
template void blas_gemm(Transpose, Transpose, std::int64_t, std::int64_t, std::int64_t, double, const double*,
                        std::int64_t, const double*, std::int64_t, double, double*, std::int64_t);

}  // namespace bnrun
