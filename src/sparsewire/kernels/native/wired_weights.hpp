// The weights of a cell as its sweeps want them: the numbers of a unit's gates side by side.
#pragma once
#include "wired_network.hpp"

namespace sw {
inline namespace SW_WIDE {

constexpr int64_t kColumns = 4;  // states whose gradients are made together

// A cell's weights. Its input weights are few: unit by unit those that exist (for at least one gate), and the same by
// column for the way back. Those of its states are dense.
template <class T>
struct Threads {
  int32_t *starts, *features, *columns;  // of each unit, and the end; of each link
  T *values;                             // [link][gate]
  int32_t *column_starts, *units, *links;
  T *values_back;                        // [link by column][gate]
  T *states;                             // [unit][column][gate]
  T *states_back;                        // [columns in fours][unit][gate][of the four]
  T *bias;                               // [unit][sum]
};

// Whether a gate of unit u has a weight from column c. Without a mask a zero is one unless `by_value`.
template <class T>
inline bool is_linked(const Wire<T> &wire, int64_t u, int64_t c, bool by_value) {
  for (int64_t g = 0; g < gates_of(wire.kind); g++) {
    const int64_t at = (g * wire.units + u) * wire.columns + c;
    if (wire.inputs.mask ? wire.inputs.mask[at] != 0 : !by_value || wire.inputs.values[at] != 0) return true;
  }
  return false;
}

// After the weights have changed, the links having stayed.
template <class T>
inline void renew(const Wire<T> &wire, const Threads<T> &cell) {
  const int64_t H = wire.units, G = gates_of(wire.kind), S = sums_of(wire.kind), C = wire.columns;
  for (int64_t u = 0; u < H; u++)
    for (int64_t k = cell.starts[u]; k < cell.starts[u + 1]; k++)
      for (int64_t g = 0; g < G; g++)
        cell.values[k * G + g] = wire.inputs.values[(g * H + u) * C + cell.columns[k]];
  for (int64_t k = 0; k < cell.column_starts[C]; k++)
    for (int64_t g = 0; g < G; g++) cell.values_back[k * G + g] = cell.values[cell.links[k] * G + g];
  for (int64_t u = 0; u < H; u++)
    for (int64_t s = 0; s < S; s++) cell.bias[u * S + s] = 0;
  for (int64_t u = 0; u < H; u++)
    for (int64_t g = 0; wire.bias && g < G; g++) {
      cell.bias[u * S + g] += wire.bias[g * H + u];
      if (wire.state_bias) cell.bias[u * S + sum_of_states(wire.kind, g)] += wire.state_bias[g * H + u];
    }
  if (wire.is_stateless()) return;
  for (int64_t g = 0; g < G; g++)
    for (int64_t u = 0; u < H; u++)
      for (int64_t c = 0; c < H; c++) {
        const T value = wire.states.values[(g * H + u) * H + c];
        cell.states[(u * H + c) * G + g] = value;
        cell.states_back[((c / kColumns * H + u) * G + g) * kColumns + c % kColumns] = value;
      }
}

template <class T>
inline void link_by_column(const Wire<T> &wire, const Threads<T> &cell) {
  const int64_t links = cell.starts[wire.units];
  memset(cell.column_starts, 0, size_t(wire.columns + 2) * sizeof(int32_t));
  for (int64_t k = 0; k < links; k++) cell.column_starts[cell.columns[k] + 2]++;
  for (int64_t c = 0; c < wire.columns; c++) cell.column_starts[c + 2] += cell.column_starts[c + 1];
  for (int64_t u = 0; u < wire.units; u++)
    for (int64_t k = cell.starts[u]; k < cell.starts[u + 1]; k++) {
      const int32_t to = cell.column_starts[cell.columns[k] + 1]++;
      cell.units[to] = int32_t(u);
      cell.links[to] = int32_t(k);
    }
}

// Takes memory for a cell's weights, and fills it once the arena has some.
template <class T>
inline void lay_out(const Wire<T> &wire, bool by_value, Arena &arena, Threads<T> &cell) {
  const int64_t H = wire.units, G = gates_of(wire.kind), blocks = (H + kColumns - 1) / kColumns;
  int64_t links = 0;
  for (int64_t u = 0; u < H; u++)
    for (int64_t c = 0; c < wire.columns; c++) links += is_linked(wire, u, c, by_value);
  cell.starts = arena.of<int32_t>(H + 1);
  cell.features = arena.of<int32_t>(links);
  cell.columns = arena.of<int32_t>(links);
  cell.values = arena.of<T>(links * G);
  cell.column_starts = arena.of<int32_t>(wire.columns + 2);
  cell.units = arena.of<int32_t>(links);
  cell.links = arena.of<int32_t>(links);
  cell.values_back = arena.of<T>(links * G);
  cell.states = arena.of<T>(wire.is_stateless() ? 0 : H * H * G);
  cell.states_back = arena.of<T>(wire.is_stateless() ? 0 : blocks * kColumns * H * G);
  cell.bias = arena.of<T>(H * sums_of(wire.kind));
  if (!arena.base) return;
  int32_t k = 0;
  for (int64_t u = 0; u < H; u++) {
    cell.starts[u] = k;
    for (int64_t c = 0; c < wire.columns; c++)
      if (is_linked(wire, u, c, by_value)) {
        cell.columns[k] = int32_t(c);
        cell.features[k++] = wire.sources[c];
      }
  }
  cell.starts[H] = k;
  link_by_column(wire, cell);
  if (!wire.is_stateless()) memset(cell.states_back, 0, size_t(blocks * kColumns * H * G) * sizeof(T));
  renew(wire, cell);
}

// Where a wire's gradients are added up; those of biases may be null, of the states' only or of both.
template <class T>
struct Gradients {
  T *inputs, *states, *bias, *state_bias;
};

}  // namespace SW_WIDE
}  // namespace sw
