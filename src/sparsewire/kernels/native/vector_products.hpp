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
SW_INLINE void store4(T *p, Q<T> v) {
  *reinterpret_cast<typename Quad<T>::loose *>(p) = v;
}
template <class T>
SW_INLINE Q<T> fetch4(const T *x, const int16_t *columns) {
  uint64_t c;  // one load for the four; columns are never negative
  memcpy(&c, columns, 8);
  return Q<T>{x[c & 0xffff], x[c >> 16 & 0xffff], x[c >> 32 & 0xffff], x[c >> 48]};
}

// All bits set in the first `count` of four lanes. What is beyond a run belongs to the next one: its products are cut off
// rather than multiplied by zero, which would let a NaN through.
template <class T>
struct Bits;
template <>
struct Bits<float> {
  typedef int32_t one;
  typedef int32_t type __attribute__((vector_size(16)));
};
template <>
struct Bits<double> {
  typedef int64_t one;
  typedef int64_t type __attribute__((vector_size(32)));
};
template <class T>
SW_INLINE Q<T> first_of(Q<T> products, int64_t count) {
  typedef typename Bits<T>::type B;
  const B lane = {0, 1, 2, 3};
  return (Q<T>)((B)products & (lane < typename Bits<T>::one(count)));
}

// The sum of a row's products, in parts that need not wait for each other.
template <class T>
struct RowSum {
  Q<T> even, odd;
  T total() const {
    const Q<T> all = even + odd;
    return (all[0] + all[2]) + (all[1] + all[3]);
  }
};

// The columns of pattern P: every x is fetched once for all rows in P. `more`: what lies behind the run may be read.
template <class T, int P>
SW_INLINE void vector_pattern(const int16_t *columns, const T *values, int64_t n, const T *x, bool more,
                              RowSum<T> (&sums)[4]) {
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
  if (k == n) return;
  if (more) {
    const Q<T> a = fetch4(x, columns + k);
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++)
      if (P >> r & 1) sums[r].odd += first_of<T>(load4(values + place[r] * n + k) * a, n - k);
    return;
  }
  for (; k < n; k++) {
    const T a = x[columns[k]];
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++)
      if (P >> r & 1) sums[r].even[0] += values[place[r] * n + k] * a;
  }
}
template <class T, int P = 1>
SW_INLINE void vector_patterns(const int16_t *columns, const int32_t *starts, const T *values, const T *x, bool more,
                               RowSum<T> (&sums)[4]) {
  if constexpr (P < 16) {
    const int64_t n = starts[P] - starts[P - 1];
    vector_pattern<T, P>(columns + starts[P - 1], values, n, x, more, sums);
    vector_patterns<T, P + 1>(columns, starts, values + n * __builtin_popcount(P), x, more, sums);
  }
}

// Rows (or groups of rows) from … to. Block after block, as the weights lie in memory.
template <class T>
inline void forward_vector(const Layer &layer, const T *values, const T *bias, const T *x, T *y, int64_t from,
                           int64_t to) {
  const int64_t shared = layer.group == 1 ? 0 : layer.starts[layer.blocks() * layer.groups() * kStarts - 2];  // columns
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
        const bool more = starts[1] + 3 <= layer.count;
        vector_pattern<T, 1>(layer.columns + starts[0], values + starts[0], starts[1] - starts[0], inputs, more, sums);
        add(g, sums[0].total());
      } else {
        const int32_t *starts = layer.starts + (number * layer.groups() + g) * kStarts;
        // The next group's start of values is this one's end; behind the last there is nothing.
        const bool more =
            !(last && g + 1 == layer.groups()) && starts[kStarts + 16] + 3 <= layer.count && starts[15] + 3 <= shared;
        vector_patterns<T>(layer.columns, starts, values + starts[16], inputs, more, sums);
        for (int r = 0; r < 4 && g * kGroup + r < layer.outputs; r++) add(g * kGroup + r, sums[r].total());
      }
    }
  }
}

}  // namespace SW_WIDE
}  // namespace sw
