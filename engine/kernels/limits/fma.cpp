#include "kernels/limits/fma.h"

#include <cstdint>

namespace bnrun {
namespace {

// Written in assembly: a compiler would merge chains that compute the same, and the figure would lie. Twelve chains
// cover four cycles of latency on three units. Zeros stay zeros, so that no denormal slows a processor down.
[[maybe_unused]] constexpr std::int64_t kRounds = 20000;
[[maybe_unused]] constexpr int kChains = 12;

#if defined(__x86_64__)

#define BNRUN_FMA_CLEAR(reg) "vxorps %%xmm" #reg ", %%xmm" #reg ", %%xmm" #reg "\n"
#define BNRUN_FMA_ALL(one) \
  one(0) one(1) one(2) one(3) one(4) one(5) one(6) one(7) one(8) one(9) one(10) one(11)
#define BNRUN_FMA_CLOBBERS                                                                                \
  "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", \
      "xmm12", "xmm13"
#define BNRUN_FMA_LOOP(clear, one) \
  std::int64_t rounds = kRounds;   \
  asm volatile(BNRUN_FMA_ALL(clear) clear(12) clear(13) "1:\n" BNRUN_FMA_ALL(one)         \
               "dec %0\n"                                                                 \
               "jnz 1b\n"                                                                 \
               : "+r"(rounds)                                                             \
               :                                                                          \
               : BNRUN_FMA_CLOBBERS)

#define BNRUN_FMA_ZMM(reg) "vfmadd231ps %%zmm12, %%zmm13, %%zmm" #reg "\n"
#define BNRUN_FMA_YMM(reg) "vfmadd231ps %%ymm12, %%ymm13, %%ymm" #reg "\n"

void run_avx512() {
  BNRUN_FMA_LOOP(BNRUN_FMA_CLEAR, BNRUN_FMA_ZMM);
  asm volatile("vzeroupper");
}

void run_avx2() {
  BNRUN_FMA_LOOP(BNRUN_FMA_CLEAR, BNRUN_FMA_YMM);
  asm volatile("vzeroupper");
}

// Without fused multiply-add the two operations go to two units.
#define BNRUN_SSE_CLEAR(reg) "xorps %%xmm" #reg ", %%xmm" #reg "\n"
#define BNRUN_SSE_PAIR(a, b) "addps %%xmm12, %%xmm" #a "\n mulps %%xmm13, %%xmm" #b "\n"

void run_sse2() {
  std::int64_t rounds = kRounds;
  asm volatile(BNRUN_FMA_ALL(BNRUN_SSE_CLEAR) BNRUN_SSE_CLEAR(12) BNRUN_SSE_CLEAR(13)  //
               "1:\n"                                                                  //
               BNRUN_SSE_PAIR(0, 1) BNRUN_SSE_PAIR(2, 3) BNRUN_SSE_PAIR(4, 5)          //
               BNRUN_SSE_PAIR(6, 7) BNRUN_SSE_PAIR(8, 9) BNRUN_SSE_PAIR(10, 11)        //
               "dec %0\n"
               "jnz 1b\n"
               : "+r"(rounds)
               :
               : BNRUN_FMA_CLOBBERS);
}

#elif defined(__aarch64__)

void run_neon() {
  std::int64_t rounds = kRounds;
  asm volatile(
      "movi v0.4s, #0\n movi v1.4s, #0\n movi v2.4s, #0\n movi v3.4s, #0\n movi v4.4s, #0\n movi v5.4s, #0\n"
      "movi v6.4s, #0\n movi v7.4s, #0\n movi v16.4s, #0\n movi v17.4s, #0\n movi v18.4s, #0\n"
      "movi v19.4s, #0\n movi v20.4s, #0\n movi v21.4s, #0\n"
      "1:\n"
      "fmla v0.4s, v20.4s, v21.4s\n fmla v1.4s, v20.4s, v21.4s\n fmla v2.4s, v20.4s, v21.4s\n"
      "fmla v3.4s, v20.4s, v21.4s\n fmla v4.4s, v20.4s, v21.4s\n fmla v5.4s, v20.4s, v21.4s\n"
      "fmla v6.4s, v20.4s, v21.4s\n fmla v7.4s, v20.4s, v21.4s\n fmla v16.4s, v20.4s, v21.4s\n"
      "fmla v17.4s, v20.4s, v21.4s\n fmla v18.4s, v20.4s, v21.4s\n fmla v19.4s, v20.4s, v21.4s\n"
      "subs %0, %0, #1\n"
      "b.ne 1b\n"
      : "+r"(rounds)
      :
      : "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21");
}

#endif

/// `operations`: of one chain in one round.
[[maybe_unused]] FmaLoop loop_of(std::string_view vectors, int operations, void (*run)()) {
  return {vectors, static_cast<double>(kRounds) * kChains * operations, run};
}

}  // namespace

FmaLoop widest_fma_loop() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return loop_of("AVX-512", 2 * 16, run_avx512);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return loop_of("AVX2", 2 * 8, run_avx2);
  return loop_of("SSE2", 4, run_sse2);
#elif defined(__aarch64__)
  return loop_of("NEON", 2 * 4, run_neon);
#else
  return {};
#endif
}

}  // namespace bnrun
