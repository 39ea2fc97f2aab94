// Stacks of recurrent layers over whole sequences, forward and backward in one call each. Tiles of sequences are
// independent of each other, so every thread takes tiles of its own through all layers and steps.
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
inline void bias_of(const Network &net, const Layer &inputs, const Layer &states, Cell<T> &cell, Arena &arena) {
  const int64_t rows = inputs.outputs, shared = net.kind == kGru ? 2 * net.hidden : rows;
  cell.bias = cell.state_bias = nullptr;
  if (!inputs.bias) return;
  cell.bias = arena.of<T>(rows);
  cell.state_bias = arena.of<T>(rows);
  if (!arena.base) return;
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

  void prepare(bool backward) {
    int64_t *counts = nullptr;
    allot(kValues, [&](Arena &arena) {
      counts = arena.of<int64_t>(net.steps + 1);
      cut.order = arena.of<int64_t>(cut.columns());
      cut.lengths = arena.of<int64_t>(cut.columns());
      cut.ends = arena.of<T>(cut.columns());
      Cell<T> *const made = arena.of<Cell<T>>(net.cells());
      if (arena.base) cells = made;
      numbers = 0;
      for (int64_t number = 0; number < net.cells(); number++) {
        const Layer &inputs = net.matrix(number, 0), &states = net.matrix(number, 1);
        Cell<T> cell = {};
        cell.inputs = rows_of<S, T>(inputs, arena);
        cell.states = rows_of<S, T>(states, arena);
        bias_of<S, T>(net, inputs, states, cell, arena);
        if (backward) {
          cell.inputs_back = transposed(cell.inputs, arena, [](int64_t row) { return row; });
          cell.states_back = transposed(cell.states, arena, [&](int64_t row) { return delta_of(row); });
          cell.values_at = numbers;
          cell.bias_at = numbers + inputs.count + states.count;
          numbers = cell.bias_at + 2 * inputs.outputs;
        }
        if (arena.base) cells[number] = cell;
      }
      if (backward) gradients = arena.of<T>(crew * numbers);
    });
    cut.sort(net, counts);
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
    const Cell<T> &cell = job.cells[number];
    const int64_t W = tile.width, steps = tile.steps(), H = net.hidden, V = tile.vectors();
    T *const records = net.recorded() ? kept.records(number) : sums, *const states = kept.states(number);
    const int64_t record = (net.recorded() ? net.recorded() : 1) * H * W;
    all_steps<T>(V, cell.inputs, steps, cell.bias, false, kept.inputs(layer) + W, kept.stride, {records, W, record});
    take_state<T, S>(net, tile, net.h0, number, h);
    if (net.kind == kLstm) take_state<T, S>(net, tile, net.c0, number, c);
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
    give_state<T, S>(net, tile, h, net.hn, number);
    if (net.kind == kLstm) give_state<T, S>(net, tile, c, net.cn, number);
  }
};

