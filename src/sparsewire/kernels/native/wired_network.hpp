// A network of small recurrent cells whose wiring is a graph, over one batch of sequences: what Python hands over, and
// where in the memory of a tile everything lies (tiles, histories and records are those of recurrent_network.hpp).
//
// Everything that has a history is a *feature*: first the inputs, then the nodes layer by layer, then the states of the
// cells that share their layer with others, whose sum is the layer's output. Slot t + 1 of a history is step t, slot 0
// the state before the first.
#pragma once
#include "recurrent_network.hpp"

namespace sw {
inline namespace SW_WIDE {

constexpr int64_t kLinearCell = 4;  // beside the kinds of recurrent_network.hpp: W x + b, without a state

// Sums of a unit: its gates', where the GRU keeps the two parts of its third apart.
constexpr int64_t gates_of(int64_t kind) { return kind == kLstm ? 4 : kind == kGru ? 3 : 1; }
constexpr int64_t sums_of(int64_t kind) { return kind == kLstm || kind == kGru ? 4 : 1; }
constexpr int64_t recorded_of(int64_t kind) { return kind == kLstm ? 6 : kind == kGru ? 4 : 0; }
// The sum, and so the delta, that the states' part of a gate belongs to.
constexpr int64_t sum_of_states(int64_t kind, int64_t gate) { return kind == kGru && gate == 2 ? 3 : gate; }

// A weight of shape (gates · units, columns), row by row; what its mask leaves out (0; null: nothing) is zero.
template <class T>
struct Matrix {
  T *values, *gradient;
  const uint8_t *mask;
};

// One cell. All fields are 64 bits wide, in the order in which Python writes them (kernels/wired_plan.py).
template <class T>
struct Wire {
  int64_t kind, units, columns;
  int64_t target, own;      // features: of its layer's first output, of its first state; the same where it is alone
  int64_t adds;             // whether a cell before it has the same target
  const int32_t *sources;   // of each column of its input weight its feature
  Matrix<T> inputs, states;
  T *bias, *state_bias, *bias_grad, *state_bias_grad;  // may be null

  int64_t rows() const { return gates_of(kind) * units; }
  int64_t recorded() const { return recorded_of(kind) * units; }
  bool is_stateless() const { return kind == kLinearCell; }
};

template <class T>
struct Graph {
  Network *frame;  // its steps, batch, inputs, threads, x, lengths, workspace and x_grad are used
  int64_t nodes, features, count;
  const Wire<T> *wires;
  int64_t everything;       // whether gradients are also wanted where there is no weight
  void *last, *last_grad;   // (batch, nodes): each node's output after each sequence's last step

  int64_t recorded() const {
    int64_t all = 0;
    for (int64_t k = 0; k < count; k++) all += wires[k].recorded();
    return all;
  }
  int64_t widest() const {
    int64_t most = 1;
    for (int64_t k = 0; k < count; k++) most = wires[k].units > most ? wires[k].units : most;
    return most;
  }
};

// Numbers in the workspace for one unit of columns; Python allocates by the same formula.
template <class T>
inline int64_t unit_size(const Graph<T> &graph) {
  return kUnit<T> * (graph.features * (graph.frame->steps + 2) + graph.recorded() * graph.frame->steps);
}

// Where the parts of one tile lie.
template <class T>
struct Woven {
  T *history, *records;
  int64_t width, steps, stride, slopes_stride;
  Woven(const Graph<T> &graph, T *base, int64_t width, int64_t steps)
      : history(base), width(width), steps(steps), stride(history_stride<T>(steps + 1, width)),
        slopes_stride(history_stride<T>(steps, width)) {
    records = base + graph.features * stride;
  }
  T *slot(int64_t feature, int64_t number) const { return history + feature * stride + number * width; }
};

}  // namespace SW_WIDE
}  // namespace sw
