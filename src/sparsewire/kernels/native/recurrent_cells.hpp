// One step of a cell, number by number: what is left when the products are done. Gates are in torch's order.
#pragma once
#include "functions.hpp"
#include "recurrent_network.hpp"

namespace sw {
inline namespace SW_WIDE {

// Everything is [number][W] unless a stride says otherwise. Of `vectors` vectors the first `active` have sequences at
// step t; a column whose sequence is over (ends ≤ t) carries its state on, or its gradient back, unchanged.
template <class T>
struct Moment {
  int64_t hidden, width, vectors, active, stride;
  T t;
  const T *ends;
  T *record;            // what is kept of this step; for the simple cells only z
  T *history, *before;  // the histories' slots of this step and of the one before, `stride` apart
  T *h, *c;             // the state; backward: its gradient
  // Backward: the output's gradient (may be null); the deltas of the gates for this step's product and for all steps'.
  const T *above;
  T *delta, *deltas;
  int64_t above_stride, deltas_stride;

  typename Vector<T>::whole on(int64_t j) const { return load(ends + j * lanes<T>) > all<T>(t); }
  int64_t gate(int64_t number) const { return number * hidden * width; }
};

// each(unit, vector, its place in [hidden][W]) for all that is active.
template <class T, class Each>
SW_INLINE void each_active(const Moment<T> &m, const Each &each) {
  for (int64_t u = 0; u < m.hidden; u++)
    for (int64_t j = 0; j < m.active; j++) each(u, j, u * m.width + j * lanes<T>);
}

// Forward: z = the gates' sums is in the record; afterwards h (and c) is the new state, also in the history.
template <class T, int K>
inline void cell_forward(const Moment<T> &m) {
  constexpr int64_t L = lanes<T>;
  each_active(m, [&](int64_t u, int64_t j, int64_t i) {
    const typename Vector<T>::whole on = m.on(j);
    T *const z = m.record + i;
    const V<T> old = load(m.h + i);
    V<T> h;
    if constexpr (K == kTanhCell) {
      h = tanh_<T>(load(z));
    } else if constexpr (K == kReluCell) {
      const V<T> s = load(z);
      h = s <= V<T>{} ? V<T>{} : s;  // NaN goes through
    } else if constexpr (K == kGru) {
      const V<T> r = sigmoid_<T>(load(z)), keep = sigmoid_<T>(load(z + m.gate(1)));
      const V<T> n = tanh_<T>(load(z + m.gate(2)) + r * load(z + m.gate(3)));
      store(z, r);
      store(z + m.gate(1), keep);
      store(z + m.gate(2), n);
      h = n + keep * (old - n);
    } else {
      const V<T> in = sigmoid_<T>(load(z)), forget = sigmoid_<T>(load(z + m.gate(1)));
      const V<T> g = tanh_<T>(load(z + m.gate(2))), out = sigmoid_<T>(load(z + m.gate(3)));
      const V<T> c_old = load(m.c + i), c = forget * c_old + in * g, tanh_c = tanh_<T>(c);
      store(z, in);
      store(z + m.gate(1), forget);
      store(z + m.gate(2), g);
      store(z + m.gate(3), out);
      store(z + m.gate(4), c_old);
      store(z + m.gate(5), tanh_c);
      store(m.c + i, on ? c : c_old);
      h = out * tanh_c;
    }
    h = on ? h : old;
    store(m.h + i, h);
    store(m.history + u * m.stride + j * L, h);
  });
  for (int64_t u = 0; u < m.hidden; u++)
    for (int64_t j = m.active; j < m.vectors; j++)
      store(m.history + u * m.stride + j * L, load(m.h + u * m.width + j * L));
}

// Backward: h holds dL/dh (and c dL/dc) after this step. Afterwards delta and deltas hold dL/dz, and h and c what goes
// around the gates to the state before; the caller adds what goes through them. The GRU has a fourth delta, dL/dz of the
// hidden part of its third gate, which is multiplied by r.
template <class T, int K>
inline void cell_backward(const Moment<T> &m) {
  constexpr int64_t L = lanes<T>;
  constexpr int deltas = K == kGru || K == kLstm ? 4 : 1;
  each_active(m, [&](int64_t u, int64_t j, int64_t i) {
    const typename Vector<T>::whole on = m.on(j);
    const T *const z = m.record + i;
    const V<T> zero = {}, dh = m.above ? load(m.h + i) + load(m.above + u * m.above_stride + j * L) : load(m.h + i);
    V<T> d[deltas], past = zero;
    if constexpr (K == kTanhCell) {
      const V<T> h = load(m.history + u * m.stride + j * L);
      d[0] = dh * (T(1) - h * h);
    } else if constexpr (K == kReluCell) {
      const V<T> h = load(m.history + u * m.stride + j * L);
      d[0] = h <= zero ? zero : dh;
    } else if constexpr (K == kGru) {
      const V<T> r = load(z), keep = load(z + m.gate(1)), n = load(z + m.gate(2));
      d[2] = dh * (T(1) - keep) * (T(1) - n * n);
      d[0] = d[2] * load(z + m.gate(3)) * (r * (T(1) - r));
      d[1] = dh * (load(m.before + u * m.stride + j * L) - n) * (keep * (T(1) - keep));
      d[3] = d[2] * r;
      past = dh * keep;
    } else {
      const V<T> in = load(z), forget = load(z + m.gate(1)), g = load(z + m.gate(2)), out = load(z + m.gate(3));
      const V<T> tanh_c = load(z + m.gate(5)), later = load(m.c + i);
      const V<T> dc = later + dh * out * (T(1) - tanh_c * tanh_c);
      d[0] = dc * g * (in * (T(1) - in));
      d[1] = dc * load(z + m.gate(4)) * (forget * (T(1) - forget));
      d[2] = dc * in * (T(1) - g * g);
      d[3] = dh * tanh_c * (out * (T(1) - out));
      store(m.c + i, on ? dc * forget : later);
    }
    store(m.h + i, on ? past : dh);
#pragma GCC unroll 4
    for (int g = 0; g < deltas; g++) {
      const V<T> delta = on ? d[g] : zero;
      store(m.delta + m.gate(g) + i, delta);
      store(m.deltas + (g * m.hidden + u) * m.deltas_stride + j * L, delta);
    }
  });
  for (int64_t u = 0; u < deltas * m.hidden; u++)
    for (int64_t j = m.active; j < m.vectors; j++) store(m.deltas + u * m.deltas_stride + j * L, V<T>{});
}

template <class T>
void forward_cell(int64_t kind, const Moment<T> &m) {
  switch (kind) {
    case kTanhCell: return cell_forward<T, kTanhCell>(m);
    case kReluCell: return cell_forward<T, kReluCell>(m);
    case kGru: return cell_forward<T, kGru>(m);
    default: return cell_forward<T, kLstm>(m);
  }
}
template <class T>
void backward_cell(int64_t kind, const Moment<T> &m) {
  switch (kind) {
    case kTanhCell: return cell_backward<T, kTanhCell>(m);
    case kReluCell: return cell_backward<T, kReluCell>(m);
    case kGru: return cell_backward<T, kGru>(m);
    default: return cell_backward<T, kLstm>(m);
  }
}

// Compiled once, in recurrent_cells.cpp: all who include this share it.
#define SW_CELLS(T, EXTERN) \
  EXTERN template void forward_cell<T>(int64_t kind, const Moment<T> &m); \
  EXTERN template void backward_cell<T>(int64_t kind, const Moment<T> &m);
#ifndef SW_CELLS_HERE
SW_CELLS(float, extern)
SW_CELLS(double, extern)
#endif

}  // namespace SW_WIDE
}  // namespace sw
