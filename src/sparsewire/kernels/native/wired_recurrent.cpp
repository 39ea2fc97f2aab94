// Wired networks of recurrent cells over whole sequences, forward and backward in one call each. Every thread takes
// tiles of sequences of its own through all cells and steps.
#include "wired_passes.hpp"

namespace sw {
inline namespace SW_WIDE {

// Threads for so much work: none is woken for less than about 50 microseconds.
template <class T>
inline int64_t team_for(const Graph<T> &graph, int64_t passes) {
  double nanoseconds = 0;
  for (int64_t k = 0; k < graph.count; k++)
    nanoseconds += double(graph.wires[k].rows()) * (8 + 0.2 * double(graph.wires[k].units + graph.wires[k].columns));
  const int64_t columns = (graph.frame->batch + kUnit<T> - 1) / kUnit<T> * (kUnit<T> / lanes<T>);
  const int64_t worth = int64_t(nanoseconds * double(passes * graph.frame->steps * columns) / 25000);
  return worth < 2 ? 1 : worth < graph.frame->threads ? worth : graph.frame->threads;
}

template <class T>
struct WiredJob {
  const Graph<T> &graph;
  const Network &frame;
  int64_t crew;
  Cut<T> cut;
  Loom<T> loom;
  Gradients<T> *gradients = nullptr;  // [crew][cell]
  T *numbers = nullptr;
  int64_t each = 0;  // gradients of one thread

  WiredJob(const Graph<T> &graph, int64_t crew) : graph(graph), frame(*graph.frame), crew(crew), cut(frame, crew), loom{graph} {}

  void prepare(bool backward) {
    if (crew > cut.tiles) crew = cut.tiles > 1 ? cut.tiles : 1;
    int64_t *counts = nullptr;
    allot(kValues, [&](Arena &arena) {
      counts = arena.of<int64_t>(frame.steps + 1);
      cut.lay_out(arena, cut.columns());
      loom.lay_out(arena, true);
      gradients = backward ? arena.of<Gradients<T>>(crew * graph.count) : nullptr;
      each = 0;
      for (int64_t k = 0; k < graph.count; k++) each += size(graph.wires[k]);
      numbers = backward ? arena.of<T>(crew * each) : nullptr;
    });
    cut.sort(frame, counts);
    if (!backward) return;
    memset(numbers, 0, size_t(crew * each) * sizeof(T));
    T *at = numbers;
    for (int64_t thread = 0; thread < crew; thread++)
      for (int64_t k = 0; k < graph.count; k++) {
        const Wire<T> &wire = graph.wires[k];
        T *const states = at + wire.rows() * wire.columns, *const bias = states + wire.rows() * wire.units;
        gradients[thread * graph.count + k] = {at, states, bias, bias + wire.rows()};
        at += size(wire);
      }
  }
  static int64_t size(const Wire<T> &wire) { return wire.rows() * (wire.columns + wire.units + 2); }

  // The crew's shares, added up in order and put where they are wanted.
  void give() const {
    for (int64_t k = 0; k < graph.count; k++) {
      const Wire<T> &wire = graph.wires[k];
      const Gradients<T> &mine = gradients[k];
      const auto put = [&](T *to, const T *from, int64_t count) {
        for (int64_t i = 0; to && i < count; i++) {
          T all = 0;
          for (int64_t thread = 0; thread < crew; thread++) all += from[thread * each + i];
          to[i] = all;
        }
      };
      put(wire.inputs.gradient, mine.inputs, wire.rows() * wire.columns);
      if (!wire.is_stateless()) put(wire.states.gradient, mine.states, wire.rows() * wire.units);
      put(wire.bias_grad, mine.bias, wire.rows());
      put(wire.state_bias_grad, mine.state_bias, wire.rows());
    }
  }
};

const auto always = [](int64_t) { return true; };

// The first number of the workspace tells how the batch was cut: the backward has to cut it alike.
template <class T>
void wired_forward(const Graph<T> &graph) {
  WiredJob<T> job(graph, team_for(graph, 1));
  job.prepare(false);
  const Network &frame = job.frame;
  T *const workspace = static_cast<T *>(frame.workspace), *const last = static_cast<T *>(graph.last);
  together(job.crew, [&](int64_t me, int64_t all) {
    Bench<T> bench;
    T *own = nullptr;
    allot(kOther, [&](Arena &arena) {
      bench.lay_out(graph, arena);
      own = arena.of<T>(workspace ? 0 : unit_size<T>(graph) * kUnits);
    });
    for (int64_t number = share(job.cut.tiles, all, me); number < share(job.cut.tiles, all, me + 1); number++) {
      const Tile<T> tile = job.cut.tile(frame, number);
      T *const base = workspace ? workspace + kUnit<T> + tile.first / kUnit<T> * unit_size<T>(graph) : own;
      const TilePass<T> pass = {job.loom, tile, Woven<T>(graph, base, tile.width, tile.steps()), bench};
      take_sequence<T, T>(frame, tile, frame.x, frame.inputs, pass.woven.slot(0, 1), pass.woven.stride);
      pass.forward();
      give<T>(tile, pass.last(), pass.woven.stride, always, last, graph.nodes, graph.nodes);
    }
  });
  if (workspace) workspace[0] = T(job.cut.units_of_tile);
}

template <class T>
void wired_backward(const Graph<T> &graph) {
  T *const workspace = static_cast<T *>(graph.frame->workspace);
  WiredJob<T> job(graph, team_for(graph, 2));
  job.cut.units_of_tile = int64_t(workspace[0]);
  job.cut.tiles = (job.cut.units + job.cut.units_of_tile - 1) / job.cut.units_of_tile;
  job.prepare(true);
  const Network &frame = job.frame;
  const T *const slopes = static_cast<const T *>(graph.last_grad);
  together(job.crew, [&](int64_t me, int64_t all) {
    Bench<T> bench;
    allot(kOther, [&](Arena &arena) { bench.lay_out(graph, arena); });
    for (int64_t number = share(job.cut.tiles, all, me); number < share(job.cut.tiles, all, me + 1); number++) {
      const Tile<T> tile = job.cut.tile(frame, number);
      T *const base = workspace + kUnit<T> + tile.first / kUnit<T> * unit_size<T>(graph);
      const TilePass<T> pass = {job.loom, tile, Woven<T>(graph, base, tile.width, tile.steps()), bench};
      const int64_t stride = pass.woven.slopes_stride;
      T *const ends = pass.last_slopes();
      if (tile.steps()) {
        take<T>(tile, slopes, graph.nodes, graph.nodes, always, ends, stride);
        pass.backward(job.gradients + me * graph.count, frame.x_grad.numbers != nullptr);
      }
      if (frame.x_grad.numbers) give_sequence<T, T>(frame, tile, bench.slopes, stride, frame.x_grad, frame.inputs);
    }
  });
  job.give();
}

}  // namespace SW_WIDE
}  // namespace sw

// dtype: as in native.DTYPES.
SW_EXPORT(wired_forward)(int64_t dtype, const void *graph) {
  if (dtype == 0) return sw::wired_forward<float>(*static_cast<const sw::Graph<float> *>(graph));
  sw::wired_forward<double>(*static_cast<const sw::Graph<double> *>(graph));
}
SW_EXPORT(wired_backward)(int64_t dtype, const void *graph) {
  if (dtype == 0) return sw::wired_backward<float>(*static_cast<const sw::Graph<float> *>(graph));
  sw::wired_backward<double>(*static_cast<const sw::Graph<double> *>(graph));
}
