// Forward for a single sample: y = act(W x + b). It is bound by the memory that the weights come from, so the values are
// streamed once and the inputs come from the first cache.
#pragma once
#include "products.hpp"

namespace sw {
inline namespace SW_WIDE {

// Four inputs are fetched one by one and multiplied side by side: gather instructions are no faster where they exist,
// and groups of four columns leave less over at the end of a short run than whole vectors do.
template <class T>
struct Quad {
  typedef T type __attribute__((vector_size(4 * sizeof(T))));
  typedef T loose __attribute__((vector_size(4 * sizeof(T)), aligned(alignof(T)), may_alias));
};
template <class T>
using Q = typename Quad<T>::type;

template <class T>
SW_INLINE Q<T> load4(const T *p) {
  return *reinterpret_cast<const typename Quad<T>::loose *>(p);
}
template <class T>
SW_INLINE Q<T> fetch4(const T *x, const int16_t *columns) {
  return Q<T>{x[columns[0]], x[columns[1]], x[columns[2]], x[columns[3]]};
}

// The sum of a row's products, in parts that need not wait for each other.
template <class T>
struct RowSum {
  Q<T> even, odd;
  T rest;
  T total() const {
    const Q<T> all = even + odd;
    return ((all[0] + all[2]) + (all[1] + all[3])) + rest;
  }
};

// The columns of pattern P: every x is fetched once for all rows in P.
template <class T, int P>
SW_INLINE void vector_pattern(const int16_t *columns, const T *values, int64_t n, const T *x, RowSum<T> (&sums)[4]) {
  constexpr int first = 0, second = first + (P & 1), third = second + (P >> 1 & 1), fourth = third + (P >> 2 & 1);
  constexpr int place[4] = {first, second, third, fourth};
  int64_t k = 0;
  for (; k + 8 <= n; k += 8) {
    const Q<T> a = fetch4(x, columns + k), b = fetch4(x, columns + k + 4);
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++)
      if (P >> r & 1) {
        sums[r].even += load4(values + place[r] * n + k) * a;
        sums[r].odd += load4(values + place[r] * n + k + 4) * b;
      }
  }
  if (k + 4 <= n) {
    const Q<T> a = fetch4(x, columns + k);
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++)
      if (P >> r & 1) sums[r].even += load4(values + place[r] * n + k) * a;
    k += 4;
  }
  for (; k < n; k++) {
    const T a = x[columns[k]];
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++)
      if (P >> r & 1) sums[r].rest += values[place[r] * n + k] * a;
  }
}
template <class T, int P = 1>
SW_INLINE void vector_patterns(const int16_t *columns, const int32_t *starts, const T *values, const T *x,
                               RowSum<T> (&sums)[4]) {
  if constexpr (P < 16) {
    const int64_t n = starts[P] - starts[P - 1];
    vector_pattern<T, P>(columns + starts[P - 1], values, n, x, sums);
    vector_patterns<T, P + 1>(columns, starts, values + n * __builtin_popcount(P), x, sums);
  }
}

// Rows (or groups of rows) from … to. Block after block, as the weights lie in memory.
template <class T>
inline void forward_vector(const Layer &layer, const T *values, const T *bias, const T *x, T *y, int64_t from,
                           int64_t to) {
  for (int64_t number = 0; number < layer.blocks(); number++) {
    const T *inputs = x + number * layer.block;
    const bool last = number + 1 == layer.blocks();
    const auto add = [&](int64_t row, T total) {
      const T z = total + (number ? y[row] : bias ? bias[row] : T(0));
      y[row] = last && layer.activation ? activate<T>(all<T>(z), layer.activation)[0] : z;
    };
    for (int64_t g = from; g < to; g++) {
      RowSum<T> sums[4] = {};
      if (layer.group == 1) {
        const int32_t *starts = layer.starts + number * (layer.outputs + 1) + g;
        vector_pattern<T, 1>(layer.columns + starts[0], values + starts[0], starts[1] - starts[0], inputs, sums);
        add(g, sums[0].total());
      } else {
        const int32_t *starts = layer.starts + (number * layer.groups() + g) * kStarts;
        vector_patterns<T>(layer.columns, starts, values + starts[16], inputs, sums);
        for (int r = 0; r < 4 && g * kGroup + r < layer.outputs; r++) add(g * kGroup + r, sums[r].total());
      }
    }
  }
}

}  // namespace SW_WIDE
}  // namespace sw
