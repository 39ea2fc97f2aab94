// A stack of recurrent layers over one batch of sequences: what Python hands over, how the batch is cut into tiles, and
// where in the workspace everything lies.
//
// A tile has W columns, one a sequence, the longest first. A *history* holds the activations of all steps,
// [feature][slot][W], so that a weight's gradient is one scalar product over steps and sequences: slot t + 1 is step t,
// slot 0 the state before the first step, and slot steps + 1 the state before the first step of a backward direction.
// A *record* holds what the backward needs of one step, [gate][hidden][W].
#pragma once
#include "junctions.hpp"
#include "threads.hpp"
#include "tiles.hpp"

namespace sw {
inline namespace SW_WIDE {

enum Kind { kTanhCell, kReluCell, kGru, kLstm };

// A tensor (steps, batch, features) with the features side by side; null where there is none.
struct Sequence {
  void *numbers;
  int64_t step, row;
};

// All fields are 64 bits wide, in the order in which Python writes them. Tensors of states are (layers · directions,
// batch, hidden). The matrices follow: for each layer and direction that of the inputs and that of the states.
struct Network {
  int64_t kind, steps, batch, inputs, hidden, layers, directions, threads;
  Sequence x, output;
  void *h0, *c0, *hn, *cn;
  const int64_t *lengths;
  void *workspace;
  Sequence output_grad, x_grad;
  void *hn_grad, *cn_grad, *h0_grad, *c0_grad;
  Layer matrices[1];

  int64_t cells() const { return layers * directions; }
  const Layer &matrix(int64_t cell, int64_t of_states) const { return matrices[2 * cell + of_states]; }
  int64_t gates() const { return kind == kLstm ? 4 : kind == kGru ? 3 : 1; }
  int64_t recorded() const { return kind == kLstm ? 6 : kind == kGru ? 4 : 0; }  // gates, and what they were made of
  int64_t deltas() const { return kind == kLstm || kind == kGru ? 4 : 1; }
  int64_t width(int64_t layer) const { return layer ? hidden * directions : inputs; }
  int64_t features() const { return inputs + cells() * hidden; }  // that have a history
};

// Columns come in units of one cache line, and a tile has one or two.
template <class T>
constexpr int64_t kUnit = 64 / int64_t(sizeof(T));
constexpr int64_t kUnits = 2;

// Between two features of a history: an odd number of cache lines, so that the features spread over the whole cache.
template <class T>
inline int64_t history_stride(int64_t slots, int64_t width) {
  return (slots * (width / kUnit<T>) | 1) * kUnit<T>;
}
// Numbers in the workspace for one unit of columns; Python allocates by the same formula.
template <class T>
inline int64_t unit_size(const Network &net) {
  return kUnit<T> * (net.features() * (net.steps + 3) + net.cells() * net.steps * net.recorded() * net.hidden);
}

// Memory is first measured, with null as its base, and then handed out.
struct Arena {
  char *base;
  int64_t used = 0;
  template <class T>
  T *of(int64_t numbers) {
    T *const given = base ? reinterpret_cast<T *>(base + used) : nullptr;
    used += (numbers * int64_t(sizeof(T)) + 63) / 64 * 64;
    return given;
  }
};
// What `lay_out` takes from an arena, out of a thread's lasting scratch memory.
template <class LayOut>
inline void allot(Use use, const LayOut &lay_out) {
  Arena measured = {nullptr}, given = {nullptr};
  lay_out(measured);
  given.base = scratch(use).of<char>(measured.used + 64);
  lay_out(given);
}

// Which sequences a tile has, and for how many steps.
template <class T>
struct Tile {
  const int64_t *order;    // of its sequences in the batch
  const int64_t *lengths;  // of them, descending; 0 for a column without sequence
  const T *ends;           // the same as numbers of type T
  int64_t first, rows, width;
  int64_t vectors() const { return width / lanes<T>; }
  int64_t steps() const { return lengths[0]; }
  int64_t active(int64_t t) const {  // vectors with a sequence that has a step t; they come first
    int64_t found = 0;
    while (found < vectors() && lengths[found * lanes<T>] > t) found++;
    return found;
  }
};

// The batch in order of length, cut into tiles.
template <class T>
struct Cut {
  int64_t units, units_of_tile, tiles;
  int64_t *order, *lengths;
  T *ends;

  Cut(const Network &net, int64_t crew) { cut_anew(net.batch, crew); }
  void cut_anew(int64_t batch, int64_t crew) {
    units = (batch + kUnit<T> - 1) / kUnit<T>;
    units_of_tile = units >= kUnits * crew ? kUnits : 1;
    tiles = (units + units_of_tile - 1) / units_of_tile;
  }
  int64_t columns() const { return units * kUnit<T>; }
  void lay_out(Arena &arena, int64_t columns) {
    order = arena.of<int64_t>(columns);
    lengths = arena.of<int64_t>(columns);
    ends = arena.of<T>(columns);
  }
  // Counting sort, stable: a sequence without neighbours of another length stays where it is. `counts` has steps + 1
  // places; the order gets name(b), and length(b) is cut to what there is.
  template <class Name, class Length>
  void sort_by(int64_t batch, int64_t steps, int64_t *counts, const Name &name, const Length &length) {
    const auto cut = [&](int64_t b) {
      const int64_t given = length(b);
      return given < 0 ? 0 : given > steps ? steps : given;
    };
    for (int64_t t = 0; t <= steps; t++) counts[t] = 0;
    for (int64_t b = 0; b < batch; b++) counts[cut(b)]++;
    for (int64_t t = steps, before = 0; t >= 0; t--) {
      const int64_t n = counts[t];
      counts[t] = before;
      before += n;
    }
    for (int64_t b = 0; b < batch; b++) {
      const int64_t place = counts[cut(b)]++;
      order[place] = name(b);
      lengths[place] = cut(b);
    }
    for (int64_t b = batch; b < columns(); b++) lengths[b] = 0;
    for (int64_t b = 0; b < columns(); b++) ends[b] = T(lengths[b]);
  }
  void sort(const Network &net, int64_t *counts) {
    sort_by(net.batch, net.steps, counts, [](int64_t b) { return b; },
            [&](int64_t b) { return net.lengths ? net.lengths[b] : net.steps; });
  }
  Tile<T> tile(const Network &net, int64_t number) const {
    const int64_t first = number * units_of_tile * kUnit<T>, rest = columns() - first;
    const int64_t width = rest < units_of_tile * kUnit<T> ? rest : units_of_tile * kUnit<T>;
    const int64_t rows = net.batch - first < width ? net.batch - first : width;
    return {order + first, lengths + first, ends + first, first, rows, width};
  }
};

// Where the parts of one tile lie in the workspace.
template <class T>
struct Kept {
  const Network &net;
  T *base;
  int64_t width, stride;
  Kept(const Network &net, T *base, int64_t width)
      : net(net), base(base), width(width), stride(history_stride<T>(net.steps + 2, width)) {}
  T *inputs(int64_t layer) const {
    return base + (layer ? net.inputs + (layer - 1) * net.directions * net.hidden : 0) * stride;
  }
  T *states(int64_t cell) const { return base + (net.inputs + cell * net.hidden) * stride; }
  T *records(int64_t cell) const {
    return base + net.features() * stride + cell * net.steps * net.recorded() * net.hidden * width;
  }
};

// place(b)[features] of the tile's sequences b (those with active(b)) → to[f · stride + b], zeros elsewhere.
template <class T, class Place, class Active>
inline void take_rows(const Tile<T> &tile, const Place &place, int64_t features, const Active &active, T *to,
                      int64_t stride) {
  constexpr int64_t L = lanes<T>;
  for (int64_t b = 0; b < tile.width; b += L) {
    decltype(place(0)) rows[L];
    for (int64_t i = 0; i < L; i++) rows[i] = b + i < tile.rows && active(b + i) ? place(b + i) : nullptr;
    for (int64_t f = 0; f < features; f += L) {
      const int64_t some = features - f < L ? features - f : L;
      V<T> square[L];
#pragma GCC unroll 16
      for (int64_t i = 0; i < L; i++) square[i] = rows[i] ? load_some<T>(rows[i] + f, some) : V<T>{};
      transpose<T>(square);
      for (int64_t i = 0; i < some; i++) store(to + (f + i) * stride + b, square[i]);
    }
  }
}
template <class T, class S, class Active>
inline void take(const Tile<T> &tile, const S *x, int64_t row, int64_t features, const Active &active, T *to,
                 int64_t stride) {
  take_rows<T>(tile, [&](int64_t b) { return x + tile.order[b] * row; }, features, active, to, stride);
}
// The way back; zeros for the sequences without active(b).
template <class T, class S, class Active>
inline void give(const Tile<T> &tile, const T *from, int64_t stride, const Active &active, S *y, int64_t row,
                 int64_t features) {
  constexpr int64_t L = lanes<T>;
  for (int64_t b = 0; b < tile.rows; b += L)
    for (int64_t f = 0; f < features; f += L) {
      const int64_t some = features - f < L ? features - f : L;
      V<T> square[L];
#pragma GCC unroll 16
      for (int64_t i = 0; i < L; i++) square[i] = i < some ? load(from + (f + i) * stride + b) : V<T>{};
      transpose<T>(square);
      for (int64_t i = 0; i < L && b + i < tile.rows; i++)
        store_some<T>(y + tile.order[b + i] * row + f, active(b + i) ? square[i] : V<T>{}, some);
    }
}
// Whole sequences: step t of the tensor is slot t of the history.
template <class T, class S>
inline void take_sequence(const Network &net, const Tile<T> &tile, const Sequence &x, int64_t features, T *to,
                          int64_t stride) {
  (void)net;
  for (int64_t t = 0; t < tile.steps(); t++)
    take<T>(tile, static_cast<const S *>(x.numbers) + t * x.step, x.row, features,
            [&](int64_t b) { return tile.lengths[b] > t; }, to + t * tile.width, stride);
}
template <class T, class S>
inline void give_sequence(const Network &net, const Tile<T> &tile, const T *from, int64_t stride, const Sequence &y,
                          int64_t features) {
  for (int64_t t = 0; t < net.steps; t++) {
    S *const to = static_cast<S *>(y.numbers) + t * y.step;
    if (t < tile.steps())
      give<T>(tile, from + t * tile.width, stride, [&](int64_t b) { return tile.lengths[b] > t; }, to, y.row, features);
    else
      for (int64_t b = 0; b < tile.rows; b++) memset(to + tile.order[b] * y.row, 0, size_t(features) * sizeof(S));
  }
}

}  // namespace SW_WIDE
}  // namespace sw
