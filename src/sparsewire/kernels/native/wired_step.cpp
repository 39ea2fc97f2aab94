// Training steps of classifiers whose recurrent cells are wired by a graph: symbols or features, the cells, a readout of
// some nodes after each sequence's last step, softmax cross-entropy; backward, and the optimizer's update. A tile of
// sequences goes forth and back while its activations are in the caches. One thread a network: its result does not
// depend on who runs beside it.
#include "network_step_loss.hpp"
#include "recurrent_training.hpp"
#include "wired_passes.hpp"

namespace sw {
inline namespace SW_WIDE {

// What Python writes, 64 bits a field (kernels/wired_step.py).
template <class T>
struct WiredClassifier {
  const Graph<T> *graph;  // the x of its frame is all samples; its batch is set here
  const int32_t *read;    // nodes that are read out
  int64_t reads, classes;
  Matrix<T> readout;
  T *bias, *bias_grad;    // null without
  Symbols<T> symbols;
  const int64_t *labels;   // of each sample its class, or kIgnored
  const int64_t *lengths;  // of each sample, or null: all steps
  int64_t shared;          // whether all sequences of a batch end with its longest
  const int64_t *rows;     // the samples in the order in which they are used
  const int64_t *ends;     // where in `rows` each step's batch begins, and the end of the last
  int64_t steps, parameters_count;
  const Parameter<T> *parameters;
  const uint8_t *const *masks;  // of each parameter, or null; what they leave out stays as it is
  int64_t rule;
  double clip;     // the largest norm of all gradients, those outside masks too; 0: any
  double *losses;  // out: of each step taken, and of the one that could not be
  int64_t *taken;  // out: steps that changed the weights; then whether a label or a symbol was none
};

// One network on its way through its steps.
template <class T>
struct WiredCourse {
  const WiredClassifier<T> &net;
  const Graph<T> &graph;
  Network &frame;
  Loom<T> loom;
  Cut<T> cut;
  Bench<T> bench;
  Gradients<T> *gradients;
  T *history, *last, *logits;
  int64_t *counts;
  T share = 0;  // 1 / samples that count

  explicit WiredCourse(const WiredClassifier<T> &net)
      : net(net), graph(*net.graph), frame(*graph.frame), loom{graph}, cut(frame, 1) {
    cut.cut_anew(largest_batch(net), 1);
    allot(kValues, [&](Arena &arena) {
      counts = arena.of<int64_t>(frame.steps + 1);
      cut.lay_out(arena, cut.columns());
      gradients = arena.of<Gradients<T>>(graph.count);
      loom.lay_out(arena, false);
    });
    for (int64_t k = 0; k < graph.count; k++) {
      const Wire<T> &wire = graph.wires[k];
      gradients[k] = {wire.inputs.gradient, wire.states.gradient, wire.bias_grad, wire.state_bias_grad};
    }
    const int64_t widest = kUnits * kUnit<T>;
    allot(kOther, [&](Arena &arena) {
      bench.lay_out(graph, arena);
      history = arena.of<T>(unit_size<T>(graph) * kUnits);
      last = arena.of<T>(net.reads * widest);
      logits = arena.of<T>(2 * net.classes * widest);
    });
  }

  bool take(int64_t step) { return take_batch(net, step, net.classes, frame, cut, counts, share); }
  // Forward, loss and gradients of a batch; Σ −log p of its samples that count.
  double run() const {
    for (int64_t i = 0; i < net.parameters_count; i++)
      if (net.parameters[i].gradient) memset(net.parameters[i].gradient, 0, size_t(net.parameters[i].count) * sizeof(T));
    double loss = 0;
    for (int64_t number = 0; number < cut.tiles; number++) loss += run_tile(cut.tile(frame, number));
    return loss;
  }
  double run_tile(const Tile<T> &tile) const {
    const TilePass<T> pass = {loom, tile, Woven<T>(graph, history, tile.width, tile.steps()), bench};
    const int64_t stride = pass.woven.slopes_stride;
    net.symbols.take(frame, tile, pass.woven.slot(0, 1), pass.woven.stride);
    pass.forward();
    const double loss = read_out(tile, pass);
    pass.backward(gradients, net.symbols.gradient != nullptr);
    if (net.symbols.gradient) net.symbols.add(frame, tile, bench.slopes, stride);
    return loss;
  }
  // The logits of the last outputs, the loss, the readout's gradients, and the loss's slope by these outputs.
  double read_out(const Tile<T> &tile, const TilePass<T> &pass) const {
    constexpr int64_t L = lanes<T>;
    const int64_t W = tile.width, C = net.classes;
    T *const slopes = logits + C * W, *const ends = pass.last_slopes();
    for (int64_t k = 0; k < net.reads; k++)
      memcpy(last + k * W, pass.last() + net.read[k] * pass.woven.stride, size_t(W) * sizeof(T));
    for (int64_t c = 0; c < C; c++)
      for (int64_t j = 0; j < W; j += L) {
        V<T> sums = all<T>(net.bias ? net.bias[c] : T(0));
        for (int64_t k = 0; k < net.reads; k++) sums += net.readout.values[c * net.reads + k] * load(last + k * W + j);
        store(logits + c * W + j, sums);
      }
    const double loss = cross_entropy<T>(logits, slopes, C, W, tile.rows, share,
                                         [&](int64_t b) { return net.labels[tile.order[b]]; });
    for (int64_t c = 0; c < C; c++) {
      V<T> sums = {};
      for (int64_t j = 0; j < W; j += L) sums += load(slopes + c * W + j);
      if (net.bias_grad) net.bias_grad[c] += sum<T>(sums);
      for (int64_t k = 0; k < net.reads; k++) {
        const T value = net.readout.values[c * net.reads + k];
        T *const to = ends + net.read[k] * pass.woven.slopes_stride;
        V<T> products = {};
        for (int64_t j = 0; j < W; j += L) {
          const V<T> slope = load(slopes + c * W + j);
          products += slope * load(last + k * W + j);
          store(to + j, load(to + j) + value * slope);
        }
        net.readout.gradient[c * net.reads + k] += sum<T>(products);
      }
    }
    return loss;
  }
  // What is outside the masks has no slope, so that its weights and the optimizer's memory of them stay zero.
  void settle() const {
    if (net.rule == GRADIENTS) return;
    for (int64_t i = 0; i < net.parameters_count; i++)
      for (int64_t k = 0; net.masks[i] && net.parameters[i].gradient && k < net.parameters[i].count; k++)
        if (!net.masks[i][k]) net.parameters[i].gradient[k] = 0;
  }
  void renew() const { loom.renew(); }
};

}  // namespace SW_WIDE
}  // namespace sw

SW_EXPORT(wired_step)(int64_t dtype, int64_t networks, int64_t count, int64_t threads) {
  if (dtype == 0)
    sw::train_all<float, sw::WiredCourse>(reinterpret_cast<const sw::WiredClassifier<float> *>(networks), count, threads);
  else
    sw::train_all<double, sw::WiredCourse>(reinterpret_cast<const sw::WiredClassifier<double> *>(networks), count, threads);
}
