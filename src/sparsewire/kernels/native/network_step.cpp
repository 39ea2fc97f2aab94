// Training steps of whole networks: chains of layers with softmax cross-entropy. Forward, loss, backward and the
// optimizer's update stay in one function, a tile of the batch at a time, so that activations never leave the caches
// and no weight's gradient is fetched twice. One thread a network: its result does not depend on who runs beside it.
#include "gradients.hpp"
#include "network_step_loss.hpp"
#include "network_step_update.hpp"
#include "products.hpp"
#include "threads.hpp"

namespace sw {
inline namespace SW_WIDE {

// What Python writes, 64 bits a field (kernels/network_step.py).
template <class T>
struct Network {
  const T *inputs;        // samples, one after the other
  const int64_t *labels;  // of each sample its class, or kIgnored
  const int64_t *rows;    // the samples in the order in which they are used
  const int64_t *ends;    // where in `rows` each step's batch begins, and the end of the last
  int64_t steps, depth;
  const Layer *layers;
  const Parameter<T> *parameters;  // values and bias of each layer
  int64_t rule;
  double *losses;  // out: of each step taken, and of the one that could not be
  int64_t *taken;  // out: steps that changed the weights; then whether a label was none of the classes
  T *space;        // see `space_of` in Python
};

template <class T>
struct Batch {
  const Network<T> &net;
  const int64_t *rows;
  int64_t size;
  T share;  // 1 / samples that count

  int64_t label(int64_t b) const { return net.labels[rows[b]]; }
};

// How many of a batch's samples count; −1 if a label is none of the classes.
template <class T>
int64_t counted(const Batch<T> &batch) {
  const int64_t classes = batch.net.layers[batch.net.depth - 1].outputs;
  int64_t count = 0;
  for (int64_t b = 0; b < batch.size; b++) {
    const int64_t y = batch.label(b);
    if (y != kIgnored && (y < 0 || y >= classes)) return -1;
    count += y != kIgnored;
  }
  return count;
}

template <class T>
void sum_rows(const T *delta, int64_t outputs, int64_t W, T *sums, bool add) {
  for (int64_t r = 0; r < outputs; r++) {
    V<T> total = load(delta + r * W);
    for (int64_t j = lanes<T>; j < W; j += lanes<T>) total += load(delta + r * W + j);
    sums[r] = add ? sums[r] + sum<T>(total) : sum<T>(total);
  }
}

// Gradients of one layer, and dL/dx where dx is not null.
template <class T>
void layer_backward(int64_t vectors, const Layer &layer, const T *x, const T *delta, T *dx, bool add) {
  const int64_t W = vectors * lanes<T>;
  if (layer.bias_grad) sum_rows(delta, layer.outputs, W, static_cast<T *>(layer.bias_grad), add);
  if (dx) memset(dx, 0, layer.inputs * W * sizeof(T));
  for (int64_t b = 0; b < layer.blocks(); b++) {
    const int64_t place = b * layer.block * W;
    backward<T>(vectors, {&layer, b, static_cast<const T *>(layer.values), x + place, delta,
                          dx ? dx + place : nullptr, static_cast<T *>(layer.values_grad), add});
  }
}

// One tile forth and back; Σ −log p of its samples. Only layers from `lowest` on need gradients.
template <class T>
double tile_step(const Batch<T> &batch, int64_t first, int64_t rows, int64_t lowest, int64_t widest) {
  const Network<T> &net = batch.net;
  const int64_t vectors = (rows + lanes<T> - 1) / lanes<T>, W = vectors * lanes<T>, features = net.layers[0].inputs;
  const int64_t *chosen = batch.rows + first;
  T *x = net.space;
  pack<T>(net.inputs, features, [&](int64_t b) { return chosen[b]; }, rows, 0, features, x, W);
  for (int64_t l = 0; l < net.depth; l++) {
    const Layer &layer = net.layers[l];
    T *y = x + layer.inputs * W;
    forward<T>(vectors, layer, static_cast<const T *>(layer.values), static_cast<const T *>(layer.bias), x, y, 0,
               layer.groups());
    x = y;
  }
  const int64_t classes = net.layers[net.depth - 1].outputs;
  T *delta = x + classes * W, *other = delta + widest * W;
  const double loss = cross_entropy<T>(x, delta, classes, W, rows, batch.share,
                                       [&](int64_t b) { return batch.label(first + b); });
  for (int64_t l = net.depth - 1; l >= lowest; l--) {
    const Layer &layer = net.layers[l];
    x -= layer.inputs * W;
    layer_backward<T>(vectors, layer, x, delta, l > lowest ? other : nullptr, first > 0);
    if (l == lowest) break;
    const int64_t activation = net.layers[l - 1].activation;
    for (int64_t i = 0; i < layer.inputs * W; i += lanes<T>)
      store(other + i, slope<T>(load(other + i), load(x + i), activation));
    T *last = delta;
    delta = other, other = last;
  }
  return loss;
}

// The samples of a tile: as few tiles as can be, of about the same size.
template <class T>
int64_t rows_of_tile(int64_t batch) {
  const int64_t vectors = (batch + lanes<T> - 1) / lanes<T>, tiles = (vectors + kWidest - 1) / kWidest;
  return (vectors + tiles - 1) / tiles * lanes<T>;
}

// All steps of one network; ends early, with the weights as they were, at a loss that is not finite or a bad label.
template <class T>
void train(const Network<T> &net) {
  int64_t lowest = net.depth - 1, widest = 0;
  for (int64_t l = net.depth - 1; l >= 0; l--) {
    if (net.parameters[2 * l].settings || net.parameters[2 * l + 1].settings) lowest = l;
    if (net.layers[l].outputs > widest) widest = net.layers[l].outputs;
  }
  net.taken[0] = net.taken[1] = 0;
  for (int64_t step = 0; step < net.steps; step++) {
    Batch<T> batch = {net, net.rows + net.ends[step], net.ends[step + 1] - net.ends[step], T(0)};
    const int64_t count = counted(batch), rows = rows_of_tile<T>(batch.size);
    net.taken[1] = count < 0;
    if (count < 0) return;
    batch.share = T(1) / T(count);
    double loss = 0;
    for (int64_t first = 0; first < batch.size; first += rows)
      loss += tile_step(batch, first, batch.size - first < rows ? batch.size - first : rows, lowest, widest);
    net.losses[step] = loss / double(count);
    if (!__builtin_isfinite(net.losses[step])) return;
    for (int64_t i = 0; i < 2 * net.depth; i++) update(net.parameters[i], net.rule, step);
    net.taken[0] = step + 1;
  }
}

template <class T>
void train_all(const Network<T> *nets, int64_t count, int64_t threads) {
  int64_t next = 0;
  together(threads < count ? threads : count, [&](int64_t, int64_t) {
    for (;;) {
      const int64_t mine = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
      if (mine >= count) return;
      train(nets[mine]);
    }
  });
}

}  // namespace SW_WIDE
}  // namespace sw

SW_EXPORT(network_step)(int64_t dtype, int64_t networks, int64_t count, int64_t threads) {
  if (dtype == 0)
    sw::train_all(reinterpret_cast<const sw::Network<float> *>(networks), count, threads);
  else
    sw::train_all(reinterpret_cast<const sw::Network<double> *>(networks), count, threads);
}
