#include "kernels/gemm/blas.h"

#include <cblas.h>
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <thread>
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

/// OpenBLAS maps a buffer for each product that runs at a time and for each of its threads, keeps it for later ones, and
/// tries again for ever where it cannot. (BUFFER_SIZE of common_x86_64.h in its version 0.3.21; other processors have
/// smaller ones.)
constexpr std::size_t kBufferBytes = std::size_t{128} << 20;

/// Whether there is a limit on addresses (ulimit -v), without which a mapping fails only where the system grants no more
/// than there is (vm.overcommit_memory=2).
bool addresses_are_limited() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

/// Throws resource_limit where so much cannot be mapped now.
void check_room(std::size_t bytes) {
  void* const room = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED)
    throw Error(ErrorCode::resource_limit,
                "out of memory: OpenBLAS, which multiplies the matrices, maps 128 MiB of addresses for each "
                "processor and finds no room for that; a higher limit (ulimit -v) helps");
  ::munmap(room, bytes);
}

Blas load() {
  constexpr const char* kLibrary = "libopenblas.so.0";
  constexpr std::size_t kLibraryBytes = std::size_t{48} << 20;
  constexpr std::size_t kStackBytes = std::size_t{16} << 20;
  constexpr unsigned kMostThreads = 64;  // of Debian's build
  const bool shared = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD) != nullptr;
  // Its threads, one fewer than there are processors, map theirs as they start, beside their stacks.
  if (!shared && addresses_are_limited())
    check_room(kLibraryBytes +
               static_cast<std::size_t>(std::min(std::thread::hardware_concurrency(), kMostThreads)) *
                   (kBufferBytes + kStackBytes));
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

/// Runs products under a limit on addresses: one that needs a buffer more than have run at a time runs alone among those,
/// and only where there is room.
class Limited {
 public:
  template <class Product>
  static void run(const Product& product) {
    const Counted position;
    if (position.users > most_) {
      const std::lock_guard lock(mutex_);
      if (position.users > most_) {
        check_room(kBufferBytes);
        product();
        most_ = position.users;
        return;
      }
    }
    product();
  }

 private:
  struct Counted {
    Counted() : users(++users_) {}
    ~Counted() { --users_; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    int users;
  };

  static inline std::mutex mutex_;
  static inline std::atomic<int> users_ = 0;
  static inline std::atomic<int> most_ = 0;
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
    const auto product = [&] {
      gemm(CblasRowMajor, flag(trans_a), flag(trans_b), narrow(M), narrow(N), narrow(K), alpha, A,
           narrow(lda), B, narrow(ldb), beta, C, narrow(ldc));
    };
    static const bool limited = addresses_are_limited();
    limited ? Limited::run(product) : product();
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
