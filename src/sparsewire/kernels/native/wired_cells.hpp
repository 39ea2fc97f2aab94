// The sweeps of one cell over all steps of a tile: forward, back, and what its inputs are told.
#pragma once
#include "functions.hpp"
#include "wired_weights.hpp"

namespace sw {
inline namespace SW_WIDE {

template <class T>
struct Sweep {
  const Wire<T> &wire;
  const Threads<T> &cell;
  const Tile<T> &tile;
  const Woven<T> &woven;
  T *record;           // [step][what is kept][unit][W]
  T *state, *memory;   // [unit][W]: backward the state's gradient; the LSTM's cell state, or its gradient
  T *deltas, *slopes;  // [sum][unit] and [feature], each [step][W]
  T *at(int64_t step, int64_t number) const {
    return record + (step * recorded_of(wire.kind) + number) * wire.units * woven.width;
  }
};

// Of a unit from its sums: its new state; what the backward needs is kept at `to`, `gap` apart.
template <class T, int K>
SW_INLINE V<T> new_state(const V<T> *sums, V<T> old, typename Vector<T>::whole on, T *to, int64_t gap, T *memory) {
  if constexpr (K == kTanhCell) {
    return tanh_<T>(sums[0]);
  } else if constexpr (K == kReluCell) {
    return sums[0] <= V<T>{} ? V<T>{} : sums[0];  // NaN goes through
  } else if constexpr (K == kGru) {
    const V<T> r = sigmoid_<T>(sums[0]), keep = sigmoid_<T>(sums[1]), n = tanh_<T>(sums[2] + r * sums[3]);
    store(to, r);
    store(to + gap, keep);
    store(to + 2 * gap, n);
    store(to + 3 * gap, sums[3]);
    return n + keep * (old - n);
  } else if constexpr (K == kLstm) {
    const V<T> in = sigmoid_<T>(sums[0]), forget = sigmoid_<T>(sums[1]), g = tanh_<T>(sums[2]);
    const V<T> out = sigmoid_<T>(sums[3]), c_old = load(memory), c = forget * c_old + in * g, tanh_c = tanh_<T>(c);
    store(to, in);
    store(to + gap, forget);
    store(to + 2 * gap, g);
    store(to + 3 * gap, out);
    store(to + 4 * gap, c_old);
    store(to + 5 * gap, tanh_c);
    store(memory, on ? c : c_old);
    return out * tanh_c;
  } else {
    return sums[0];
  }
}

// Step t of the N vectors from column j on.
template <class T, int K, int N>
inline void forward_at(const Sweep<T> &s, int64_t t, int64_t j) {
  constexpr int64_t L = lanes<T>, G = gates_of(K), S = sums_of(K);
  const Wire<T> &wire = s.wire;
  const int64_t H = wire.units, W = s.woven.width, stride = s.woven.stride;
  const T *const now = s.woven.slot(0, t + 1) + j, *const before = s.woven.slot(wire.own, t) + j;
  T *const own = s.woven.slot(wire.own, t + 1) + j, *const target = s.woven.slot(wire.target, t + 1) + j;
  T *const record = s.at(t, 0) + j;
  typename Vector<T>::whole on[N];
  for (int n = 0; n < N; n++) on[n] = load(s.tile.ends + j + n * L) > all<T>(T(t));
  for (int64_t u = 0; u < H; u++) {
    V<T> sums[N][S];
#pragma GCC unroll 2
    for (int n = 0; n < N; n++)
#pragma GCC unroll 4
      for (int g = 0; g < S; g++) sums[n][g] = all<T>(s.cell.bias[u * S + g]);
    for (int64_t k = s.cell.starts[u]; k < s.cell.starts[u + 1]; k++) {
      const T *const x = now + s.cell.features[k] * stride, *const v = s.cell.values + k * G;
#pragma GCC unroll 4
      for (int g = 0; g < G; g++)
#pragma GCC unroll 2
        for (int n = 0; n < N; n++) sums[n][g] += all<T>(v[g]) * load(x + n * L);
    }
    if constexpr (K != kLinearCell) {
      const T *v = s.cell.states + u * H * G;
      for (int64_t c = 0; c < H; c++, v += G)
#pragma GCC unroll 4
        for (int g = 0; g < G; g++)
#pragma GCC unroll 2
          for (int n = 0; n < N; n++) sums[n][sum_of_states(K, g)] += all<T>(v[g]) * load(before + c * stride + n * L);
    }
#pragma GCC unroll 2
    for (int n = 0; n < N; n++) {
      const V<T> old = load(before + u * stride + n * L);
      const V<T> fresh = new_state<T, K>(sums[n], old, on[n], record + u * W + n * L, H * W, s.memory + u * W + j + n * L);
      const V<T> h = on[n] ? fresh : old;
      T *const to = target + u * stride + n * L;
      store(own + u * stride + n * L, h);
      if (target != own) store(to, wire.adds ? load(to) + h : h);
    }
  }
}
// All steps; the slots before the first are zero.
template <class T, int K>
inline void forward_all(const Sweep<T> &s) {
  constexpr int64_t L = lanes<T>;
  if (K == kLstm) memset(s.memory, 0, size_t(s.wire.units * s.woven.width) * sizeof(T));
  for (int64_t t = 0; t < s.woven.steps; t++) {
    int64_t j = 0;
    for (; j + 2 * L <= s.woven.width; j += 2 * L) forward_at<T, K, 2>(s, t, j);
    for (; j < s.woven.width; j += L) forward_at<T, K, 1>(s, t, j);
  }
}

// The deltas of a unit from the slope of its new state; `past` is what of it goes around the gates to the old one.
template <class T, int K>
SW_INLINE void slopes_of_sums(V<T> dh, V<T> h, V<T> old, typename Vector<T>::whole on, const T *kept, int64_t gap,
                              T *memory, V<T> *d, V<T> &past) {
  past = V<T>{};
  if constexpr (K == kTanhCell) {
    d[0] = dh * (T(1) - h * h);
  } else if constexpr (K == kReluCell) {
    d[0] = h <= V<T>{} ? V<T>{} : dh;
  } else if constexpr (K == kGru) {
    const V<T> r = load(kept), keep = load(kept + gap), n = load(kept + 2 * gap);
    d[2] = dh * (T(1) - keep) * (T(1) - n * n);
    d[0] = d[2] * load(kept + 3 * gap) * (r * (T(1) - r));
    d[1] = dh * (old - n) * (keep * (T(1) - keep));
    d[3] = d[2] * r;
    past = dh * keep;
  } else if constexpr (K == kLstm) {
    const V<T> in = load(kept), forget = load(kept + gap), g = load(kept + 2 * gap), out = load(kept + 3 * gap);
    const V<T> tanh_c = load(kept + 5 * gap), later = load(memory), dc = later + dh * out * (T(1) - tanh_c * tanh_c);
    d[0] = dc * g * (in * (T(1) - in));
    d[1] = dc * load(kept + 4 * gap) * (forget * (T(1) - forget));
    d[2] = dc * in * (T(1) - g * g);
    d[3] = dh * tanh_c * (out * (T(1) - out));
    store(memory, on ? dc * forget : later);
  } else {
    d[0] = dh;
  }
}

// state[c] += sum over units and gates of weight · delta, for C states from number c on.
template <class T, int K, int N, int C>
inline void back_through_states(const Sweep<T> &s, const T *v, const T *deltas, T *state) {
  constexpr int64_t L = lanes<T>, G = gates_of(K);
  const int64_t H = s.wire.units, W = s.woven.width, stride = s.woven.slopes_stride;
  V<T> sums[C][N];
#pragma GCC unroll 4
  for (int c = 0; c < C; c++)
#pragma GCC unroll 2
    for (int n = 0; n < N; n++) sums[c][n] = load(state + c * W + n * L);
  for (int64_t u = 0; u < H; u++)
#pragma GCC unroll 4
    for (int g = 0; g < G; g++, v += kColumns) {
      const T *const d = deltas + (sum_of_states(K, g) * H + u) * stride;
#pragma GCC unroll 4
      for (int c = 0; c < C; c++)
#pragma GCC unroll 2
        for (int n = 0; n < N; n++) sums[c][n] += all<T>(v[c]) * load(d + n * L);
    }
#pragma GCC unroll 4
  for (int c = 0; c < C; c++)
#pragma GCC unroll 2
    for (int n = 0; n < N; n++) store(state + c * W + n * L, sums[c][n]);
}

template <class T, int K, int N>
inline void backward_at(const Sweep<T> &s, int64_t t, int64_t j) {
  constexpr int64_t L = lanes<T>, G = gates_of(K), S = sums_of(K);
  const Wire<T> &wire = s.wire;
  const int64_t H = wire.units, W = s.woven.width, stride = s.woven.stride, D = s.woven.slopes_stride;
  const T *const own = s.woven.slot(wire.own, t + 1) + j, *const above = s.slopes + wire.target * D + t * W + j;
  const T *const kept = s.at(t, 0) + j;
  T *const deltas = s.deltas + t * W + j;
  for (int64_t u = 0; u < H; u++)
#pragma GCC unroll 2
    for (int n = 0; n < N; n++) {
      const int64_t i = u * W + j + n * L;
      const typename Vector<T>::whole on = load(s.tile.ends + j + n * L) > all<T>(T(t));
      const V<T> dh = load(s.state + i) + load(above + u * D + n * L);
      const V<T> h = load(own + u * stride + n * L), old = load(own + u * stride + n * L - W);
      V<T> d[S], past;
      slopes_of_sums<T, K>(dh, h, old, on, kept + u * W + n * L, H * W, s.memory + i, d, past);
      store(s.state + i, on ? past : dh);
#pragma GCC unroll 4
      for (int g = 0; g < S; g++) store(deltas + (g * H + u) * D + n * L, on ? d[g] : V<T>{});
    }
  if (K == kLinearCell || t == 0) return;
  for (int64_t c = 0; c < H; c += kColumns) {
    const T *const v = s.cell.states_back + c * H * G;
    T *const state = s.state + c * W + j;
    switch (H - c) {
      case 1: back_through_states<T, K, N, 1>(s, v, deltas, state); break;
      case 2: back_through_states<T, K, N, 2>(s, v, deltas, state); break;
      case 3: back_through_states<T, K, N, 3>(s, v, deltas, state); break;
      default: back_through_states<T, K, N, 4>(s, v, deltas, state); break;
    }
  }
}
// All steps, last to first: the deltas of all sums.
template <class T, int K>
inline void backward_all(const Sweep<T> &s) {
  constexpr int64_t L = lanes<T>;
  memset(s.state, 0, size_t(s.wire.units * s.woven.width) * sizeof(T));
  if (K == kLstm) memset(s.memory, 0, size_t(s.wire.units * s.woven.width) * sizeof(T));
  for (int64_t t = s.woven.steps - 1; t >= 0; t--) {
    int64_t j = 0;
    for (; j + 2 * L <= s.woven.width; j += 2 * L) backward_at<T, K, 2>(s, t, j);
    for (; j < s.woven.width; j += L) backward_at<T, K, 1>(s, t, j);
  }
}

template <class T>
void forward_cell(const Sweep<T> &s) {
  switch (s.wire.kind) {
    case kTanhCell: return forward_all<T, kTanhCell>(s);
    case kReluCell: return forward_all<T, kReluCell>(s);
    case kGru: return forward_all<T, kGru>(s);
    case kLstm: return forward_all<T, kLstm>(s);
    default: return forward_all<T, kLinearCell>(s);
  }
}
template <class T>
void backward_cell(const Sweep<T> &s) {
  switch (s.wire.kind) {
    case kTanhCell: return backward_all<T, kTanhCell>(s);
    case kReluCell: return backward_all<T, kReluCell>(s);
    case kGru: return backward_all<T, kGru>(s);
    case kLstm: return backward_all<T, kLstm>(s);
    default: return backward_all<T, kLinearCell>(s);
  }
}

// Compiled once, in wired_cells.cpp: all who include this share it.
#define SW_WIRED_CELLS(T, EXTERN) \
  EXTERN template void forward_cell<T>(const Sweep<T> &s); \
  EXTERN template void backward_cell<T>(const Sweep<T> &s);
#ifndef SW_WIRED_CELLS_HERE
SW_WIRED_CELLS(float, extern)
SW_WIRED_CELLS(double, extern)
#endif

}  // namespace SW_WIDE
}  // namespace sw
