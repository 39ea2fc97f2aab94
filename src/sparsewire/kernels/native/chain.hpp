// What the two directions of a chain of sparse layers share. A single layer is a chain of one.
#pragma once
#include "junctions.hpp"
#include "threads.hpp"
#include "tiles.hpp"

namespace sw {
inline namespace SW_WIDE {

// Values and biases in the type that is computed with: where they are, or converted into scratch memory.
template <class S, class T>
struct Numbers {
  const T *values, *bias;
};
template <class S, class T>
void widen(int64_t n, const Layer *layers, Numbers<S, T> *numbers) {
  if constexpr (sizeof(S) == sizeof(T)) {
    for (int64_t l = 0; l < n; l++)
      numbers[l] = {static_cast<const T *>(layers[l].values), static_cast<const T *>(layers[l].bias)};
  } else {
    int64_t total = 0;
    for (int64_t l = 0; l < n; l++) total += layers[l].count + layers[l].outputs;
    T *to = scratch(kValues).of<T>(total);
    for (int64_t l = 0; l < n; l++) {
      const S *values = static_cast<const S *>(layers[l].values), *bias = static_cast<const S *>(layers[l].bias);
      for (int64_t k = 0; k < layers[l].count; k++) to[k] = number(values[k]);
      numbers[l] = {to, bias ? to + layers[l].count : nullptr};
      to += layers[l].count;
      for (int64_t r = 0; bias && r < layers[l].outputs; r++) to[r] = number(bias[r]);
      to += layers[l].outputs;
    }
  }
}

// Threads for so much work: none is woken for less than about 50 microseconds.
inline int64_t team(int64_t n, const Layer *layers, int64_t vectors, int64_t passes, int64_t threads) {
  double nanoseconds = 0;
  for (int64_t l = 0; l < n; l++)
    nanoseconds += double(vectors) * passes * (0.4 * layers[l].count + 1.5 * (layers[l].inputs + layers[l].outputs));
  const int64_t worth = int64_t(nanoseconds / 25000);
  return worth < 2 ? 1 : worth < threads ? worth : threads;
}

inline int64_t features(int64_t n, const Layer *layers) {  // numbers a sample has in `hidden`
  int64_t total = 0;
  for (int64_t l = 0; l < n; l++) total += layers[l].outputs;
  return total;
}

// The part of [0, total) that one of `parts` does, in whole steps.
inline int64_t cut(int64_t total, int64_t step, int64_t parts, int64_t part) {
  const int64_t edge = share((total + step - 1) / step, parts, part) * step;
  return edge < total ? edge : total;
}

// A batch that fits a vector of half the width goes there: it has half as much to read for each weight.
#if SW_BYTES == 64
#define SW_HAS_HALF 1
#else
#define SW_HAS_HALF 0
#endif
inline bool fits_half(int64_t type, int64_t batch) { return SW_HAS_HALF && batch > 1 && batch * (type == 1 ? 8 : 4) <= 32; }

}  // namespace SW_WIDE
}  // namespace sw
