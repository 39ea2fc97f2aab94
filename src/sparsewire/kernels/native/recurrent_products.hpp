// The products of recurrent layers: weights row by row, over one step or over all steps at once, and their gradients.
#pragma once
#include "recurrent_network.hpp"

namespace sw {
inline namespace SW_WIDE {

// A matrix row by row. `places` says where each value lies in the junction's order; null: in this one.
template <class T>
struct Rows {
  int64_t rows, columns, count;
  const int32_t *starts;
  const uint16_t *indices;
  const T *values;
  const int32_t *places;
};

// use(row, column, place) for every weight of a junction.
template <class Each>
inline void each_weight(const Layer &layer, const Each &use) {
  for (int64_t number = 0; number < layer.blocks(); number++)
    for (int64_t g = 0; g < layer.groups(); g++) {
      const int64_t first = number * layer.block;
      if (layer.group == 1) {
        const int32_t *starts = layer.starts + number * (layer.outputs + 1) + g;
        for (int64_t k = starts[0]; k < starts[1]; k++) use(g, first + layer.columns[k], k);
        continue;
      }
      const int32_t *starts = layer.starts + (number * layer.groups() + g) * kStarts;
      int64_t place = starts[16];
      for (int64_t pattern = 1; pattern < 16; pattern++)
        for (int64_t r = 0; r < kGroup; r++)
          for (int64_t k = starts[pattern - 1]; (pattern >> r & 1) && k < starts[pattern]; k++)
            use(g * kGroup + r, first + layer.columns[k], place++);
    }
}

// The live weights of a layer row by row, in the type that is computed with; as they are, where they already are so.
template <class S, class T>
inline Rows<T> rows_of(const Layer &layer, Arena &arena) {
  Rows<T> found = {layer.outputs, layer.inputs, layer.count, layer.starts,
                   reinterpret_cast<const uint16_t *>(layer.columns), static_cast<const T *>(layer.values), nullptr};
  const bool in_order = layer.group == 1 && layer.blocks() == 1;
  if (in_order && sizeof(S) == sizeof(T)) return found;
  T *values = arena.of<T>(layer.count);
  int32_t *starts = in_order ? nullptr : arena.of<int32_t>(layer.outputs + 2);
  uint16_t *indices = in_order ? nullptr : arena.of<uint16_t>(layer.count);
  int32_t *places = in_order ? nullptr : arena.of<int32_t>(layer.count);
  if (!arena.base) return found;
  const S *given = static_cast<const S *>(layer.values);
  found.values = values;
  if (in_order) {
    for (int64_t k = 0; k < layer.count; k++) values[k] = number(given[k]);
    return found;
  }
  memset(starts, 0, size_t(layer.outputs + 2) * sizeof(int32_t));
  each_weight(layer, [&](int64_t row, int64_t, int64_t) { starts[row + 2]++; });
  for (int64_t r = 0; r < layer.outputs; r++) starts[r + 2] += starts[r + 1];
  each_weight(layer, [&](int64_t row, int64_t column, int64_t place) {
    const int32_t k = starts[row + 1]++;
    indices[k] = uint16_t(column);
    places[k] = int32_t(place);
    values[k] = number(given[place]);
  });
  found.starts = starts;
  found.indices = indices;
  found.places = places;
  return found;
}

// The transposed matrix; row r of the given one is numbered name(r). `places` says where in it each value lies.
template <class T, class Name>
inline Rows<T> transposed(const Rows<T> &m, Arena &arena, const Name &name) {
  int32_t *starts = arena.of<int32_t>(m.columns + 2), *places = arena.of<int32_t>(m.count);
  uint16_t *indices = arena.of<uint16_t>(m.count);
  T *values = arena.of<T>(m.count);
  if (arena.base) {
    memset(starts, 0, size_t(m.columns + 2) * sizeof(int32_t));
    for (int64_t k = 0; k < m.count; k++) starts[m.indices[k] + 2]++;
    for (int64_t c = 0; c < m.columns; c++) starts[c + 2] += starts[c + 1];
    for (int64_t r = 0; r < m.rows; r++)
      for (int64_t k = m.starts[r]; k < m.starts[r + 1]; k++) {
        const int32_t to = starts[m.indices[k] + 1]++;
        indices[to] = uint16_t(name(r));
        values[to] = m.values[k];
        places[to] = int32_t(k);
      }
  }
  return {m.columns, m.rows, m.count, starts, indices, values, places};
}

// After the values have changed: those that were copied by the two functions above.
template <class S, class T>
inline void renew_rows(const Layer &layer, const Rows<T> &m) {
  const S *const given = static_cast<const S *>(layer.values);
  T *const values = const_cast<T *>(m.values);
  for (int64_t k = 0; m.places && k < m.count; k++) values[k] = number(given[m.places[k]]);
}
template <class T>
inline void renew_transposed(const Rows<T> &m, const Rows<T> &back) {
  T *const values = const_cast<T *>(back.values);
  for (int64_t k = 0; k < m.count; k++) values[k] = m.values[back.places[k]];
}

// y[r] = (base ? base[r] : bias[r]) + sum of v x[c] for the rows from … to, on N vectors; everything is [number][W].
template <class T, int N>
inline void one_step_of(const Rows<T> &m, int64_t from, int64_t to, const T *base, const T *bias, const T *x, T *y,
                        int64_t W) {
  constexpr int64_t L = lanes<T>;
  for (int64_t r = from; r < to; r++) {
    V<T> sums[N];
#pragma GCC unroll 8
    for (int j = 0; j < N; j++) sums[j] = base ? load(base + r * W + j * L) : all<T>(bias ? bias[r] : T(0));
    for (int64_t k = m.starts[r]; k < m.starts[r + 1]; k++) {
      const V<T> v = all<T>(m.values[k]);
      const T *p = x + int64_t(m.indices[k]) * W;
#pragma GCC unroll 8
      for (int j = 0; j < N; j++) sums[j] += v * load(p + j * L);
    }
#pragma GCC unroll 8
    for (int j = 0; j < N; j++) store(y + r * W + j * L, sums[j]);
  }
}
template <class T>
void one_step(int64_t vectors, const Rows<T> &m, int64_t from, int64_t to, const T *base, const T *bias, const T *x,
              T *y, int64_t W) {
  switch (vectors) {
    case 0: return;
    case 1: return one_step_of<T, 1>(m, from, to, base, bias, x, y, W);
    case 2: return one_step_of<T, 2>(m, from, to, base, bias, x, y, W);
    case 3: return one_step_of<T, 3>(m, from, to, base, bias, x, y, W);
    case 4: return one_step_of<T, 4>(m, from, to, base, bias, x, y, W);
    case 5: return one_step_of<T, 5>(m, from, to, base, bias, x, y, W);
    case 6: return one_step_of<T, 6>(m, from, to, base, bias, x, y, W);
    case 7: return one_step_of<T, 7>(m, from, to, base, bias, x, y, W);
    default: return one_step_of<T, 8>(m, from, to, base, bias, x, y, W);
  }
}

// Where the product over all steps puts row r of step t: to + r · row + t · step.
template <class T>
struct Target {
  T *to;
  int64_t row, step;
};

// The same over N vectors of a history, of which NV belong to each step.
template <class T, int N, int NV>
inline void some_steps(const Rows<T> &m, const T *bias, bool adds, const T *x, int64_t stride, const Target<T> &y) {
  constexpr int64_t L = lanes<T>;
  for (int64_t r = 0; r < m.rows; r++) {
    T *const to = y.to + r * y.row;
    V<T> sums[N];
#pragma GCC unroll 8
    for (int j = 0; j < N; j++)
      sums[j] = adds ? load(to + (j / NV) * y.step + (j % NV) * L) : all<T>(bias ? bias[r] : T(0));
    for (int64_t k = m.starts[r]; k < m.starts[r + 1]; k++) {
      const V<T> v = all<T>(m.values[k]);
      const T *p = x + int64_t(m.indices[k]) * stride;
#pragma GCC unroll 8
      for (int j = 0; j < N; j++) sums[j] += v * load(p + j * L);
    }
#pragma GCC unroll 8
    for (int j = 0; j < N; j++) store(to + (j / NV) * y.step + (j % NV) * L, sums[j]);
  }
}
template <class T, int NV>
inline void all_steps_of(const Rows<T> &m, int64_t steps, const T *bias, bool adds, const T *x, int64_t stride,
                         Target<T> y) {
  constexpr int64_t L = lanes<T>;
  constexpr int many = 8 / NV;  // steps at once: a weight is fetched once for eight vectors
  int64_t t = 0;
  for (; t + many <= steps; t += many, y.to += many * y.step)
    some_steps<T, 8, NV>(m, bias, adds, x + t * NV * L, stride, y);
  for (; t < steps; t++, y.to += y.step) some_steps<T, NV, NV>(m, bias, adds, x + t * NV * L, stride, y);
}
// y = bias + W x (or y += W x) for all steps of a history.
template <class T>
void all_steps(int64_t vectors, const Rows<T> &m, int64_t steps, const T *bias, bool adds, const T *x, int64_t stride,
               const Target<T> &y) {
  switch (vectors) {
    case 1: return all_steps_of<T, 1>(m, steps, bias, adds, x, stride, y);
    case 2: return all_steps_of<T, 2>(m, steps, bias, adds, x, stride, y);
    case 4: return all_steps_of<T, 4>(m, steps, bias, adds, x, stride, y);
    default: return all_steps_of<T, 8>(m, steps, bias, adds, x, stride, y);
  }
}

// gradient[e] += <d, x of its column> over n numbers, a whole number of vectors, for E weights of a row.
template <class T, int E>
inline void row_gradients(const T *d, const uint16_t *indices, const T *x, int64_t stride, int64_t n, T *gradient) {
  constexpr int64_t L = lanes<T>;
  constexpr int P = E < 4 ? 2 : 1;  // sums of a weight: a sum by itself would wait for itself
  const T *p[E];
  V<T> sums[E][P] = {};
  for (int e = 0; e < E; e++) p[e] = x + int64_t(indices[e]) * stride;
  int64_t i = 0;
  for (; i + P * L <= n; i += P * L)
#pragma GCC unroll 2
    for (int j = 0; j < P; j++) {
      const V<T> at = load(d + i + j * L);
#pragma GCC unroll 8
      for (int e = 0; e < E; e++) sums[e][j] += at * load(p[e] + i + j * L);
    }
  for (; i < n; i += L)
    for (int e = 0; e < E; e++) sums[e][0] += load(d + i) * load(p[e] + i);
#pragma GCC unroll 8
  for (int e = 0; e < E; e++) gradient[e] += sum<T>(P == 2 ? sums[e][0] + sums[e][P - 1] : sums[e][0]);
}
// The gradients of all weights; name(r) is the place of row r's delta.
template <class T>
void some_gradients(int64_t some, const T *d, const uint16_t *indices, const T *x, int64_t stride, int64_t n,
                    T *gradient) {
  switch (some) {
    case 1: return row_gradients<T, 1>(d, indices, x, stride, n, gradient);
    case 2: return row_gradients<T, 2>(d, indices, x, stride, n, gradient);
    case 3: return row_gradients<T, 3>(d, indices, x, stride, n, gradient);
    case 4: return row_gradients<T, 4>(d, indices, x, stride, n, gradient);
    case 5: return row_gradients<T, 5>(d, indices, x, stride, n, gradient);
    case 6: return row_gradients<T, 6>(d, indices, x, stride, n, gradient);
    case 7: return row_gradients<T, 7>(d, indices, x, stride, n, gradient);
    default: return row_gradients<T, 8>(d, indices, x, stride, n, gradient);
  }
}
template <class T, class Name>
inline void value_gradients(const Rows<T> &m, const T *deltas, int64_t delta_stride, const Name &name, const T *x,
                            int64_t stride, int64_t n, T *gradient) {
  for (int64_t r = 0; r < m.rows; r++) {
    const T *const d = deltas + name(r) * delta_stride;
    for (int64_t k = m.starts[r]; k < m.starts[r + 1];) {
      const int64_t left = m.starts[r + 1] - k, some = left < 8 ? left : 8;
      some_gradients<T>(some, d, m.indices + k, x, stride, n, gradient + k);
      k += some;
    }
  }
}
template <class T>
inline T total(const T *d, int64_t n) {
  V<T> sums = {};
  for (int64_t i = 0; i < n; i += lanes<T>) sums += load(d + i);
  return sum<T>(sums);
}

// Compiled once, in recurrent_products.cpp: all who include this share it.
#define SW_RECURRENT_PRODUCTS(T, EXTERN)                                                                             \
  EXTERN template void one_step<T>(int64_t vectors, const Rows<T> &m, int64_t from, int64_t to, const T *base,       \
                                   const T *bias, const T *x, T *y, int64_t W);                                      \
  EXTERN template void all_steps<T>(int64_t vectors, const Rows<T> &m, int64_t steps, const T *bias, bool adds,      \
                                    const T *x, int64_t stride, const Target<T> &y);                                 \
  EXTERN template void some_gradients<T>(int64_t some, const T *d, const uint16_t *indices, const T *x,              \
                                         int64_t stride, int64_t n, T *gradient);
#ifndef SW_RECURRENT_PRODUCTS_HERE
SW_RECURRENT_PRODUCTS(float, extern)
SW_RECURRENT_PRODUCTS(double, extern)
#endif

}  // namespace SW_WIDE
}  // namespace sw
