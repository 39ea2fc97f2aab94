// What a cell's deltas of all steps become: the gradients of its weights, and the slopes of what it reads.
#pragma once
#include "wired_cells.hpp"

namespace sw {
inline namespace SW_WIDE {

constexpr int64_t kDotRows = 4, kDotColumns = SW_BYTES == 64 ? 4 : 2;  // as many sums as there are registers for

// out[r · E + e] = <d[r], x[e]> over n numbers, a whole number of vectors. All sums are made in one fixed order.
template <class T, int R, int E>
inline void dots(const T *const *d, const T *const *x, int64_t n, T *out) {
  constexpr int64_t L = lanes<T>;
  V<T> sums[R * E] = {};
  for (int64_t i = 0; i < n; i += L) {
    V<T> some[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) some[r] = load(d[r] + i);
#pragma GCC unroll 4
    for (int e = 0; e < E; e++) {
      const V<T> at = load(x[e] + i);
#pragma GCC unroll 4
      for (int r = 0; r < R; r++) sums[r * E + e] += some[r] * at;
    }
  }
#pragma GCC unroll 8
  for (int64_t from = 0; from < R * E; from += L) {
    V<T> square[L];
#pragma GCC unroll 16
    for (int64_t i = 0; i < L; i++) square[i] = from + i < R * E ? sums[from + i < R * E ? from + i : 0] : V<T>{};
    transpose<T>(square);
    V<T> total = square[0];
#pragma GCC unroll 16
    for (int64_t i = 1; i < L; i++) total += square[i];
    store(out + from, total);
  }
}
template <class T, int R>
inline void dots_of(int64_t columns, const T *const *d, const T *const *x, int64_t n, T *out) {
  switch (columns) {
    case 1: return dots<T, R, 1>(d, x, n, out);
    case 2: return dots<T, R, 2>(d, x, n, out);
    case 3: return dots<T, R, kDotColumns < 3 ? 1 : 3>(d, x, n, out);
    default: return dots<T, R, kDotColumns < 4 ? 1 : 4>(d, x, n, out);
  }
}
template <class T>
inline void dots(int64_t rows, int64_t columns, const T *const *d, const T *const *x, int64_t n, T *out) {
  switch (rows) {
    case 1: return dots_of<T, 1>(columns, d, x, n, out);
    case 2: return dots_of<T, 2>(columns, d, x, n, out);
    case 3: return dots_of<T, 3>(columns, d, x, n, out);
    default: return dots_of<T, 4>(columns, d, x, n, out);
  }
}

// gradient[r][c] += <delta of row r, history of column c> for some rows and columns; delta(r), history(c) and place(r, c)
// say where they are. The columns are shared out evenly, as single ones cost most.
template <class T, class Delta, class History, class Place>
inline void add_dots(int64_t rows, int64_t columns, int64_t n, const Delta &delta, const History &history,
                     const Place &place) {
  const int64_t parts = (columns + kDotColumns - 1) / kDotColumns;
  for (int64_t r = 0; r < rows; r += kDotRows) {
    const int64_t some = rows - r < kDotRows ? rows - r : kDotRows;
    const T *d[kDotRows], *x[kDotColumns];
    for (int64_t i = 0; i < some; i++) d[i] = delta(r + i);
    for (int64_t part = 0; part < parts; part++) {
      const int64_t from = share(columns, parts, part), wide = share(columns, parts, part + 1) - from;
      for (int64_t e = 0; e < wide; e++) x[e] = history(from + e);
      T out[kDotRows * kDotColumns + lanes<T>];
      dots<T>(some, wide, d, x, n, out);
      for (int64_t i = 0; i < some; i++)
        for (int64_t e = 0; e < wide; e++) *place(r + i, from + e) += out[i * wide + e];
    }
  }
}

// Adds a cell's gradients; those of input weights that do not exist only where `everything` is wanted.
template <class T>
void add_gradients(const Sweep<T> &s, const Gradients<T> &to, bool everything) {
  const Wire<T> &wire = s.wire;
  const int64_t H = wire.units, G = gates_of(wire.kind), C = wire.columns, D = s.woven.slopes_stride;
  const int64_t n = s.woven.steps * s.woven.width;
  const auto of_states = [&](int64_t row) { return sum_of_states(wire.kind, row / H) * H + row % H; };
  if (everything)
    add_dots<T>(G * H, C, n, [&](int64_t r) { return s.deltas + r * D; },
                [&](int64_t c) { return s.woven.slot(wire.sources[c], 1); },
                [&](int64_t r, int64_t c) { return to.inputs + r * C + c; });
  for (int64_t u = 0; u < H && !everything; u++) {
    const int32_t first = s.cell.starts[u];
    add_dots<T>(G, s.cell.starts[u + 1] - first, n, [&](int64_t g) { return s.deltas + (g * H + u) * D; },
                [&](int64_t k) { return s.woven.slot(s.cell.features[first + k], 1); },
                [&](int64_t g, int64_t k) { return to.inputs + (g * H + u) * C + s.cell.columns[first + k]; });
  }
  if (!wire.is_stateless())
    add_dots<T>(G * H, H, n, [&](int64_t r) { return s.deltas + of_states(r) * D; },
                [&](int64_t c) { return s.woven.slot(wire.own + c, 0); },
                [&](int64_t r, int64_t c) { return to.states + r * H + c; });
  for (int64_t row = 0; row < G * H && to.bias; row++) {
    V<T> sums = {}, others = {};
    const T *const d = s.deltas + row * D, *const other = s.deltas + of_states(row) * D;
    for (int64_t i = 0; i < n; i += lanes<T>) sums += load(d + i);
    for (int64_t i = 0; other != d && i < n; i += lanes<T>) others += load(other + i);
    const T one = sum<T>(sums);
    to.bias[row] += one;
    if (to.state_bias) to.state_bias[row] += other == d ? one : sum<T>(others);
  }
}

// slopes[feature] += sum of weight · delta, over M vectors.
template <class T, int M>
inline void slopes_of(const Sweep<T> &s, int64_t c, int64_t i, T *to) {
  constexpr int64_t L = lanes<T>;
  const int64_t H = s.wire.units, G = gates_of(s.wire.kind), D = s.woven.slopes_stride;
  V<T> sums[M];
#pragma GCC unroll 8
  for (int m = 0; m < M; m++) sums[m] = load(to + i + m * L);
  for (int64_t k = s.cell.column_starts[c]; k < s.cell.column_starts[c + 1]; k++)
    for (int64_t g = 0; g < G; g++) {
      const V<T> v = all<T>(s.cell.values_back[k * G + g]);
      const T *const d = s.deltas + (g * H + s.cell.units[k]) * D + i;
#pragma GCC unroll 8
      for (int m = 0; m < M; m++) sums[m] += v * load(d + m * L);
    }
#pragma GCC unroll 8
  for (int m = 0; m < M; m++) store(to + i + m * L, sums[m]);
}
// For all columns whose feature is `least` or more.
template <class T>
void add_slopes(const Sweep<T> &s, int64_t least) {
  constexpr int64_t L = lanes<T>;
  const int64_t n = s.woven.steps * s.woven.width;
  for (int64_t c = 0; c < s.wire.columns; c++) {
    if (s.wire.sources[c] < least || s.cell.column_starts[c] == s.cell.column_starts[c + 1]) continue;
    T *const to = s.slopes + s.wire.sources[c] * s.woven.slopes_stride;
    int64_t i = 0;
    for (; i + 8 * L <= n; i += 8 * L) slopes_of<T, 8>(s, c, i, to);
    for (; i < n; i += L) slopes_of<T, 1>(s, c, i, to);
  }
}

// Compiled once, in wired_gradients.cpp: all who include this share it.
#define SW_WIRED_GRADIENTS(T, EXTERN) \
  EXTERN template void add_gradients<T>(const Sweep<T> &s, const Gradients<T> &to, bool everything); \
  EXTERN template void add_slopes<T>(const Sweep<T> &s, int64_t least);
#ifndef SW_WIRED_GRADIENTS_HERE
SW_WIRED_GRADIENTS(float, extern)
SW_WIRED_GRADIENTS(double, extern)
#endif

}  // namespace SW_WIDE
}  // namespace sw
