// What one tile of sequences goes through: a stack of recurrent layers forward, and back.
#pragma once
#include "recurrent_cells.hpp"
#include "recurrent_products.hpp"

namespace sw {
inline namespace SW_WIDE {

// Threads for so much work: none is woken for less than about 50 microseconds.
inline int64_t team_for(const Network &net, int64_t unit_vectors, int64_t unit, int64_t passes) {
  double nanoseconds = 0;
  for (int64_t cell = 0; cell < net.cells(); cell++)
    nanoseconds += 0.4 * (net.matrix(cell, 0).count + net.matrix(cell, 1).count) + 10. * net.gates() * net.hidden;
  nanoseconds *= double(passes) * net.steps * unit_vectors * ((net.batch + unit - 1) / unit);
  const int64_t worth = int64_t(nanoseconds / 25000);
  return worth < 2 ? 1 : worth < net.threads ? worth : net.threads;
}

// What all threads read: the weights of every cell as the products want them, and the batch in order.
template <class T>
struct Cell {
  Rows<T> inputs, states;
  Rows<T> inputs_back, states_back;  // transposed, for the backward
  T *bias, *state_bias;              // of the gates' sums; of the hidden part of the GRU's third gate
  int64_t values_at, bias_at;        // places of its gradients among all
};
template <class S, class T>
inline void fill_biases(const Network &net, const Layer &inputs, const Layer &states, const Cell<T> &cell) {
  const int64_t rows = inputs.outputs, shared = net.kind == kGru ? 2 * net.hidden : rows;
  if (!cell.bias) return;
  const S *one = static_cast<const S *>(inputs.bias), *other = static_cast<const S *>(states.bias);
  for (int64_t r = 0; r < rows; r++) {
    cell.bias[r] = r < shared ? number(one[r]) + number(other[r]) : number(one[r]);
    cell.state_bias[r] = number(other[r]);
  }
}

template <class S, class T>
struct Job {
  const Network &net;
  Cut<T> cut;
  int64_t crew;
  Cell<T> *cells = nullptr;
  T *gradients = nullptr;  // [crew][numbers]
  int64_t numbers = 0;

  Job(const Network &net, int64_t crew) : net(net), cut(net, crew), crew(crew < cut.tiles ? crew : cut.tiles) {
    if (this->crew < 1) this->crew = 1;
  }
  // Both deltas of a GRU's third gate are kept: rows of the states' product take the second one.
  int64_t delta_of(int64_t row) const { return net.kind == kGru && row >= 2 * net.hidden ? row + net.hidden : row; }

  // Takes memory for the cells, and fills it once the arena has some.
  void lay_out(Arena &arena, bool backward) {
    Cell<T> *const made = arena.of<Cell<T>>(net.cells());
    if (arena.base) cells = made;
    numbers = 0;
    for (int64_t number = 0; number < net.cells(); number++) {
      const Layer &inputs = net.matrix(number, 0), &states = net.matrix(number, 1);
      Cell<T> cell = {};
      cell.inputs = rows_of<S, T>(inputs, arena);
      cell.states = rows_of<S, T>(states, arena);
      cell.bias = inputs.bias ? arena.of<T>(inputs.outputs) : nullptr;
      cell.state_bias = inputs.bias ? arena.of<T>(inputs.outputs) : nullptr;
      if (backward) {
        cell.inputs_back = transposed(cell.inputs, arena, [](int64_t row) { return row; });
        cell.states_back = transposed(cell.states, arena, [&](int64_t row) { return delta_of(row); });
        cell.values_at = numbers;
        cell.bias_at = numbers + inputs.count + states.count;
        numbers = cell.bias_at + 2 * inputs.outputs;
      }
      if (!arena.base) continue;
      fill_biases<S, T>(net, inputs, states, cell);
      cells[number] = cell;
    }
  }
  void prepare(bool backward) {
    int64_t *counts = nullptr;
    allot(kValues, [&](Arena &arena) {
      counts = arena.of<int64_t>(net.steps + 1);
      cut.lay_out(arena, cut.columns());
      lay_out(arena, backward);
      if (backward) gradients = arena.of<T>(crew * numbers);
    });
    cut.sort(net, counts);
  }
  // After the weights of laid out cells have changed.
  void renew() const {
    for (int64_t number = 0; number < net.cells(); number++) {
      const Layer &inputs = net.matrix(number, 0), &states = net.matrix(number, 1);
      const Cell<T> &cell = cells[number];
      fill_biases<S, T>(net, inputs, states, cell);
      renew_rows<S>(inputs, cell.inputs);
      renew_rows<S>(states, cell.states);
      renew_transposed(cell.inputs, cell.inputs_back);
      renew_transposed(cell.states, cell.states_back);
    }
  }
};

// A state (batch, hidden) of one cell as [hidden][W]; zeros where none is given.
template <class T, class S>
inline void take_state(const Network &net, const Tile<T> &tile, const void *states, int64_t cell, T *to) {
  if (!states) {
    memset(to, 0, size_t(net.hidden * tile.width) * sizeof(T));
    return;
  }
  const S *from = static_cast<const S *>(states) + cell * net.batch * net.hidden;
  take<T>(tile, from, net.hidden, net.hidden, [](int64_t) { return true; }, to, tile.width);
}
template <class T, class S>
inline void give_state(const Network &net, const Tile<T> &tile, const T *from, void *states, int64_t cell) {
  if (!states) return;
  S *to = static_cast<S *>(states) + cell * net.batch * net.hidden;
  give<T>(tile, from, tile.width, [](int64_t) { return true; }, to, net.hidden, net.hidden);
}
template <class T>
inline void copy_to_slot(const Tile<T> &tile, int64_t hidden, const T *state, T *slot, int64_t stride) {
  for (int64_t u = 0; u < hidden; u++)
    memcpy(slot + u * stride, state + u * tile.width, size_t(tile.width) * sizeof(T));
}

// The fields of a moment that no step changes.
template <class T>
inline Moment<T> moment_of(const Network &net, const Tile<T> &tile, int64_t stride, T *h, T *c) {
  Moment<T> m = {};
  m.hidden = net.hidden;
  m.width = tile.width;
  m.vectors = tile.vectors();
  m.stride = stride;
  m.ends = tile.ends;
  m.h = h;
  m.c = c;
  return m;
}
// Goes over to step t: forward directions read the slot before it, backward ones the slot after it.
template <class T>
inline void move_to(Moment<T> &m, int64_t t, bool reversed, const Tile<T> &tile, T *states, T *records,
                    int64_t record) {
  m.t = T(t);
  m.active = tile.active(t);
  m.history = states + (t + 1) * m.width;
  m.before = m.history + (reversed ? m.width : -m.width);
  m.record = records + t * record;
}

template <class S, class T>
struct ForwardPass {
  const Job<S, T> &job;
  const Tile<T> tile;
  const Kept<T> kept;
  T *h, *c, *sums;  // [hidden][W] twice, and the records of the simple cells

  void run() const {
    const Network &net = job.net;
    take_sequence<T, S>(net, tile, net.x, net.inputs, kept.inputs(0) + tile.width, kept.stride);
    for (int64_t cell = 0; cell < net.cells(); cell++) run_cell(cell, cell / net.directions, cell % net.directions);
    give_sequence<T, S>(net, tile, kept.inputs(net.layers) + tile.width, kept.stride, net.output,
                        net.hidden * net.directions);
  }
  void run_cell(int64_t number, int64_t layer, bool reversed) const {
    const Network &net = job.net;
    take_state<T, S>(net, tile, net.h0, number, h);
    if (net.kind == kLstm) take_state<T, S>(net, tile, net.c0, number, c);
    sweep(number, layer, reversed);
    give_state<T, S>(net, tile, h, net.hn, number);
    if (net.kind == kLstm) give_state<T, S>(net, tile, c, net.cn, number);
  }
  // All steps of one cell; h and c hold its state, before and after.
  void sweep(int64_t number, int64_t layer, bool reversed) const {
    const Network &net = job.net;
    const Cell<T> &cell = job.cells[number];
    const int64_t W = tile.width, steps = tile.steps(), H = net.hidden, V = tile.vectors();
    T *const records = net.recorded() ? kept.records(number) : sums, *const states = kept.states(number);
    const int64_t record = (net.recorded() ? net.recorded() : 1) * H * W;
    all_steps<T>(V, cell.inputs, steps, cell.bias, false, kept.inputs(layer) + W, kept.stride, {records, W, record});
    copy_to_slot(tile, H, h, states + (reversed ? steps + 1 : 0) * W, kept.stride);
    Moment<T> m = moment_of(net, tile, kept.stride, h, c);
    for (int64_t s = 0; s < steps; s++) {
      move_to(m, reversed ? steps - 1 - s : s, reversed, tile, states, records, record);
      T *const z = m.record;
      if (net.kind == kGru) {
        one_step<T>(m.active, cell.states, 0, 2 * H, z, nullptr, h, z, W);
        one_step<T>(m.active, cell.states, 2 * H, 3 * H, nullptr, cell.state_bias, h, z + H * W, W);
      } else {
        one_step<T>(m.active, cell.states, 0, cell.states.rows, z, nullptr, h, z, W);
      }
      forward_cell(net.kind, m);
    }
  }
};

template <class S, class T>
struct BackwardPass {
  const Job<S, T> &job;
  const Tile<T> tile;
  const Kept<T> kept;
  T *gradients;                   // this thread's
  T *h, *c, *delta, *deltas;      // [hidden][W] twice; [deltas][hidden] of one step, and of all steps
  T *above, *below;               // gradients of a layer's output and input, [feature][step][W]
  int64_t stride;                 // of what has one slot a step

  void run() const {
    const Network &net = job.net;
    T *output = above, *input = below;
    bool any = net.output_grad.numbers != nullptr;
    if (any) take_sequence<T, S>(net, tile, net.output_grad, net.hidden * net.directions, output, stride);
    for (int64_t layer = net.layers - 1; layer >= 0; layer--) {
      T *const wanted = layer || net.x_grad.numbers ? input : nullptr;
      for (int64_t d = 0; d < net.directions; d++) run_cell(layer, d, any ? output : nullptr, wanted);
      T *const spare = output;
      output = input;
      input = spare;
      any = true;
    }
    if (net.x_grad.numbers) give_sequence<T, S>(net, tile, output, stride, net.x_grad, net.inputs);
  }
  void run_cell(int64_t layer, int64_t direction, const T *output, T *input) const {
    const Network &net = job.net;
    const int64_t number = layer * net.directions + direction;
    take_state<T, S>(net, tile, net.hn_grad, number, h);
    if (net.kind == kLstm) take_state<T, S>(net, tile, net.cn_grad, number, c);
    sweep(layer, direction, output, input);
    give_state<T, S>(net, tile, h, net.h0_grad, number);
    if (net.kind == kLstm) give_state<T, S>(net, tile, c, net.c0_grad, number);
  }
  // All steps of one cell, last to first; h and c hold the gradient of its state, after and before. What `output` lacks
  // (null) is zero, and `input` is null where its gradient is not wanted.
  void sweep(int64_t layer, int64_t direction, const T *output, T *input) const {
    const Network &net = job.net;
    const int64_t number = layer * net.directions + direction, W = tile.width, steps = tile.steps(), H = net.hidden;
    const Cell<T> &cell = job.cells[number];
    Moment<T> m = moment_of(net, tile, kept.stride, h, c);
    m.delta = delta;
    m.above_stride = m.deltas_stride = stride;
    for (int64_t s = 0; s < steps; s++) {
      const int64_t t = direction ? s : steps - 1 - s;
      move_to(m, t, direction, tile, kept.states(number), kept.records(number), net.recorded() * H * W);
      m.deltas = deltas + t * W;
      m.above = output ? output + direction * H * stride + t * W : nullptr;
      backward_cell(net.kind, m);
      one_step<T>(m.active, cell.states_back, 0, H, h, nullptr, delta, h, W);
    }
    add_gradients(number, layer, direction);
    if (input)
      all_steps<T>(tile.vectors(), cell.inputs_back, steps, nullptr, direction, deltas, stride, {input, stride, W});
  }
  void add_gradients(int64_t number, int64_t layer, int64_t direction) const {
    const Cell<T> &cell = job.cells[number];
    const int64_t W = tile.width, n = tile.steps() * W, rows = cell.inputs.rows;
    T *const values = gradients + cell.values_at, *const bias = gradients + cell.bias_at;
    value_gradients<T>(cell.inputs, deltas, stride, [](int64_t row) { return row; }, kept.inputs(layer) + W,
                       kept.stride, n, values);
    value_gradients<T>(cell.states, deltas, stride, [&](int64_t row) { return job.delta_of(row); },
                       kept.states(number) + (direction ? 2 * W : 0), kept.stride, n, values + cell.inputs.count);
    const bool biased = job.net.matrix(number, 0).bias_grad || job.net.matrix(number, 1).bias_grad;
    for (int64_t r = 0; biased && r < rows; r++) {
      const T one = total<T>(deltas + r * stride, n);
      bias[r] += one;
      bias[rows + r] += job.delta_of(r) == r ? one : total<T>(deltas + job.delta_of(r) * stride, n);
    }
  }
};

// The crew's shares of some gradients, added up and put where they are wanted.
template <class S, class T>
void give_gradients(const Job<S, T> &job, int64_t crew, void *to, int64_t count, int64_t at, const int32_t *places) {
  S *const gradient = static_cast<S *>(to);
  for (int64_t k = 0; gradient && k < count; k++) {
    T all = 0;
    for (int64_t thread = 0; thread < crew; thread++) all += job.gradients[thread * job.numbers + at + k];
    assign(gradient[places ? places[k] : k], all);
  }
}
template <class S, class T>
void give_gradients(const Job<S, T> &job, int64_t crew) {
  for (int64_t number = 0; number < job.net.cells(); number++) {
    const Cell<T> &cell = job.cells[number];
    const Layer &inputs = job.net.matrix(number, 0), &states = job.net.matrix(number, 1);
    give_gradients(job, crew, inputs.values_grad, inputs.count, cell.values_at, cell.inputs.places);
    give_gradients(job, crew, states.values_grad, states.count, cell.values_at + inputs.count, cell.states.places);
    give_gradients(job, crew, inputs.bias_grad, inputs.outputs, cell.bias_at, nullptr);
    give_gradients(job, crew, states.bias_grad, states.outputs, cell.bias_at + inputs.outputs, nullptr);
  }
}

}  // namespace SW_WIDE
}  // namespace sw
