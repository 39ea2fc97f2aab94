// Backward over one block and one tile, dX and dW in one sweep over the live weights:
//   dX[c] += v dY[r]   and   dv = <dY[r], X[c]>   for every weight v from input c to output r.
// A product of two rows ends in a sum over a vector's lanes; as many such sums as there are lanes are folded together.
#pragma once
#include "junctions.hpp"
#include "tiles.hpp"

namespace sw {
inline namespace SW_WIDE {

template <class T, int S, int... J>
SW_INLINE V<T> fold_pair(V<T> a, V<T> b, Lanes<J...>) {
  const V<T> near = SW_SHUFFLE(a, b, J & S ? int(lanes<T>) + J : J);
  const V<T> far = SW_SHUFFLE(a, b, J & S ? int(lanes<T>) + (J ^ S) : J ^ S);
  return near + far;
}

// Lane j of the result is the sum of the lanes of leaf(j), for j < N; depth first, so that few registers are alive.
template <class T, int N, class Leaf>
SW_INLINE V<T> fold(const Leaf &leaf, int64_t from) {
  if constexpr (N == 1) {
    return leaf(from);
  } else {
    const V<T> a = fold<T, N / 2>(leaf, from), b = fold<T, N / 2>(leaf, from + N / 2);
    return fold_pair<T, N / 2>(a, b, LanesOf<T>());
  }
}

// The first `count` ≤ N sums into grads.
template <class T, int N, class Leaf>
SW_INLINE void fold_some(const Leaf &leaf, int64_t from, int64_t count, T *grads, bool add) {
  const auto inside = [&](int64_t k) __attribute__((always_inline)) { return k - from < count ? leaf(k) : V<T>{}; };
  V<T> sums = fold<T, N>(inside, from);
#pragma GCC unroll 8
  for (int64_t s = N; s < lanes<T>; s *= 2) {
    T half[2 * lanes<T>];
    store(half, sums);
    store(half + lanes<T>, sums);
    sums += load(half + s);
  }
  if (add) sums += load_some<T>(grads, count);
  store_some<T>(grads, sums, count);
}

// grads[k] (+)= the sum over the lanes of leaf(k), for k in from … to, as many as a vector has lanes at a time.
template <class T, class Leaf>
SW_INLINE void fold_all(const Leaf &leaf, int64_t from, int64_t to, T *grads, bool add) {
  constexpr int64_t L = lanes<T>;
  int64_t k = from;
  for (; k + L <= to; k += L) {
    const V<T> sums = fold<T, int(L)>(leaf, k);
    store(grads + k, add ? load(grads + k) + sums : sums);
  }
  const int64_t left = to - k;
  if (left > L / 2) return fold_some<T, int(L)>(leaf, k, left, grads + k, add);
  if constexpr (L >= 8)
    if (left > 2) return fold_some<T, int(L / 2)>(leaf, k, left, grads + k, add);
  for (; k < to; k++) {
    const T one = sum<T>(leaf(k));
    grads[k] = add ? grads[k] + one : one;
  }
}

// What is the same for all rows of a block. X, dX: of the block's inputs; dX or grads may be null.
template <class T>
struct Sweep {
  const Layer *layer;
  int64_t number;
  const T *values;
  const T *X, *dY;
  T *dX, *grads;
  bool add;  // to what is in grads, or assign
};

template <class T, int NW, bool INPUTS, bool WEIGHTS>
inline void backward_rows(const Sweep<T> &sweep) {
  constexpr int64_t L = lanes<T>, W = NW * L;
  const Layer &layer = *sweep.layer;
  const int32_t *starts = layer.starts + sweep.number * (layer.outputs + 1);
  for (int64_t r = 0; r < layer.outputs; r++) {
    V<T> d[NW];
#pragma GCC unroll 4
    for (int j = 0; j < NW; j++) d[j] = load(sweep.dY + r * W + j * L);
    const auto leaf = [&](int64_t k) __attribute__((always_inline)) {
      const int64_t place = int64_t(layer.columns[k]) * W;
      V<T> product = {};
      if constexpr (INPUTS) {
        const V<T> v = all<T>(sweep.values[k]);
        T *o = sweep.dX + place;
#pragma GCC unroll 4
        for (int j = 0; j < NW; j++) store(o + j * L, load(o + j * L) + v * d[j]);
      }
      if constexpr (WEIGHTS) {
        const T *x = sweep.X + place;
        product = d[0] * load(x);
#pragma GCC unroll 4
        for (int j = 1; j < NW; j++) product += d[j] * load(x + j * L);
      }
      return product;
    };
    if constexpr (WEIGHTS)
      fold_all<T>(leaf, starts[r], starts[r + 1], sweep.grads, sweep.add);
    else
      for (int64_t k = starts[r]; k < starts[r + 1]; k++) leaf(k);
  }
}

// dv = <dY[r], X[c]> over `kAbreast` full tiles at once: a row of dY stays in registers for all of them, and there is
// one sum over lanes where there would be one a tile. X and dY are those of the first tile.
constexpr int64_t kAbreast = SW_BYTES == 64 ? 4 : 1;

template <class T>
struct Abreast {
  const Layer *layer;
  int64_t number;
  const T *X, *dY;
  int64_t x_step, dy_step;  // from a tile's to the next one's
  T *grads;
  bool add;
};
template <class T>
inline void abreast_products(const Abreast<T> &job, int64_t row, const int16_t *columns, int64_t n, T *grads) {
  constexpr int64_t L = lanes<T>, W = kWidest * L;
  V<T> d[kAbreast * kWidest];
#pragma GCC unroll 16
  for (int64_t i = 0; i < kAbreast * kWidest; i++)
    d[i] = load(job.dY + i / kWidest * job.dy_step + row * W + i % kWidest * L);
  const auto leaf = [&](int64_t k) __attribute__((always_inline)) {
    const T *x = job.X + int64_t(columns[k]) * W;
    V<T> product = {};
#pragma GCC unroll 16
    for (int64_t i = 0; i < kAbreast * kWidest; i++)
      product += d[i] * load(x + i / kWidest * job.x_step + i % kWidest * L);
    return product;
  };
  fold_all<T>(leaf, 0, n, grads, job.add);
}
// For groups of rows only: at low density the sums are few and a wider X no longer fits the cache.
template <class T>
void weights_abreast(const Abreast<T> &job) {
  const Layer &layer = *job.layer;
  for (int64_t g = 0; g < layer.groups(); g++) {
    const int32_t *starts = layer.starts + (job.number * layer.groups() + g) * kStarts;
    T *grads = job.grads + starts[16];
    for (int p = 1; p < 16; p++) {
      const int64_t n = starts[p] - starts[p - 1];
      for (int r = 0; n && r < kGroup; r++)
        if (p >> r & 1) {
          abreast_products<T>(job, g * kGroup + r, layer.columns + starts[p - 1], n, grads);
          grads += n;
        }
    }
  }
}

// grads[k] (+)= <d, X[columns[k]]> for one row of the tile and n of its columns.
template <class T, int NW>
__attribute__((noinline)) void row_products(const V<T> (&row)[NW], const int16_t *columns, int64_t n, const T *X,
                                            T *grads, bool add) {
  constexpr int64_t L = lanes<T>, W = NW * L;
  V<T> d[NW];
#pragma GCC unroll 4
  for (int j = 0; j < NW; j++) d[j] = row[j];
  const auto leaf = [&](int64_t k) __attribute__((always_inline)) {
    const T *x = X + int64_t(columns[k]) * W;
    V<T> product = d[0] * load(x);
#pragma GCC unroll 4
    for (int j = 1; j < NW; j++) product += d[j] * load(x + j * L);
    return product;
  };
  fold_all<T>(leaf, 0, n, grads, add);
}

template <class T, int NW, int P>
SW_INLINE void backward_pattern(const int16_t *columns, int64_t at, int64_t n, const Sweep<T> &sweep,
                                const V<T> (&d)[4][NW]) {
  constexpr int64_t L = lanes<T>, W = NW * L;
  constexpr int first = 0, second = first + (P & 1), third = second + (P >> 1 & 1), fourth = third + (P >> 2 & 1);
  constexpr int place[4] = {first, second, third, fourth};
  if (sweep.dX) {
    const T *v = sweep.values + at;
    for (int64_t k = 0; k < n; k++) {
      T *o = sweep.dX + int64_t(columns[k]) * W;
      V<T> s[NW];
#pragma GCC unroll 4
      for (int j = 0; j < NW; j++) s[j] = load(o + j * L);
#pragma GCC unroll 4
      for (int r = 0; r < 4; r++)
        if (P >> r & 1) {
          const V<T> w = all<T>(v[place[r] * n + k]);
#pragma GCC unroll 4
          for (int j = 0; j < NW; j++) s[j] += w * d[r][j];
        }
#pragma GCC unroll 4
      for (int j = 0; j < NW; j++) store(o + j * L, s[j]);
    }
  }
  if (sweep.grads)
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++)
      if (P >> r & 1) row_products<T, NW>(d[r], columns, n, sweep.X, sweep.grads + at + place[r] * n, sweep.add);
}
template <class T, int NW, int P = 1>
SW_INLINE void backward_patterns(const int16_t *columns, const int32_t *starts, int64_t at, const Sweep<T> &sweep,
                                 const V<T> (&d)[4][NW]) {
  if constexpr (P < 16) {
    const int64_t n = starts[P] - starts[P - 1];
    if (n) backward_pattern<T, NW, P>(columns + starts[P - 1], at, n, sweep, d);
    backward_patterns<T, NW, P + 1>(columns, starts, at + n * __builtin_popcount(P), sweep, d);
  }
}

template <class T, int NW>
inline void backward_groups(const Sweep<T> &sweep) {
  constexpr int64_t L = lanes<T>, W = NW * L;
  const Layer &layer = *sweep.layer;
  for (int64_t g = 0; g < layer.groups(); g++) {
    const int32_t *starts = layer.starts + (sweep.number * layer.groups() + g) * kStarts;
    if (starts[0] == starts[15]) continue;
    V<T> d[4][NW];
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++) {
      const int64_t row = g * kGroup + r;
#pragma GCC unroll 4
      for (int j = 0; j < NW; j++) d[r][j] = row < layer.outputs ? load(sweep.dY + row * W + j * L) : V<T>{};
    }
    backward_patterns<T, NW>(layer.columns, starts, starts[16], sweep, d);
  }
}

