// Forward: y = W x + b over one tile. A row's sum stays in registers while the block's weights of that row go by.
#pragma once
#include "functions.hpp"
#include "junctions.hpp"
#include "tiles.hpp"

namespace sw {
inline namespace SW_WIDE {

#if SW_BYTES == 64 || defined(__aarch64__)
constexpr bool kManyRegisters = true;
#else
constexpr bool kManyRegisters = false;
#endif

template <class T>
SW_INLINE V<T> activate(V<T> z, int64_t activation) {
  switch (activation) {
    case kRelu: return z > V<T>{} ? z : (z != z ? z : V<T>{});  // NaN goes through, as in torch
    case kTanh: return tanh_<T>(z);
    case kSigmoid: return sigmoid_<T>(z);
    default: return z;
  }
}

// dL/da → dL/dz, given a = act(z).
template <class T>
SW_INLINE V<T> slope(V<T> grad, V<T> a, int64_t activation) {
  switch (activation) {
    case kRelu: return a <= V<T>{} ? V<T>{} : grad;
    case kTanh: return grad * (T(1) - a * a);
    case kSigmoid: return grad * ((T(1) - a) * a);
    default: return grad;
  }
}

// So many sums of each kind, that an addition need not wait for the one before it, as far as there are registers.
constexpr int several(int sums) {
  const int most = kManyRegisters ? 16 : 8;
  return sums >= most ? 1 : most / sums < 4 ? most / sums : 4;
}

// What is the same for all rows of a block: W is the tile's width, X the activations of this block's inputs.
template <class T>
struct Pass {
  const Layer *layer;
  int64_t number;
  const T *values, *bias;
  const T *X;
  T *Y;
  bool first() const { return number == 0; }
  bool last() const { return number + 1 == layer->blocks(); }
};

// Y[row][offset … offset + NV vectors) of rows without grouping.
template <class T, int NW>
inline void forward_rows(const Pass<T> &pass, int64_t from, int64_t to) {
  constexpr int64_t L = lanes<T>, W = NW * L;
  constexpr int U = several(NW);
  const Layer &layer = *pass.layer;
  const int32_t *starts = layer.starts + pass.number * (layer.outputs + 1);
  const bool first = pass.first(), last = pass.last();
  for (int64_t r = from; r < to; r++) {
    int64_t k = starts[r];
    const int64_t end = starts[r + 1];
    if (k == end && !first && !last) continue;
    T *y = pass.Y + r * W;
    V<T> a[U][NW];
    const V<T> b = all<T>(pass.bias ? pass.bias[r] : T(0));
#pragma GCC unroll 4
    for (int j = 0; j < NW; j++) a[0][j] = first ? b : load(y + j * L);
#pragma GCC unroll 4
    for (int u = 1; u < U; u++)
#pragma GCC unroll 4
      for (int j = 0; j < NW; j++) a[u][j] = V<T>{};
    for (; k + U <= end; k += U)
#pragma GCC unroll 4
      for (int u = 0; u < U; u++) {
        const T *x = pass.X + int64_t(layer.columns[k + u]) * W;
        const V<T> v = all<T>(pass.values[k + u]);
#pragma GCC unroll 4
        for (int j = 0; j < NW; j++) a[u][j] += v * load(x + j * L);
      }
    for (; k < end; k++) {
      const T *x = pass.X + int64_t(layer.columns[k]) * W;
      const V<T> v = all<T>(pass.values[k]);
#pragma GCC unroll 4
      for (int j = 0; j < NW; j++) a[0][j] += v * load(x + j * L);
    }
#pragma GCC unroll 4
    for (int u = 1; u < U; u++)
#pragma GCC unroll 4
      for (int j = 0; j < NW; j++) a[0][j] += a[u][j];
    if (last && layer.activation)
#pragma GCC unroll 4
      for (int j = 0; j < NW; j++) a[0][j] = activate<T>(a[0][j], layer.activation);
#pragma GCC unroll 4
    for (int j = 0; j < NW; j++) store(y + j * L, a[0][j]);
  }
}

// The columns of one pattern P: a load of x serves all rows in P.
template <class T, int W, int NV, int U, int P>
SW_INLINE void forward_pattern(const int16_t *columns, const T *&values, int64_t n, const T *X, V<T> (&a)[U][4][NV]) {
  constexpr int64_t L = lanes<T>;
  constexpr int first = 0, second = first + (P & 1), third = second + (P >> 1 & 1), fourth = third + (P >> 2 & 1);
  constexpr int place[4] = {first, second, third, fourth};
  const T *v = values;
  const auto step = [&](int64_t k, int u) __attribute__((always_inline)) {
    const T *p = X + int64_t(columns[k]) * W;
    V<T> x[NV];
#pragma GCC unroll 4
    for (int j = 0; j < NV; j++) x[j] = load(p + j * L);
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++)
      if (P >> r & 1) {
        const V<T> w = all<T>(v[place[r] * n + k]);
#pragma GCC unroll 4
        for (int j = 0; j < NV; j++) a[u][r][j] += w * x[j];
      }
  };
  int64_t k = 0;
  for (; k + U <= n; k += U)
#pragma GCC unroll 4
    for (int u = 0; u < U; u++) step(k + u, u);
  for (; k < n; k++) step(k, 0);
  values = v + n * __builtin_popcount(P);
}
template <class T, int W, int NV, int U, int P = 1>
SW_INLINE void forward_patterns(const int16_t *columns, const int32_t *starts, const T *values, const T *X,
                                V<T> (&a)[U][4][NV]) {
  if constexpr (P < 16) {
    forward_pattern<T, W, NV, U, P>(columns + starts[P - 1], values, starts[P] - starts[P - 1], X, a);
    forward_patterns<T, W, NV, U, P + 1>(columns, starts, values, X, a);
  }
}

template <class T, int NW, int NV, int OFFSET>
inline void forward_groups_part(const Pass<T> &pass, int64_t from, int64_t to) {
  constexpr int64_t L = lanes<T>, W = NW * L;
  constexpr int U = several(4 * NV);
  const Layer &layer = *pass.layer;
  const bool first = pass.first(), last = pass.last();
  for (int64_t g = from; g < to; g++) {
    const int32_t *starts = layer.starts + (pass.number * layer.groups() + g) * kStarts;
    if (starts[0] == starts[15] && !first && !last) continue;
    const int64_t rows = layer.outputs - g * kGroup;
    T *y = pass.Y + g * kGroup * W + OFFSET * L;
    V<T> a[U][4][NV] = {};
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++) {
      const V<T> b = all<T>(pass.bias && r < rows ? pass.bias[g * kGroup + r] : T(0));
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) a[0][r][j] = first || r >= rows ? b : load(y + r * W + j * L);
    }
    forward_patterns<T, W, NV, U>(layer.columns, starts, pass.values + starts[16], pass.X + OFFSET * L, a);
#pragma GCC unroll 4
    for (int u = 1; u < U; u++)
#pragma GCC unroll 4
      for (int r = 0; r < 4; r++)
#pragma GCC unroll 4
        for (int j = 0; j < NV; j++) a[0][r][j] += a[u][r][j];
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++)
      if (r < rows)
