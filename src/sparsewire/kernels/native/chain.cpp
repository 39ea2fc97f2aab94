// A chain of sparse layers, forward and backward, from and to batch-major tensors. A single layer is a chain of one.
// Between the layers activations stay in tiles.
#include "gradients.hpp"
#include "threads.hpp"
#include "vector_products.hpp"

namespace sw {
inline namespace SW_WIDE {

constexpr int64_t kRound = 8;  // tiles that a team works on between two barriers

// Values and biases in the type that is computed with: where they are, or converted into scratch memory.
template <class S, class T>
struct Numbers {
  const T *values, *bias;
};
template <class S, class T>
void widen(int64_t n, const Layer *layers, Numbers<S, T> *numbers) {
  if constexpr (sizeof(S) == sizeof(T)) {
    for (int64_t l = 0; l < n; l++)
      numbers[l] = {static_cast<const T *>(layers[l].values), static_cast<const T *>(layers[l].bias)};
  } else {
    int64_t total = 0;
    for (int64_t l = 0; l < n; l++) total += layers[l].count + layers[l].outputs;
    T *to = scratch(kValues).of<T>(total);
    for (int64_t l = 0; l < n; l++) {
      const S *values = static_cast<const S *>(layers[l].values), *bias = static_cast<const S *>(layers[l].bias);
      for (int64_t k = 0; k < layers[l].count; k++) to[k] = number(values[k]);
      numbers[l] = {to, bias ? to + layers[l].count : nullptr};
      to += layers[l].count;
      for (int64_t r = 0; bias && r < layers[l].outputs; r++) to[r] = number(bias[r]);
      to += layers[l].outputs;
    }
  }
}

// Threads for so much work: none is woken for less than about 50 microseconds.
inline int64_t team(int64_t n, const Layer *layers, int64_t vectors, int64_t passes, int64_t threads) {
  double nanoseconds = 0;
  for (int64_t l = 0; l < n; l++)
    nanoseconds += double(vectors) * passes * (0.4 * layers[l].count + 1.5 * (layers[l].inputs + layers[l].outputs));
  const int64_t worth = int64_t(nanoseconds / 25000);
  return worth < 2 ? 1 : worth < threads ? worth : threads;
}

inline int64_t features(int64_t n, const Layer *layers) {  // numbers a sample has in `hidden`
  int64_t total = 0;
  for (int64_t l = 0; l < n; l++) total += layers[l].outputs;
  return total;
}

// The part of [0, total) that one of `parts` does, in whole steps.
inline int64_t cut(int64_t total, int64_t step, int64_t parts, int64_t part) {
  const int64_t edge = share((total + step - 1) / step, parts, part) * step;
  return edge < total ? edge : total;
}

template <class S, class T>
struct Forward {
  int64_t n;
  const Layer *layers;
  const Numbers<S, T> *numbers;
  const S *x;
  int64_t stride;
  Tiling<T> tiling;
  S *y;

  // Every step is for one of `parts` that share a tile; `at` is the tile's activations, layer after layer.
  void take(int64_t tile, T *input, int64_t parts, int64_t part) const {
    const int64_t W = tiling.width(tile), F = layers[0].inputs, L = lanes<T>;
    const int64_t from = cut(F, L, parts, part), to = cut(F, L, parts, part + 1);
    pack<T>(x, stride, InOrder{tiling.before(tile)}, tiling.rows(tile), from, to, input + from * W, W);
  }
  void layer(int64_t l, int64_t tile, const T *input, T *output, int64_t parts, int64_t part) const {
    const int64_t groups = layers[l].groups();
    forward<T>(tiling.vectors(tile), layers[l], numbers[l].values, numbers[l].bias, input, output,
               share(groups, parts, part), share(groups, parts, part + 1));
  }
  void give(int64_t tile, const T *output, int64_t parts, int64_t part) const {
    const int64_t W = tiling.width(tile), F = layers[n - 1].outputs, L = lanes<T>;
    const int64_t from = cut(F, L, parts, part), to = cut(F, L, parts, part + 1);
    unpack<T>(output + from * W, W, tiling.rows(tile), from, to, y + tiling.before(tile) * F, F);
  }
};

// One sample, no activations kept.
template <class S, class T>
void forward_one(const Forward<S, T> &job, int64_t threads) {
  int64_t most = job.layers[0].inputs;
  for (int64_t l = 0; l < job.n; l++) most = most < job.layers[l].outputs ? job.layers[l].outputs : most;
  T *from = scratch(kInput).of<T>(most), *to = scratch(kOutput).of<T>(most);
  const T *input = from;
  if constexpr (sizeof(S) == sizeof(T))
    input = job.x;
  else
    for (int64_t f = 0; f < job.layers[0].inputs; f++) from[f] = number(job.x[f]);
  for (int64_t l = 0; l < job.n; l++) {
    const Layer &layer = job.layers[l];
    T *output = to;
    if constexpr (sizeof(S) == sizeof(T)) output = l + 1 == job.n ? job.y : to;
    together(threads, [&](int64_t me, int64_t all) {
      forward_vector<T>(layer, job.numbers[l].values, job.numbers[l].bias, input, output,
                        share(layer.groups(), all, me), share(layer.groups(), all, me + 1));
    });
    input = output;
    to = from;
    from = output;
  }
  if constexpr (sizeof(S) != sizeof(T))
    for (int64_t f = 0; f < job.layers[job.n - 1].outputs; f++) assign(job.y[f], input[f]);
}

template <class S>
void chain_forward(int64_t n, const Layer *layers, const S *x, int64_t stride, int64_t batch, S *y, void *kept,
                   int64_t threads) {
  typedef typename Wide<S>::type T;
  Numbers<S, T> *numbers = static_cast<Numbers<S, T> *>(__builtin_alloca(n * sizeof(Numbers<S, T>)));
  widen<S, T>(n, layers, numbers);
  const Tiling<T> tiling(batch);
  const Forward<S, T> job = {n, layers, numbers, x, stride, tiling, y};
  const int64_t crew = team(n, layers, tiling.columns() / lanes<T>, 1, threads), all_features = features(n, layers);
  if (batch == 1 && !kept) return forward_one(job, crew);
  T *const hidden = static_cast<T *>(kept);

  if (crew < 2 || tiling.count * 2 > crew) {  // every thread takes tiles of its own through all layers
    together(crew, [&](int64_t me, int64_t all) {
      T *input = scratch(kInput).of<T>(layers[0].inputs * Tiling<T>::wide);
      T *own = hidden ? nullptr : scratch(kOutput).of<T>(all_features * Tiling<T>::wide);
      for (int64_t tile = share(tiling.count, all, me); tile < share(tiling.count, all, me + 1); tile++) {
        const T *from = input;
        T *to = hidden ? hidden + tiling.before(tile) * all_features : own;
        job.take(tile, input, 1, 0);
        for (int64_t l = 0; l < n; l++) {
          job.layer(l, tile, from, to, 1, 0);
          from = to;
          to += layers[l].outputs * tiling.width(tile);
        }
        job.give(tile, from, 1, 0);
      }
    });
    return;
  }
  // Few tiles: several threads share each, layer by layer.
  const int64_t parts = crew / tiling.count, columns = tiling.columns();
  T *inputs = scratch(kInput).of<T>(layers[0].inputs * columns);
  T *outputs = hidden ? hidden : scratch(kOutput).of<T>(all_features * columns);
  const auto each = [&](const auto &step) {
    together(crew, [&](int64_t me, int64_t all) {
      for (int64_t unit = me; unit < tiling.count * parts; unit += all) step(unit / parts, unit % parts);
    });
  };
  const auto at = [&](int64_t tile, int64_t l) {
    return outputs + tiling.before(tile) * all_features + features(l, layers) * tiling.width(tile);
  };
  const auto input = [&](int64_t tile) { return inputs + tiling.before(tile) * layers[0].inputs; };
  each([&](int64_t tile, int64_t part) { job.take(tile, input(tile), parts, part); });
  for (int64_t l = 0; l < n; l++)
    each([&](int64_t tile, int64_t part) {
      job.layer(l, tile, l ? at(tile, l - 1) : input(tile), at(tile, l), parts, part);
    });
  each([&](int64_t tile, int64_t part) { job.give(tile, at(tile, n - 1), parts, part); });
}

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
    memset(room, 0, (place.parts - 1) * place.count * sizeof(T));
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
  Sums<T> *sums = static_cast<Sums<T> *>(__builtin_alloca(n * sizeof(Sums<T>)));
  place<S, T>(n, layers, crew, round, sums);
  T *buffers = scratch(kDelta).of<T>(2 * widest * round * Tiling<T>::wide);
  const Backward<S, T> job = {n,      lowest, layers, numbers,     x,  stride, tiling, static_cast<const T *>(hidden),
                              grad,   grad_stride,    dx,          crew, round,  sums};
  for (int64_t first = 0; first < tiling.count; first += round) {
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

// type: 0 float, 1 double, 2 bfloat16. layers: Layer of junctions.hpp. hidden: float or double, the activations of all
// layers, tile after tile; null where they are not wanted.
SW_EXPORT(chain_forward)
(int64_t type, int64_t n, const Layer *layers, const void *x, int64_t stride, int64_t batch, void *y, void *hidden,
 int64_t threads) {
  if (type == 0)
    chain_forward(n, layers, (const float *)x, stride, batch, (float *)y, hidden, threads);
  else if (type == 1)
    chain_forward(n, layers, (const double *)x, stride, batch, (double *)y, hidden, threads);
  else
    chain_forward(n, layers, (const bfloat16 *)x, stride, batch, (bfloat16 *)y, hidden, threads);
}

SW_EXPORT(chain_backward)
(int64_t type, int64_t n, const Layer *layers, const void *x, int64_t stride, int64_t batch, const void *hidden,
 const void *grad, int64_t grad_stride, void *dx, int64_t threads) {
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

// A single layer, without an array of descriptions: for the shortest way from Python.
SW_EXPORT(linear_forward)
(int64_t type, int64_t outputs, int64_t inputs, int64_t block, int64_t group, int64_t count, const int16_t *columns,
 const int32_t *starts, void *values, void *bias, const void *x, int64_t stride, int64_t batch, void *y,
 int64_t threads) {
  const Layer layer = {outputs, inputs, block, group, count, columns, starts, values, bias, kIdentity, nullptr, nullptr};
  SW_PASTE(sw_chain_forward_, SW_WIDE)(type, 1, &layer, x, stride, batch, y, nullptr, threads);
}

SW_EXPORT(linear_backward)
(int64_t type, int64_t outputs, int64_t inputs, int64_t block, int64_t group, int64_t count, const int16_t *columns,
 const int32_t *starts, void *values, void *values_grad, void *bias_grad, const void *x, int64_t stride, int64_t batch,
 const void *grad, int64_t grad_stride, void *dx, int64_t threads) {
  const Layer layer = {outputs, inputs,  block,     group,       count,    columns,
                       starts,  values,  nullptr,   kIdentity,   values_grad, bias_grad};
  SW_PASTE(sw_chain_backward_, SW_WIDE)(type, 1, &layer, x, stride, batch, nullptr, grad, grad_stride, dx, threads);
}
