// What does not depend on the vector width: the thread pool.
#include "threads.hpp"

namespace sw {
OpenMP openmp = {nullptr, nullptr, nullptr};
}

extern "C" {

__attribute__((visibility("default"))) void sw_use_openmp(void *parallel, void *thread, void *threads) {
  sw::openmp = {reinterpret_cast<void (*)(void (*)(void *), void *, unsigned, unsigned)>(parallel),
                reinterpret_cast<int (*)()>(thread), reinterpret_cast<int (*)()>(threads)};
}
}