template <class T, int NW>
inline void backward(const Sweep<T> &sweep) {
  // One sweep for both saves a look at the indices, but has X and dX in the cache at a time: only where both fit.
  const bool both = 2 * sweep.layer->wide(sweep.number) * NW * SW_BYTES <= 32768;
  if (sweep.layer->group != 1) return backward_groups<T, NW>(sweep);
  if (sweep.dX && sweep.grads && both) return backward_rows<T, NW, true, true>(sweep);
  if (sweep.grads) backward_rows<T, NW, false, true>(sweep);
  if (sweep.dX) backward_rows<T, NW, true, false>(sweep);
}
// All rows of one block, for a tile of so many vectors. dX is added to; the caller clears it.
template <class T>
void backward(int64_t vectors, const Sweep<T> &sweep) {
  switch (vectors) {
    case 1: return backward<T, 1>(sweep);
    case 2: return backward<T, 2>(sweep);
    case 3: return backward<T, 3>(sweep);
    default: return backward<T, 4>(sweep);
  }
}

// Compiled once, in gradients.cpp: all who include this share it.
#define SW_GRADIENTS(T, EXTERN)                                           \
  EXTERN template void backward<T>(int64_t vectors, const Sweep<T> &sweep); \
  EXTERN template void weights_abreast<T>(const Abreast<T> &job);
#ifndef SW_GRADIENTS_HERE
SW_GRADIENTS(float, extern)
SW_GRADIENTS(double, extern)
#endif

}  // namespace SW_WIDE
}  // namespace sw
