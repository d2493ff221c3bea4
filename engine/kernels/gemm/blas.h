// Matrix products through OpenBLAS: row-major, every matrix named.
#pragma once

#include <cstdint>
#include <string>

namespace bnrun {

enum class Transpose { no, yes };

/// C[M,N] = alpha * op(A)[M,K] * op(B)[K,N] + beta * C[M,N]; lda, ldb, ldc are the row strides as stored.
/// With beta = 0 C is not read. K = 0 gives beta * C. Single-threaded; may be called from several threads at
/// once. Throws unsupported where OpenBLAS cannot be loaded, and resource_limit where a limit on addresses leaves no room for
/// the 128 MiB that it maps for each thread.
template <class T>
void blas_gemm(Transpose trans_a, Transpose trans_b, std::int64_t M, std::int64_t N, std::int64_t K, T alpha,
               const T* A, std::int64_t lda, const T* B, std::int64_t ldb, T beta, T* C, std::int64_t ldc);

extern template void blas_gemm(Transpose, Transpose, std::int64_t, std::int64_t, std::int64_t, float,
                               const float*, std::int64_t, const float*, std::int64_t, float, float*,
                               std::int64_t);
extern template void blas_gemm(Transpose, Transpose, std::int64_t, std::int64_t, std::int64_t, double,
                               const double*, std::int64_t, const double*, std::int64_t, double, double*,
                               std::int64_t);

/// In a build without OpenBLAS the functions above are plain loops, and this says so.
/// "OpenBLAS 0.3.21" and how it was built.
std::string blas_name();

}  // namespace bnrun
