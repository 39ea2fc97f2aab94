// A network of nodes in order, each of which reads lower ones, forward and backward: one pass over all edges each way.
// Nodes below `sources` are given. Every other node is the sum of its units, a unit is act(Σ v a + b) over its edges; with
// `first` null a node is one unit. Each thread takes tiles of the batch of its own through all nodes, so that it may add
// to any node's gradient; the sums over the batch are kept apart for each thread and added up in their order.
#include "gradients.hpp"
#include "products.hpp"
#include "threads.hpp"

namespace sw {
inline namespace SW_WIDE {

// The fields are 64 bits each, in the order in which Python writes them.
struct Dag {
  int64_t sources, nodes, edges, units, reads;
  const int32_t *columns, *starts;  // of each edge the node that it comes from; where each unit's edges begin, and the end
  const int32_t *first;             // where the units of each node from `sources` on begin, and the end; or null
  const int32_t *read;              // the nodes that are outputs, ascending
  int64_t activation, batch, wide, threads;  // wide: columns of a tile, as far as there are registers for it
  const void *values, *bias;  // float or double, as all numbers here
  const void *x;
  int64_t x_stride;
  void *y, *kept;  // kept: every node's values, tile after tile; null where they are not wanted
  const void *grad;
  int64_t grad_stride;
  void *dx, *values_grad, *bias_grad;  // dx: null where it is not wanted

  int64_t from(int64_t node) const { return first ? first[node - sources] : node - sources; }
  int64_t to(int64_t node) const { return first ? first[node - sources + 1] : node - sources + 1; }
  bool in_a_row() const { return reads && read[reads - 1] - read[0] == reads - 1; }
};

// How the batch is cut: as in tiles.hpp, in tiles that may be narrower.
template <class T>
struct DagTiling {
  const Dag &dag;
  const int64_t wide, count;
  static int64_t columns(int64_t wanted) {
    const int64_t vectors = wanted / lanes<T>;
    return lanes<T> * (vectors < 1 ? 1 : vectors < kWidest ? vectors : kWidest);
  }
  explicit DagTiling(const Dag &dag)
      : dag(dag), wide(columns(dag.wide)), count((dag.batch + columns(dag.wide) - 1) / columns(dag.wide)) {}
  int64_t rows(int64_t tile) const { return tile + 1 < count ? wide : dag.batch - tile * wide; }
  int64_t vectors(int64_t tile) const { return (rows(tile) + lanes<T> - 1) / lanes<T>; }
  // Threads for so much work: none is woken for less than about 50 microseconds.
  int64_t crew(int64_t passes) const {
    const double vectors = double((dag.batch + lanes<T> - 1) / lanes<T>);
    const int64_t worth = int64_t(passes * vectors * (double(dag.edges) + 2. * dag.nodes) / 25000);
    const int64_t most = dag.threads < count ? dag.threads : count;
    return worth < 2 || most < 2 ? 1 : worth < most ? worth : most;
  }
};

// call(the number of vectors, as a constant)
template <int NW>
struct Number {
  static constexpr int value = NW;
};
template <class Call>
SW_INLINE void with_constant(int64_t vectors, const Call &call) {
  switch (vectors) {
    case 1: return call(Number<1>());
    case 2: return call(Number<2>());
    case 3: return call(Number<3>());
    default: return call(Number<4>());
  }
}

constexpr int64_t kAhead = 12;  // edges by which memory is asked for before it is needed

template <class T, int NW>
SW_INLINE void fetch(const T *row) {
#pragma GCC unroll 4
  for (int64_t byte = 0; byte < NW * SW_BYTES; byte += 64) __builtin_prefetch(reinterpret_cast<const char *>(row) + byte);
}

// act(Σ v a + b) of a unit, for a tile.
template <class T, int NW>
SW_INLINE void unit_value(const Dag &dag, int64_t unit, const T *A, V<T> (&z)[NW]) {
  constexpr int64_t L = lanes<T>, W = NW * L;
  const T *const values = static_cast<const T *>(dag.values);
  const V<T> b = all<T>(static_cast<const T *>(dag.bias)[unit]);
#pragma GCC unroll 4
  for (int j = 0; j < NW; j++) z[j] = b;
  for (int64_t e = dag.starts[unit]; e < dag.starts[unit + 1]; e++) {
    if (e + kAhead < dag.edges) fetch<T, NW>(A + int64_t(dag.columns[e + kAhead]) * W);
    const T *const a = A + int64_t(dag.columns[e]) * W;
    const V<T> v = all<T>(values[e]);
#pragma GCC unroll 4
    for (int j = 0; j < NW; j++) z[j] += v * load(a + j * L);
  }
#pragma GCC unroll 4
  for (int j = 0; j < NW; j++) z[j] = activate<T>(z[j], dag.activation);
}

template <class T, int NW>
void forward_tile(const Dag &dag, int64_t sample, int64_t rows, T *A) {
  constexpr int64_t L = lanes<T>, W = NW * L;
  pack<T>(static_cast<const T *>(dag.x), dag.x_stride, InOrder{sample}, rows, 0, dag.sources, A, W);
  for (int64_t n = dag.sources; n < dag.nodes; n++) {
    V<T> total[NW] = {}, one[NW];
    for (int64_t u = dag.from(n); u < dag.to(n); u++) {
      unit_value<T, NW>(dag, u, A, one);
#pragma GCC unroll 4
      for (int j = 0; j < NW; j++) total[j] += one[j];
    }
#pragma GCC unroll 4
    for (int j = 0; j < NW; j++) store(A + n * W + j * L, total[j]);
  }
  const T *out = dag.reads ? A + int64_t(dag.read[0]) * W : A;
  if (!dag.in_a_row()) {
    T *const copy = scratch(kOther).of<T>(dag.reads * W);
    for (int64_t r = 0; r < dag.reads; r++) memcpy(copy + r * W, A + int64_t(dag.read[r]) * W, W * sizeof(T));
    out = copy;
  }
  unpack<T>(out, W, rows, 0, dag.reads, static_cast<T *>(dag.y) + sample * dag.reads, dag.reads);
}

// Where a thread sums up over its samples.
template <class T>
struct DagSums {
  T *values, *bias;
};

// One unit: its dL/dz to its bias, its weights and the nodes that it reads. D: dL/da of all nodes.
template <class T, int NW>
SW_INLINE void unit_back(const Dag &dag, int64_t unit, const T *A, T *D, const V<T> (&dz)[NW], const DagSums<T> &sums,
                         bool add) {
  constexpr int64_t L = lanes<T>, W = NW * L;
  const T *const values = static_cast<const T *>(dag.values);
  V<T> total = dz[0];
#pragma GCC unroll 4
  for (int j = 1; j < NW; j++) total += dz[j];
  sums.bias[unit] = (add ? sums.bias[unit] : T(0)) + sum<T>(total);
  const auto leaf = [&](int64_t e) __attribute__((always_inline)) {
    const int64_t place = int64_t(dag.columns[e]) * W;
    if (e >= kAhead) {
      const int64_t soon = int64_t(dag.columns[e - kAhead]) * W;
      fetch<T, NW>(D + soon);
      fetch<T, NW>(A + soon);
    }
    const V<T> v = all<T>(values[e]);
    V<T> product = {};
#pragma GCC unroll 4
    for (int j = 0; j < NW; j++) {
      store(D + place + j * L, load(D + place + j * L) + v * dz[j]);
      product += dz[j] * load(A + place + j * L);
    }
    return product;
  };
  fold_all<T>(leaf, dag.starts[unit], dag.starts[unit + 1], sums.values, add);
}

template <class T, int NW>
void backward_tile(const Dag &dag, int64_t sample, int64_t rows, const T *A, T *D, const DagSums<T> &sums, bool add) {
  constexpr int64_t L = lanes<T>, W = NW * L;
  memset(D, 0, dag.nodes * W * sizeof(T));
  const bool direct = dag.in_a_row();
  T *const above = direct ? D + int64_t(dag.read[0]) * W : scratch(kOther).of<T>(dag.reads * W);
  pack<T>(static_cast<const T *>(dag.grad), dag.grad_stride, InOrder{sample}, rows, 0, dag.reads, above, W);
  for (int64_t r = 0; !direct && r < dag.reads; r++) memcpy(D + int64_t(dag.read[r]) * W, above + r * W, W * sizeof(T));
  for (int64_t n = dag.nodes - 1; n >= dag.sources; n--) {
    V<T> up[NW], a[NW], dz[NW];
#pragma GCC unroll 4
    for (int j = 0; j < NW; j++) up[j] = load(D + n * W + j * L);
#pragma GCC unroll 4
    for (int j = 0; j < NW; j++) a[j] = load(A + n * W + j * L);
    const bool alone = dag.to(n) - dag.from(n) == 1;  // then the node's value is its unit's
    for (int64_t u = dag.to(n) - 1; u >= dag.from(n); u--) {
      if (!alone) unit_value<T, NW>(dag, u, A, a);
#pragma GCC unroll 4
      for (int j = 0; j < NW; j++) dz[j] = slope<T>(up[j], a[j], dag.activation);
      unit_back<T, NW>(dag, u, A, D, dz, sums, add);
    }
  }
  if (dag.dx)
    unpack<T>(D, W, rows, 0, dag.sources, static_cast<T *>(dag.dx) + sample * dag.sources, dag.sources);
}

template <class T>
void dag_forward(const Dag &dag) {
  const DagTiling<T> tiling(dag);
  T *const kept = static_cast<T *>(dag.kept);
  together(tiling.crew(1), [&](int64_t me, int64_t all) {
    T *const own = kept ? nullptr : scratch(kOutput).of<T>(dag.nodes * tiling.wide);
    for (int64_t tile = share(tiling.count, all, me); tile < share(tiling.count, all, me + 1); tile++) {
      const int64_t sample = tile * tiling.wide;
      with_constant(tiling.vectors(tile), [&](auto number) {
        forward_tile<T, number.value>(dag, sample, tiling.rows(tile), kept ? kept + sample * dag.nodes : own);
      });
    }
  });
}

// Adds the sums of the other threads to those of the first, which lie where they are to go.
template <class T>
void add_up(T *to, const T *others, int64_t stride, int64_t parts, int64_t count, int64_t threads) {
  together(threads, [&](int64_t me, int64_t all) {
    for (int64_t part = 0; part < parts; part++)
      for (int64_t k = share(count, all, me); k < share(count, all, me + 1); k++) to[k] += others[part * stride + k];
  });
}

template <class T>
void dag_backward(const Dag &dag) {
  const DagTiling<T> tiling(dag);
  const DagSums<T> first = {static_cast<T *>(dag.values_grad), static_cast<T *>(dag.bias_grad)};
  const int64_t wanted = tiling.crew(3), stride = dag.edges + dag.units;
  T *const others = scratch(kSums).of<T>((wanted - 1) * stride);
  int64_t crew = 1;
  together(wanted, [&](int64_t me, int64_t all) {
    if (!me) crew = all;
    T *const D = scratch(kDelta).of<T>(dag.nodes * tiling.wide);
    DagSums<T> sums = first;
    if (me) sums = {others + (me - 1) * stride, others + (me - 1) * stride + dag.edges};
    const int64_t begin = share(tiling.count, all, me), end = share(tiling.count, all, me + 1);
    for (int64_t tile = begin; tile < end; tile++) {
      const int64_t sample = tile * tiling.wide;
      const T *const A = static_cast<const T *>(dag.kept) + sample * dag.nodes;
      with_constant(tiling.vectors(tile), [&](auto number) {
        backward_tile<T, number.value>(dag, sample, tiling.rows(tile), A, D, sums, tile > begin);
      });
    }
  });
  if (crew < 2) return;
  add_up<T>(first.values, others, stride, crew - 1, dag.edges, crew);
  add_up<T>(first.bias, others + dag.edges, stride, crew - 1, dag.units, crew);
}

// One sample: a number for each node in place of a vector.
template <class T>
void forward_one(const Dag &dag) {
  T *const A = scratch(kOutput).of<T>(dag.nodes);
  const T *const values = static_cast<const T *>(dag.values), *const bias = static_cast<const T *>(dag.bias);
  memcpy(A, dag.x, dag.sources * sizeof(T));
  for (int64_t n = dag.sources; n < dag.nodes; n++) {
    T total = 0;
    for (int64_t u = dag.from(n); u < dag.to(n); u++) {
      T z = bias[u];
      for (int64_t e = dag.starts[u]; e < dag.starts[u + 1]; e++) z += values[e] * A[dag.columns[e]];
      total += activate<T>(all<T>(z), dag.activation)[0];
    }
    A[n] = total;
  }
  for (int64_t r = 0; r < dag.reads; r++) static_cast<T *>(dag.y)[r] = A[dag.read[r]];
}

template <class T>
void either_way(const Dag &dag, bool back) {
  if (back) return dag_backward<T>(dag);
  return dag.batch == 1 && !dag.kept ? forward_one<T>(dag) : dag_forward<T>(dag);
}

}  // namespace SW_WIDE
}  // namespace sw

using namespace sw;

// type: 0 float, 1 double.
SW_EXPORT(dag)(int64_t type, int64_t back, const Dag *dag) {
  type ? either_way<double>(*dag, back) : either_way<float>(*dag, back);
}