template <class S>
void recurrent_forward(const Network &net) {
  typedef typename Wide<S>::type T;
  Job<S, T> job(net, team_for(net, kUnit<T> / lanes<T>, kUnit<T>, 1));
  job.prepare(false);
  T *const workspace = static_cast<T *>(net.workspace);
  together(job.crew, [&](int64_t me, int64_t all) {
    const int64_t widest = kUnits * kUnit<T>;
    T *h = nullptr, *c = nullptr, *sums = nullptr, *own = nullptr;
    allot(kOther, [&](Arena &arena) {
      h = arena.of<T>(net.hidden * widest);
      c = arena.of<T>(net.hidden * widest);
      sums = arena.of<T>(net.recorded() ? 0 : net.steps * net.hidden * widest);
      own = arena.of<T>(workspace ? 0 : unit_size<T>(net) * kUnits);
    });
    for (int64_t number = share(job.cut.tiles, all, me); number < share(job.cut.tiles, all, me + 1); number++) {
      const Tile<T> tile = job.cut.tile(net, number);
      T *const base = workspace ? workspace + kUnit<T> + tile.first / kUnit<T> * unit_size<T>(net) : own;
      ForwardPass<S, T>{job, tile, Kept<T>(net, base, tile.width), h, c, sums}.run();
    }
  });
  // The backward has to cut the batch alike, whatever the number of threads is by then.
  if (workspace) workspace[0] = T(job.cut.units_of_tile);
}

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
      for (int64_t d = 0; d < net.directions; d++) run_cell(layer, d, any ? output : nullptr, input);
      T *const spare = output;
      output = input;
      input = spare;
      any = true;
    }
    if (net.x_grad.numbers) give_sequence<T, S>(net, tile, output, stride, net.x_grad, net.inputs);
  }
  void run_cell(int64_t layer, int64_t direction, const T *output, T *input) const {
    const Network &net = job.net;
    const int64_t number = layer * net.directions + direction, W = tile.width, steps = tile.steps(), H = net.hidden;
    const Cell<T> &cell = job.cells[number];
    take_state<T, S>(net, tile, net.hn_grad, number, h);
    if (net.kind == kLstm) take_state<T, S>(net, tile, net.cn_grad, number, c);
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
    give_state<T, S>(net, tile, h, net.h0_grad, number);
    if (net.kind == kLstm) give_state<T, S>(net, tile, c, net.c0_grad, number);
    add_gradients(number, layer, direction);
    if (layer || net.x_grad.numbers)
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

// The threads' shares of the gradients, added up and put where they are wanted.
template <class S, class T>
void give_gradients(const Job<S, T> &job, int64_t crew) {
  const auto put = [&](void *to, int64_t count, int64_t at, const int32_t *places) {
    S *const gradient = static_cast<S *>(to);
    for (int64_t k = 0; gradient && k < count; k++) {
      T all = 0;
      for (int64_t thread = 0; thread < crew; thread++) all += job.gradients[thread * job.numbers + at + k];
      assign(gradient[places ? places[k] : k], all);
    }
  };
  for (int64_t number = 0; number < job.net.cells(); number++) {
    const Cell<T> &cell = job.cells[number];
    const Layer &inputs = job.net.matrix(number, 0), &states = job.net.matrix(number, 1);
    put(inputs.values_grad, inputs.count, cell.values_at, cell.inputs.places);
    put(states.values_grad, states.count, cell.values_at + inputs.count, cell.states.places);
    put(inputs.bias_grad, inputs.outputs, cell.bias_at, nullptr);
    put(states.bias_grad, states.outputs, cell.bias_at + inputs.outputs, nullptr);
  }
}

template <class S>
void recurrent_backward(const Network &net) {
  typedef typename Wide<S>::type T;
  const T *const workspace = static_cast<const T *>(net.workspace);
  Job<S, T> job(net, team_for(net, kUnit<T> / lanes<T>, kUnit<T>, 2));
  job.cut.units_of_tile = int64_t(workspace[0]);
  job.cut.tiles = (job.cut.units + job.cut.units_of_tile - 1) / job.cut.units_of_tile;
  if (job.crew > job.cut.tiles) job.crew = job.cut.tiles > 1 ? job.cut.tiles : 1;
  job.prepare(true);
  memset(job.gradients, 0, size_t(job.crew * job.numbers) * sizeof(T));
  together(job.crew, [&](int64_t me, int64_t all) {
    const int64_t widest = kUnits * kUnit<T>, stride = history_stride<T>(net.steps, widest);
    const int64_t outputs = net.hidden * net.directions, features = outputs > net.inputs ? outputs : net.inputs;
    T *h = nullptr, *c = nullptr, *delta = nullptr, *deltas = nullptr, *above = nullptr, *below = nullptr;
    allot(kOther, [&](Arena &arena) {
      h = arena.of<T>(net.hidden * widest);
      c = arena.of<T>(net.hidden * widest);
      delta = arena.of<T>(net.deltas() * net.hidden * widest);
      deltas = arena.of<T>(net.deltas() * net.hidden * stride);
      above = arena.of<T>(features * stride);
      below = arena.of<T>(features * stride);
    });
    for (int64_t number = share(job.cut.tiles, all, me); number < share(job.cut.tiles, all, me + 1); number++) {
      const Tile<T> tile = job.cut.tile(net, number);
      T *const base = static_cast<T *>(net.workspace) + kUnit<T> + tile.first / kUnit<T> * unit_size<T>(net);
      BackwardPass<S, T>{job, tile, Kept<T>(net, base, tile.width), job.gradients + me * job.numbers, h, c, delta,
                         deltas, above, below, stride}.run();
    }
  });
  give_gradients(job, job.crew);
}

}  // namespace SW_WIDE
}  // namespace sw

// dtype: as in native.DTYPES.
SW_EXPORT(recurrent_forward)(int64_t dtype, const sw::Network *network) {
  if (dtype == 0) return sw::recurrent_forward<float>(*network);
  if (dtype == 1) return sw::recurrent_forward<double>(*network);
  sw::recurrent_forward<sw::bfloat16>(*network);
}
SW_EXPORT(recurrent_backward)(int64_t dtype, const sw::Network *network) {
  if (dtype == 0) return sw::recurrent_backward<float>(*network);
  if (dtype == 1) return sw::recurrent_backward<double>(*network);
  sw::recurrent_backward<sw::bfloat16>(*network);
}
