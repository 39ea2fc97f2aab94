// What one tile of sequences goes through: all cells of a wired network forward, and back.
#pragma once
#include "wired_gradients.hpp"

namespace sw {
inline namespace SW_WIDE {

// What all threads read: the weights of every cell, and which nodes have none.
template <class T>
struct Loom {
  const Graph<T> &graph;
  Threads<T> *cells = nullptr;
  uint8_t *driven = nullptr;  // of each node whether a cell makes its output

  void lay_out(Arena &arena, bool by_value) {
    Threads<T> *const made = arena.of<Threads<T>>(graph.count);
    driven = arena.of<uint8_t>(graph.nodes);
    if (arena.base) cells = made;
    for (int64_t k = 0; k < graph.count; k++) {
      Threads<T> cell = {};
      sw::lay_out<T>(graph.wires[k], by_value, arena, cell);
      if (arena.base) cells[k] = cell;
    }
    if (!arena.base) return;
    memset(driven, 0, size_t(graph.nodes));
    for (int64_t k = 0; k < graph.count; k++)
      memset(driven + graph.wires[k].target - graph.frame->inputs, 1, size_t(graph.wires[k].units));
  }
  void renew() const {
    for (int64_t k = 0; k < graph.count; k++) sw::renew<T>(graph.wires[k], cells[k]);
  }
};

// A thread's memory for one tile at a time.
template <class T>
struct Bench {
  T *state, *memory, *deltas, *slopes;
  void lay_out(const Graph<T> &graph, Arena &arena) {
    const int64_t most = kUnits * kUnit<T>, units = graph.widest();
    const int64_t stride = history_stride<T>(graph.frame->steps, most);
    state = arena.of<T>(units * most);
    memory = arena.of<T>(units * most);
    deltas = arena.of<T>(4 * units * stride);
    slopes = arena.of<T>((graph.frame->inputs + graph.nodes) * stride);
  }
};

template <class T>
struct TilePass {
  const Loom<T> &loom;
  const Tile<T> &tile;
  const Woven<T> woven;
  const Bench<T> &bench;

  // The inputs have to be in their histories.
  void forward() const {
    const Graph<T> &graph = loom.graph;
    for (int64_t f = graph.frame->inputs; f < graph.features; f++)
      memset(woven.slot(f, 0), 0, size_t(woven.width) * sizeof(T));
    for (int64_t node = 0; node < graph.nodes; node++)
      if (!loom.driven[node])
        memset(woven.slot(graph.frame->inputs + node, 0), 0, size_t((woven.steps + 1) * woven.width) * sizeof(T));
    T *record = woven.records;
    for (int64_t k = 0; k < graph.count; k++) {
      forward_cell(sweep(k, record));
      record += graph.wires[k].recorded() * woven.steps * woven.width;
    }
  }
  // The outputs after each sequence's last step, node by node.
  const T *last() const { return woven.slot(loom.graph.frame->inputs, woven.steps); }

  // Clears all slopes; those of the last outputs go to `last_slopes`, slopes_stride apart.
  T *last_slopes() const {
    const int64_t features = loom.graph.frame->inputs + loom.graph.nodes;
    memset(bench.slopes, 0, size_t(features * woven.slopes_stride) * sizeof(T));
    return bench.slopes + loom.graph.frame->inputs * woven.slopes_stride + (woven.steps - 1) * woven.width;
  }
  // Adds to gradients[cell]; `of_inputs` tells whether the slopes of the inputs are wanted.
  void backward(const Gradients<T> *gradients, bool of_inputs) const {
    const Graph<T> &graph = loom.graph;
    const T *end = woven.records + graph.recorded() * woven.steps * woven.width;
    for (int64_t k = graph.count - 1; k >= 0; k--) {
      end -= graph.wires[k].recorded() * woven.steps * woven.width;
      const Sweep<T> s = sweep(k, const_cast<T *>(end));
      backward_cell(s);
      add_gradients(s, gradients[k], graph.everything);
      add_slopes(s, of_inputs ? 0 : graph.frame->inputs);
    }
  }

 private:
  Sweep<T> sweep(int64_t k, T *record) const {
    return {loom.graph.wires[k], loom.cells[k], tile, woven, record, bench.state, bench.memory, bench.deltas,
            bench.slopes};
  }
};

}  // namespace SW_WIDE
}  // namespace sw
