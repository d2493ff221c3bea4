// What stands in for OpenBLAS in a build without it: for small products of two variable matrices. Products with constant
// weights have kernels of their own.
#include <string>

#include "bnrun/machine.h"
#include "kernels/gemm/blas.h"

namespace bnrun {

template <class T>
void blas_gemm(Transpose trans_a, Transpose trans_b, std::int64_t M, std::int64_t N, std::int64_t K, T alpha,
               const T* A, std::int64_t lda, const T* B, std::int64_t ldb, T beta, T* C, std::int64_t ldc) {
  const std::int64_t a_row = trans_a == Transpose::yes ? 1 : lda;
  const std::int64_t a_column = trans_a == Transpose::yes ? lda : 1;
  for (std::int64_t m = 0; m < M; ++m) {
    T* c = C + m * ldc;
    for (std::int64_t n = 0; n < N; ++n) c[n] = beta == T(0) ? T(0) : beta * c[n];
    if (trans_b == Transpose::yes) {
      for (std::int64_t n = 0; n < N; ++n) {
        T sum = 0;
        for (std::int64_t k = 0; k < K; ++k) sum += A[m * a_row + k * a_column] * B[n * ldb + k];
        c[n] += alpha * sum;
      }
    } else {
      for (std::int64_t k = 0; k < K; ++k) {
        const T a = alpha * A[m * a_row + k * a_column];
        for (std::int64_t n = 0; n < N; ++n) c[n] += a * B[k * ldb + n];
      }
    }
  }
}

std::string blas_name() {
  return "no BLAS";
}
std::string blas_kernels() {
  return "none";
}

template void blas_gemm(Transpose, Transpose, std::int64_t, std::int64_t, std::int64_t, float, const float*,
                        std::int64_t, const float*, std::int64_t, float, float*, std::int64_t);
template void blas_gemm(Transpose, Transpose, std::int64_t, std::int64_t, std::int64_t, double, const double*,
                        std::int64_t, const double*, std::int64_t, double, double*, std::int64_t);

}  // namespace bnrun
