// Forward for a single sample: y = act(W x + b). It is bound by the memory that the weights come from, so the values are
// streamed once, a vector at a time, and the inputs are gathered from the first cache.
#pragma once
#include "products.hpp"

namespace sw {
inline namespace SW_WIDE {

// x[columns[0]], x[columns[1]], …; zeros from `count` on.
template <class T>
SW_INLINE V<T> gather(const T *x, const int16_t *columns, int64_t count) {
#if defined(__AVX512F__) && SW_BYTES == 64
  if constexpr (sizeof(T) == 4) {
    const __mmask16 some = count >= 16 ? __mmask16(0xffff) : __mmask16((1u << count) - 1);
    const __m512i where = _mm512_cvtepi16_epi32(_mm256_maskz_loadu_epi16(some, columns));
    return (V<T>)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), some, where, x, 4);
  } else {
    const __mmask8 some = count >= 8 ? __mmask8(0xff) : __mmask8((1u << count) - 1);
    const __m256i where = _mm256_cvtepi16_epi32(_mm_maskz_loadu_epi16(some, columns));
    return (V<T>)_mm512_mask_i32gather_pd(_mm512_setzero_pd(), some, where, x, 8);
  }
#else
  T found[lanes<T>];
  for (int64_t j = 0; j < lanes<T>; j++) found[j] = j < count ? x[columns[j]] : T(0);
  return load(found);
#endif
}

// sum of values[k] x[columns[k]] over n weights, lane by lane.
template <class T>
SW_INLINE V<T> products(V<T> sums, const T *values, const int16_t *columns, int64_t n, const T *x) {
  constexpr int64_t L = lanes<T>;
  int64_t k = 0;
  for (; k + L <= n; k += L) sums += load(values + k) * gather<T>(x, columns + k, L);
  if (k < n) sums += load_some<T>(values + k, n - k) * gather<T>(x, columns + k, n - k);
  return sums;
}

template <class T, int P = 1>
SW_INLINE void vector_patterns(const int16_t *columns, const int32_t *starts, const T *values, const T *x,
                               V<T> (&sums)[4]) {
  if constexpr (P < 16) {
    constexpr int64_t L = lanes<T>;
    const int64_t n = starts[P] - starts[P - 1];
    const int16_t *c = columns + starts[P - 1];
    for (int64_t k = 0; k < n; k += L) {
      const int64_t some = n - k < L ? n - k : L;
      const V<T> xs = gather<T>(x, c + k, some);
      const T *v = values + k;
#pragma GCC unroll 4
      for (int r = 0; r < 4; r++)
        if (P >> r & 1) {
          sums[r] += load_some<T>(v, some) * xs;
          v += n;
        }
    }
    vector_patterns<T, P + 1>(columns, starts, values + n * __builtin_popcount(P), x, sums);
  }
}

// Rows (or groups of rows) from … to.
template <class T>
inline void forward_vector(const Layer &layer, const T *values, const T *bias, const T *x, T *y, int64_t from,
                           int64_t to) {
  const auto finish = [&](int64_t row, V<T> sums) {
    const T z = sum<T>(sums) + (bias ? bias[row] : T(0));
    y[row] = layer.activation ? activate<T>(all<T>(z), layer.activation)[0] : z;
  };
  for (int64_t g = from; g < to; g++) {
    V<T> sums[4] = {};
    for (int64_t number = 0; number < layer.blocks(); number++) {
      const T *inputs = x + number * layer.block;
      if (layer.group == 1) {
        const int32_t *starts = layer.starts + number * (layer.outputs + 1) + g;
        sums[0] = products<T>(sums[0], values + starts[0], layer.columns + starts[0], starts[1] - starts[0], inputs);
      } else {
        const int32_t *starts = layer.starts + (number * layer.groups() + g) * kStarts;
        vector_patterns<T>(layer.columns, starts, values + starts[16], inputs, sums);
      }
    }
    if (layer.group == 1) {
      finish(g, sums[0]);
    } else {
      for (int r = 0; r < 4 && g * kGroup + r < layer.outputs; r++) finish(g * kGroup + r, sums[r]);
    }
  }
}

}  // namespace SW_WIDE
}  // namespace sw