#pragma GCC unroll 4
        for (int j = 0; j < NV; j++)
          store(y + r * W + j * L, last && layer.activation ? activate<T>(a[0][r][j], layer.activation) : a[0][r][j]);
  }
}

// Rows (or groups of rows) from … to of Y = act(W X + b), for tiles of NW vectors. X holds all inputs, [inputs][W].
template <class T, int NW>
inline void forward(const Layer &layer, const T *values, const T *bias, const T *X, T *Y, int64_t from, int64_t to) {
  constexpr int64_t W = NW * lanes<T>;
  for (int64_t number = 0; number < layer.blocks(); number++) {
    const Pass<T> pass = {&layer, number, values, bias, X + number * layer.block * W, Y};
    if (layer.group == 1) {
      forward_rows<T, NW>(pass, from, to);
    } else if constexpr (kManyRegisters || NW <= 2) {
      forward_groups_part<T, NW, NW, 0>(pass, from, to);
    } else {
      forward_groups_part<T, NW, 2, 0>(pass, from, to);
      forward_groups_part<T, NW, NW - 2, 2>(pass, from, to);
    }
  }
}
template <class T>
void forward(int64_t vectors, const Layer &layer, const T *values, const T *bias, const T *X, T *Y, int64_t from,
             int64_t to) {
  switch (vectors) {
    case 1: return forward<T, 1>(layer, values, bias, X, Y, from, to);
    case 2: return forward<T, 2>(layer, values, bias, X, Y, from, to);
    case 3: return forward<T, 3>(layer, values, bias, X, Y, from, to);
    default: return forward<T, 4>(layer, values, bias, X, Y, from, to);
  }
}

// Compiled once, in products.cpp: all who include this share it.
#define SW_PRODUCTS(T, EXTERN)                                                                                       \
  EXTERN template void forward<T>(int64_t vectors, const Layer &layer, const T *values, const T *bias, const T *X, \
                                  T *Y, int64_t from, int64_t to);
#ifndef SW_PRODUCTS_HERE
SW_PRODUCTS(float, extern)
SW_PRODUCTS(double, extern)
#endif

}  // namespace SW_WIDE
}  // namespace sw
