// The team of threads. It is torch's own OpenMP pool, handed over at load time (sw_use_openmp), so that no second pool
// competes with it; where there is none, everything runs on the calling thread.
#pragma once
#include <stdint.h>

namespace sw {

struct OpenMP {
  void (*parallel)(void (*)(void *), void *, unsigned, unsigned);
  int (*thread)();
  int (*threads)();
};
extern OpenMP openmp;  // defined in library.cpp

// Runs body(thread, threads) on a team. Each thread has to do its share by its number alone, so that a result depends
// only on the number of threads. `wanted` below 2 means: here and now.
template <class Body>
inline void together(int64_t wanted, const Body &body) {
  if (wanted < 2 || !openmp.parallel) {
    body(int64_t(0), int64_t(1));
    return;
  }
  openmp.parallel(
      [](void *data) { (*static_cast<const Body *>(data))(int64_t(openmp.thread()), int64_t(openmp.threads())); },
      const_cast<Body *>(&body), unsigned(wanted), 0);
}

inline int64_t share(int64_t total, int64_t parts, int64_t part) { return total * part / parts; }

}  // namespace sw
