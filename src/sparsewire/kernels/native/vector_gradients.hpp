// Backward for a single sample: dv = dz[r] x[c] for every weight v from input c to output r, and dx[c] += v dz[r].
// Both need the same indices, so one sweep does both, block after block as the weights lie in memory.
#pragma once
#include "vector_products.hpp"

namespace sw {
inline namespace SW_WIDE {

// What is the same for all rows of a block. x, dx: of the block's inputs; dx or grads may be null.
template <class T>
struct VectorSweep {
  const Layer *layer;
  int64_t number;
  const T *values, *x, *dz;
  T *dx, *grads;
};

// The columns of pattern P, of a group whose rows have the gradients d: an input is fetched once for all rows in P.
template <class T, int P>
SW_INLINE void vector_gradients(const VectorSweep<T> &sweep, const int16_t *columns, int64_t at, int64_t n,
                                const T (&d)[4]) {
  constexpr int first = 0, second = first + (P & 1), third = second + (P >> 1 & 1), fourth = third + (P >> 2 & 1);
  constexpr int place[4] = {first, second, third, fourth};
  const T *v = sweep.values + at;
  T *const dx = sweep.dx;
  const auto step = [&](int64_t k) __attribute__((always_inline)) {
    T total = dx[columns[k]];
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++)
      if (P >> r & 1) total += v[place[r] * n + k] * d[r];
    dx[columns[k]] = total;
  };
  if (dx)
    for (int64_t k = 0; k < n; k++) step(k);
  if (!sweep.grads) return;
  T *const grads = sweep.grads + at;
  int64_t k = 0;
  for (; k + 4 <= n; k += 4) {
    const Q<T> a = fetch4(sweep.x, columns + k);
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++)
      if (P >> r & 1) store4(grads + place[r] * n + k, a * d[r]);
  }
  for (; k < n; k++) {
    const T a = sweep.x[columns[k]];
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++)
      if (P >> r & 1) grads[place[r] * n + k] = a * d[r];
  }
}
template <class T, int P = 1>
SW_INLINE void vector_gradient_patterns(const VectorSweep<T> &sweep, const int32_t *starts, int64_t at,
                                        const T (&d)[4]) {
  if constexpr (P < 16) {
    const int64_t n = starts[P] - starts[P - 1];
    if (n) vector_gradients<T, P>(sweep, sweep.layer->columns + starts[P - 1], at, n, d);
    vector_gradient_patterns<T, P + 1>(sweep, starts, at + n * __builtin_popcount(P), d);
  }
}

// All rows of one block. dx is added to; the caller clears it.
template <class T>
inline void backward_vector(const VectorSweep<T> &sweep) {
  const Layer &layer = *sweep.layer;
  for (int64_t g = 0; g < layer.groups(); g++) {
    if (layer.group == 1) {
      const int32_t *starts = layer.starts + sweep.number * (layer.outputs + 1) + g;
      const T d[4] = {sweep.dz[g], 0, 0, 0};
      vector_gradients<T, 1>(sweep, layer.columns + starts[0], starts[0], starts[1] - starts[0], d);
    } else {
      const int32_t *starts = layer.starts + (sweep.number * layer.groups() + g) * kStarts;
      T d[4];
      for (int64_t r = 0; r < kGroup; r++) d[r] = g * kGroup + r < layer.outputs ? sweep.dz[g * kGroup + r] : T(0);
      vector_gradient_patterns<T>(sweep, starts, starts[16], d);
    }
  }
}

}  // namespace SW_WIDE
}  // namespace sw
