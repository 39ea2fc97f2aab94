// Training steps of recurrent classifiers: symbols or features, a stack of recurrent layers, a readout of the last
// layer's last states, softmax cross-entropy; backward, and the optimizer's update. A tile of sequences goes forth and
// back while its activations are in the caches. One thread a network: its result does not depend on who runs beside it.
#include "network_step_loss.hpp"
#include "recurrent_passes.hpp"
#include "recurrent_training.hpp"

namespace sw {
inline namespace SW_WIDE {

// What Python writes, 64 bits a field (kernels/recurrent_step.py).
template <class T>
struct Classifier {
  Network *stack;         // its x is all samples; its batch is set here
  const Layer *readout;   // of the last layer's states, direction by direction
  Symbols<T> symbols;
  const int64_t *labels;   // of each sample its class, or kIgnored
  const int64_t *lengths;  // of each sample, or null: all steps
  int64_t shared;          // whether all sequences of a batch end with its longest
  const int64_t *rows;     // the samples in the order in which they are used
  const int64_t *ends;     // where in `rows` each step's batch begins, and the end of the last
  int64_t steps, parameters_count;
  const Parameter<T> *parameters;
  int64_t rule;
  double clip;     // the largest norm of all gradients; 0: any
  double *losses;  // out: of each step taken, and of the one that could not be
  int64_t *taken;  // out: steps that changed the weights; then whether a label or a symbol was none
};

// One network on its way through its steps.
template <class T>
struct Course {
  const Classifier<T> &net;
  Network &stack;
  Job<T, T> job;
  Rows<T> readout, readout_back;
  int64_t states, classes;  // numbers that are read out, and what becomes of them
  int64_t values_at, bias_at, numbers;  // places of the readout's gradients among all, and how many there are
  T *h, *c, *sums, *history, *delta, *deltas, *above, *below, *last, *logits, *slopes;
  int64_t *counts;
  T share;  // 1 / samples that count

  explicit Course(const Classifier<T> &net)
      : net(net), stack(*net.stack), job(*net.stack, 1), states(stack.hidden * stack.directions),
        classes(net.readout->outputs) {
    job.cut.cut_anew(largest_batch(net), 1);
    allot(kValues, [&](Arena &arena) {
      counts = arena.of<int64_t>(stack.steps + 1);
      job.cut.lay_out(arena, job.cut.columns());
      job.lay_out(arena, true);
      readout = rows_of<T, T>(*net.readout, arena);
      readout_back = transposed(readout, arena, [](int64_t row) { return row; });
      values_at = job.numbers;
      bias_at = values_at + net.readout->count;
      numbers = bias_at + classes;
      job.gradients = arena.of<T>(numbers);
    });
    const int64_t widest = kUnits * kUnit<T>, stride = history_stride<T>(stack.steps, widest);
    allot(kOther, [&](Arena &arena) {
      h = arena.of<T>(stack.hidden * widest);
      c = arena.of<T>(stack.hidden * widest);
      sums = arena.of<T>(stack.recorded() ? 0 : stack.steps * stack.hidden * widest);
      history = arena.of<T>(unit_size<T>(stack) * kUnits);
      delta = arena.of<T>(stack.deltas() * stack.hidden * widest);
      deltas = arena.of<T>(stack.deltas() * stack.hidden * stride);
      above = arena.of<T>(states * stride);
      below = arena.of<T>(states * stride);
      last = arena.of<T>(2 * states * widest);
      logits = arena.of<T>(2 * classes * widest);
      slopes = arena.of<T>(net.symbols.gradient ? stack.inputs * stride : 0);
    });
  }

  bool take(int64_t step) { return take_batch(net, step, classes, stack, job.cut, counts, share); }
  // Forward, loss and gradients of a batch; Σ −log p of its samples that count.
  double run() const {
    memset(job.gradients, 0, size_t(numbers) * sizeof(T));
    if (net.symbols.gradient) net.symbols.clear(stack.inputs);
    double loss = 0;
    for (int64_t number = 0; number < job.cut.tiles; number++) loss += run_tile(job.cut.tile(stack, number));
    give_gradients(job, 1);
    give_gradients(job, 1, net.readout->values_grad, net.readout->count, values_at, readout.places);
    give_gradients(job, 1, net.readout->bias_grad, classes, bias_at, nullptr);
    return loss;
  }
  double run_tile(const Tile<T> &tile) const {
    const int64_t W = tile.width, H = stack.hidden * W, top = stack.layers - 1, D = stack.directions;
    const int64_t stride = history_stride<T>(stack.steps, W);
    const Kept<T> kept(stack, history, W);
    const ForwardPass<T, T> forward = {job, tile, kept, h, c, sums};
    net.symbols.take(stack, tile, kept.inputs(0) + W, kept.stride);
    for (int64_t cell = 0; cell < stack.cells(); cell++) {
      clear(H);
      forward.sweep(cell, cell / D, cell % D);
      if (cell / D == top) memcpy(last + cell % D * H, h, size_t(H) * sizeof(T));
    }
    T *const slope = last + states * W;
    const double loss = read_out(tile, slope);
    const BackwardPass<T, T> backward = {job, tile, kept, job.gradients, h, c, delta, deltas, above, below, stride};
    T *output = above, *input = below, *const first = net.symbols.gradient ? slopes : nullptr;
    for (int64_t layer = top; layer >= 0; layer--) {
      for (int64_t d = 0; d < D; d++) {
        clear(H);
        if (layer == top) memcpy(h, slope + d * H, size_t(H) * sizeof(T));
        backward.sweep(layer, d, layer == top ? nullptr : output, layer ? input : first);
      }
      T *const spare = output;
      output = input;
      input = spare;
    }
    if (first) net.symbols.add(stack, tile, first, stride);
    return loss;
  }
  void clear(int64_t size) const {
    memset(h, 0, size_t(size) * sizeof(T));
    memset(c, 0, size_t(size) * sizeof(T));
  }
  // The logits of the last states, the loss, the readout's gradients, and the loss's slope by these states.
  double read_out(const Tile<T> &tile, T *slope) const {
    const int64_t W = tile.width;
    T *const slopes = logits + classes * W;
    one_step<T>(tile.vectors(), readout, 0, classes, nullptr, static_cast<const T *>(net.readout->bias), last, logits,
                W);
    const double loss = cross_entropy<T>(logits, slopes, classes, W, tile.rows, share,
                                         [&](int64_t b) { return net.labels[tile.order[b]]; });
    value_gradients<T>(readout, slopes, W, [](int64_t row) { return row; }, last, W, W, job.gradients + values_at);
    for (int64_t r = 0; r < classes; r++) job.gradients[bias_at + r] += total<T>(slopes + r * W, W);
    one_step<T>(tile.vectors(), readout_back, 0, states, nullptr, nullptr, slopes, slope, W);
    return loss;
  }
  void settle() const {}
  void renew() const {
    job.renew();
    renew_rows<T>(*net.readout, readout);
    renew_transposed(readout, readout_back);
  }
};

}  // namespace SW_WIDE
}  // namespace sw

SW_EXPORT(recurrent_step)(int64_t dtype, int64_t networks, int64_t count, int64_t threads) {
  if (dtype == 0)
    sw::train_all<float, sw::Course>(reinterpret_cast<const sw::Classifier<float> *>(networks), count, threads);
  else
    sw::train_all<double, sw::Course>(reinterpret_cast<const sw::Classifier<double> *>(networks), count, threads);
}
