// What does not depend on the vector width: the choice of it, and the thread pool.
#include "threads.hpp"

namespace sw {
OpenMP openmp = {nullptr, nullptr, nullptr};
}

extern "C" {

__attribute__((visibility("default"))) int64_t sw_vector_bytes() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma"))
    return 64;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) return 32;
#endif
  return 16;
}

__attribute__((visibility("default"))) void sw_use_openmp(void *parallel, void *thread, void *threads) {
  sw::openmp = {reinterpret_cast<void (*)(void (*)(void *), void *, unsigned, unsigned)>(parallel),
                reinterpret_cast<int (*)()>(thread), reinterpret_cast<int (*)()>(threads)};
}
}
