// A chain of sparse layers backward: the gradients of its inputs, weights and biases, in one call.
#include "chain.hpp"
#include "gradients.hpp"
#include "vector_gradients.hpp"

namespace sw {
inline namespace SW_WIDE {

constexpr int64_t kRound = 8;  // tiles that a team works on between two barriers

// How the threads divide the backward sweep of a layer: by blocks of inputs, which own their weights and dX; where
// there are fewer blocks than threads also by tiles, each part with sums of its own that are added up at the end.
struct Division {
  int64_t blocks, tiles;
  Division(const Layer &layer, int64_t crew, int64_t round) {
    blocks = layer.blocks() < crew ? layer.blocks() : crew;
    tiles = crew / blocks < round ? crew / blocks : round;
  }
};

// Where a layer's gradients are summed up: the first part in place where that has the right type, the others beside it.
template <class T>
struct Sums {
  T *first, *others, *bias;
  int64_t parts, count;
  T *part(int64_t it) const { return it ? others + (it - 1) * count : first; }
};

template <class S, class T>
struct Backward {
  int64_t n, lowest;
  const Layer *layers;
  const Numbers<S, T> *numbers;
  const S *x;
  int64_t stride;
  Tiling<T> tiling;
  const T *hidden;
  const S *grad;
  int64_t grad_stride;
  S *dx;
  int64_t crew, round;
  const Sums<T> *sums;

  const T *activations(int64_t l, int64_t tile) const {
    return hidden + tiling.before(tile) * features(n, layers) + features(l, layers) * tiling.width(tile);
  }
  bool wants(int64_t l) const { return layers[l].values_grad; }
  T *deltas(T *buffer, int64_t first, int64_t tile, int64_t features) const {
    return buffer + (tiling.before(tile) - tiling.before(first)) * features;
  }
  int64_t end(int64_t first) const { return first + round < tiling.count ? first + round : tiling.count; }

  // dL/dz of the last layer, from the batch-major gradient.
  void take(int64_t first, T *buffer) const {
    const Layer &layer = layers[n - 1];
    together(crew, [&](int64_t me, int64_t all) {
      const int64_t from = cut(layer.outputs, lanes<T>, all, me), to = cut(layer.outputs, lanes<T>, all, me + 1);
      for (int64_t tile = first; tile < end(first); tile++) {
        const int64_t W = tiling.width(tile);
        T *d = deltas(buffer, first, tile, layer.outputs) + from * W;
        pack<T>(grad, grad_stride, InOrder{tiling.before(tile)}, tiling.rows(tile), from, to, d, W);
        if (layer.activation) bend(d, activations(n - 1, tile) + from * W, (to - from) * W, layer.activation);
      }
    });
  }
  static void bend(T *d, const T *a, int64_t numbers, int64_t activation) {
    for (int64_t i = 0; i < numbers; i += lanes<T>) store(d + i, slope<T>(load(d + i), load(a + i), activation));
  }

  void layer(int64_t l, int64_t first, T *dY, T *dX) const {
    const Division division(layers[l], crew, round);
    together(crew, [&](int64_t me, int64_t all) {
      biases(l, first, dY, me, all);
      for (int64_t unit = me; unit < division.blocks * division.tiles; unit += all)
        part(l, first, dY, dX, division, unit % division.blocks, unit / division.blocks);
    });
  }
  void biases(int64_t l, int64_t first, const T *dY, int64_t me, int64_t all) const {
    const Layer &layer = layers[l];
    if (!layer.bias_grad) return;
    T *total = sums[l].bias;
    for (int64_t r = share(layer.outputs, all, me); r < share(layer.outputs, all, me + 1); r++) {
      V<T> row = {};
      for (int64_t tile = first; tile < end(first); tile++) {
        const T *d = deltas(const_cast<T *>(dY), first, tile, layer.outputs) + r * tiling.width(tile);
        for (int64_t i = 0; i < tiling.width(tile); i += lanes<T>) row += load(d + i);
      }
      total[r] = (first ? total[r] : T(0)) + sum<T>(row);
    }
  }
  // One thread's share of a layer: some blocks of some tiles. Inputs before weights, since a first layer's X is packed
  // for as many tiles as are taken abreast.
  void part(int64_t l, int64_t first, T *dY, T *dX, const Division &division, int64_t ib, int64_t it) const {
    const Layer &layer = layers[l];
    const int64_t tiles = end(first) - first;
    const int64_t from = first + share(tiles, division.tiles, it), to = first + share(tiles, division.tiles, it + 1);
    const int64_t b0 = share(layer.blocks(), division.blocks, ib), b1 = share(layer.blocks(), division.blocks, ib + 1);
    for (int64_t tile = from; tile < to;) {
      const bool many = wants(l) && layer.group != 1 && tile + kAbreast <= to && tiling.width(tile + kAbreast - 1) == Tiling<T>::wide;
      const int64_t count = many ? kAbreast : 1;
      for (int64_t b = b0; b < b1; b++) block(l, first, dY, dX, b, tile, count, it);
      tile += count;
    }
  }
  void block(int64_t l, int64_t first, T *dY, T *dX, int64_t b, int64_t tile, int64_t count, int64_t it) const {
    const Layer &layer = layers[l];
    const int64_t L = lanes<T>, from = b * layer.block, wide = layer.wide(b);
    const bool below = l > lowest || (l == 0 && dx);
    T *const packed = l ? nullptr : scratch(kInput).of<T>(kAbreast * layer.block * Tiling<T>::wide);
    T *const fresh = l ? nullptr : scratch(kOutput).of<T>(layer.block * Tiling<T>::wide);
    T *const grads = wants(l) ? sums[l].part(it) : nullptr;
    const bool add = it > 0 || tile > 0;
    for (int64_t i = tile; i < tile + count; i++) {
      const int64_t W = tiling.width(i);
      Sweep<T> sweep = {&layer, b, numbers[l].values, nullptr, deltas(dY, first, i, layer.outputs), nullptr,
                        count == 1 ? grads : nullptr, add};
      if (l == 0) {
        T *const here = packed + (i - tile) * layer.block * Tiling<T>::wide;
        if (grads) pack<T>(x, stride, InOrder{tiling.before(i)}, tiling.rows(i), from, from + wide, here, W);
        sweep.X = here;
        sweep.dX = below ? fresh : nullptr;
      } else {
        sweep.X = activations(l - 1, i) + from * W;
        sweep.dX = below ? deltas(dX, first, i, layer.inputs) + from * W : nullptr;
      }
      if (below) memset(sweep.dX, 0, wide * W * sizeof(T));
      backward<T>(W / L, sweep);
      if (below && l == 0)
        unpack<T>(fresh, W, tiling.rows(i), from, from + wide, dx + tiling.before(i) * layer.inputs, layer.inputs);
      else if (below && layers[l - 1].activation)
        bend(sweep.dX, activations(l - 1, i) + from * W, wide * W, layers[l - 1].activation);
    }
    if (count == 1) return;
    const int64_t W = Tiling<T>::wide;
    weights_abreast<T>({&layer, b, l ? activations(l - 1, tile) + from * W : packed,
                        deltas(dY, first, tile, layer.outputs),
                        l ? W * features(n, layers) : layer.block * W, W * layer.outputs, grads, add});
  }
};

// Places for the sums of all layers.
template <class S, class T>
void place(int64_t n, const Layer *layers, int64_t crew, int64_t round, Sums<T> *sums) {
  constexpr bool same = sizeof(S) == sizeof(T);
  int64_t needed = 0;
  for (int64_t l = 0; l < n; l++) {
    const int64_t count = layers[l].values_grad ? layers[l].count : 0;
    sums[l] = {nullptr, nullptr, nullptr, Division(layers[l], crew, round).tiles, count};
    needed += (sums[l].parts - same) * count + (same ? 0 : layers[l].outputs);
  }
  T *room = scratch(kOther).of<T>(needed);
  for (int64_t l = 0; l < n; l++) {
    Sums<T> &place = sums[l];
    place.first = same ? static_cast<T *>(layers[l].values_grad) : room;
    if (!same) room += place.count;
    place.others = room;
    if (place.parts > 1) memset(room, 0, (place.parts - 1) * place.count * sizeof(T));
    room += (place.parts - 1) * place.count;
    place.bias = same ? static_cast<T *>(layers[l].bias_grad) : room;
    if (!same) room += layers[l].outputs;
  }
}

// Adds the parts up and hands the sums over in the stored type.
template <class S, class T>
void finish(const Layer &layer, const Sums<T> &sums, int64_t crew) {
  constexpr bool same = sizeof(S) == sizeof(T);
  S *grads = static_cast<S *>(layer.values_grad), *bias = static_cast<S *>(layer.bias_grad);
  if (grads && !(same && sums.parts == 1))
    together(crew, [&](int64_t me, int64_t all) {
      for (int64_t k = share(sums.count, all, me); k < share(sums.count, all, me + 1); k++) {
        T total = sums.first[k];
        for (int64_t part = 1; part < sums.parts; part++) total += sums.part(part)[k];
        assign(grads[k], total);
      }
    });
  if (bias && !same)
    for (int64_t r = 0; r < layer.outputs; r++) assign(bias[r], sums.bias[r]);
}

// One sample: vectors in place of tiles, of which it would fill one lane.
template <class S, class T>
void backward_one(const Backward<S, T> &job, int64_t widest) {
  constexpr int64_t W = lanes<T>;  // of the tiles in which the activations were kept
  const auto vector = [&](Use use) { return scratch(use).of<T>(widest); };
  T *dz = vector(kDelta), *dx = vector(kOutput), *const a = vector(kInput);
  const auto take = [&](int64_t l) {  // the activations of layer l side by side
    for (int64_t r = 0; r < job.layers[l].outputs; r++) a[r] = job.activations(l, 0)[r * W];
  };
  const auto bend = [&](T *d, int64_t l) {
    const Layer &layer = job.layers[l];
    for (int64_t r = 0; layer.activation && r < layer.outputs; r++)
      d[r] = slope<T>(all<T>(d[r]), all<T>(job.activations(l, 0)[r * W]), layer.activation)[0];
  };
  for (int64_t r = 0; r < job.layers[job.n - 1].outputs; r++) dz[r] = number(job.grad[r]);
  bend(dz, job.n - 1);
  for (int64_t l = job.n - 1; l >= job.lowest; l--) {
    const Layer &layer = job.layers[l];
    const bool below = l > job.lowest || (l == 0 && job.dx);
    if (layer.bias_grad)
      memcpy(job.sums[l].bias, dz, layer.outputs * sizeof(T));
    if (l)
      take(l - 1);
    else
      for (int64_t f = 0; f < layer.inputs; f++) a[f] = number(job.x[f]);
    if (below) memset(dx, 0, layer.inputs * sizeof(T));
    together(job.crew, [&](int64_t me, int64_t all) {
      for (int64_t b = share(layer.blocks(), all, me); b < share(layer.blocks(), all, me + 1); b++)
        backward_vector<T>({&layer, b, job.numbers[l].values, a + b * layer.block, dz, below ? dx + b * layer.block : nullptr,
                            job.wants(l) ? job.sums[l].first : nullptr});
    });
    if (below && l) bend(dx, l - 1);
    T *const swap = dz;
    dz = dx;
    dx = swap;
  }
  if (job.dx)
    for (int64_t f = 0; f < job.layers[0].inputs; f++) assign(job.dx[f], dz[f]);
}

template <class S>
void chain_backward(int64_t n, const Layer *layers, const S *x, int64_t stride, int64_t batch, const void *hidden,
                    const S *grad, int64_t grad_stride, S *dx, int64_t threads) {
  typedef typename Wide<S>::type T;
  Numbers<S, T> *numbers = static_cast<Numbers<S, T> *>(__builtin_alloca(n * sizeof(Numbers<S, T>)));
  widen<S, T>(n, layers, numbers);
  const Tiling<T> tiling(batch);
  const int64_t crew = team(n, layers, tiling.columns() / lanes<T>, 3, threads);
  const int64_t most = crew == 1 ? kAbreast : kRound, round = most < tiling.count ? most : tiling.count;
  int64_t lowest = 0, widest = 0;
  while (!dx && lowest + 1 < n && !layers[lowest].values_grad && !layers[lowest].bias_grad) lowest++;
  for (int64_t l = 0; l < n; l++) widest = widest < layers[l].outputs ? layers[l].outputs : widest;
  const int64_t longest = widest < layers[0].inputs ? layers[0].inputs : widest;
  Sums<T> *sums = static_cast<Sums<T> *>(__builtin_alloca(n * sizeof(Sums<T>)));
  place<S, T>(n, layers, crew, round, sums);
  T *buffers = scratch(kDelta).of<T>(batch == 1 ? longest : 2 * widest * round * Tiling<T>::wide);
  const Backward<S, T> job = {n,      lowest, layers, numbers,     x,  stride, tiling, static_cast<const T *>(hidden),
                              grad,   grad_stride,    dx,          crew, round,  sums};
  if (batch == 1) backward_one(job, longest);
  for (int64_t first = 0; batch > 1 && first < tiling.count; first += round) {
    T *dY = buffers, *dX = buffers + widest * round * Tiling<T>::wide;
    job.take(first, dY);
    for (int64_t l = n - 1; l >= lowest; l--) {
      job.layer(l, first, dY, dX);
      T *const swap = dY;
      dY = dX;
      dX = swap;
    }
  }
  for (int64_t l = lowest; l < n; l++) finish<S, T>(layers[l], sums[l], crew);
}

}  // namespace SW_WIDE
}  // namespace sw

