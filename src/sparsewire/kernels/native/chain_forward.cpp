// A chain of sparse layers forward, from and to batch-major tensors. Between the layers activations stay in tiles.
#include "chain.hpp"
#include "vector_products.hpp"

namespace sw {
inline namespace SW_WIDE {

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

}  // namespace SW_WIDE
}  // namespace sw

using namespace sw;

#if SW_HAS_HALF
extern "C" void sw_chain_forward_v32(int64_t, int64_t, const Layer *, const void *, int64_t, int64_t, void *, void *,
                                     int64_t);
#endif

// type: 0 float, 1 double, 2 bfloat16. layers: Layer of junctions.hpp. hidden: float or double, the activations of all
// layers, tile after tile; null where they are not wanted.
SW_EXPORT(chain_forward)
(int64_t type, int64_t n, const Layer *layers, const void *x, int64_t stride, int64_t batch, void *y, void *hidden,
 int64_t threads) {
#if SW_HAS_HALF
  if (fits_half(type, batch)) return sw_chain_forward_v32(type, n, layers, x, stride, batch, y, hidden, threads);
#endif
  if (type == 0)
    chain_forward(n, layers, (const float *)x, stride, batch, (float *)y, hidden, threads);
  else if (type == 1)
    chain_forward(n, layers, (const double *)x, stride, batch, (double *)y, hidden, threads);
  else
    chain_forward(n, layers, (const bfloat16 *)x, stride, batch, (bfloat16 *)y, hidden, threads);
}

// A single layer, without an array of descriptions: for the shortest way from Python.
SW_EXPORT(linear_forward)
(int64_t type, int64_t outputs, int64_t inputs, int64_t block, int64_t group, int64_t count, const int16_t *columns,
 const int32_t *starts, void *values, void *bias, const void *x, int64_t stride, int64_t batch, void *y,
 int64_t threads) {
  const Layer layer = {outputs, inputs, block, group, count, columns, starts, values, bias, kIdentity, nullptr, nullptr};
  SW_PASTE(sw_chain_forward_, SW_WIDE)(type, 1, &layer, x, stride, batch, y, nullptr, threads);
}