using namespace sw;

#if SW_HAS_HALF
extern "C" void sw_chain_backward_v32(int64_t, int64_t, const Layer *, const void *, int64_t, int64_t, const void *,
                                      const void *, int64_t, void *, int64_t);
#endif

// What chain_forward.cpp says; hidden: what it kept.
SW_EXPORT(chain_backward)
(int64_t type, int64_t n, const Layer *layers, const void *x, int64_t stride, int64_t batch, const void *hidden,
 const void *grad, int64_t grad_stride, void *dx, int64_t threads) {
#if SW_HAS_HALF
  if (fits_half(type, batch))
    return sw_chain_backward_v32(type, n, layers, x, stride, batch, hidden, grad, grad_stride, dx, threads);
#endif
  if (type == 0)
    chain_backward(n, layers, (const float *)x, stride, batch, hidden, (const float *)grad, grad_stride, (float *)dx,
                   threads);
  else if (type == 1)
    chain_backward(n, layers, (const double *)x, stride, batch, hidden, (const double *)grad, grad_stride,
                   (double *)dx, threads);
  else
    chain_backward(n, layers, (const bfloat16 *)x, stride, batch, hidden, (const bfloat16 *)grad, grad_stride,
                   (bfloat16 *)dx, threads);
}

SW_EXPORT(linear_backward)
(int64_t type, int64_t outputs, int64_t inputs, int64_t block, int64_t group, int64_t count, const int16_t *columns,
 const int32_t *starts, void *values, void *values_grad, void *bias_grad, const void *x, int64_t stride, int64_t batch,
 const void *grad, int64_t grad_stride, void *dx, int64_t threads) {
  const Layer layer = {outputs, inputs,  block,     group,       count,    columns,
                       starts,  values,  nullptr,   kIdentity,   values_grad, bias_grad};
  SW_PASTE(sw_chain_backward_, SW_WIDE)(type, 1, &layer, x, stride, batch, nullptr, grad, grad_stride, dx, threads);
}
