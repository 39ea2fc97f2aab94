// The sweep over all shortest paths of an undirected graph; centrality.py says what it finds, centrality_plain.py does
// the same in numpy. Eight sources go together, one in each lane of a vector, whatever the machine's own width, so that
// all machines add in the same order. A node that several of them reach in the same step is visited once for all.
#include "threads.hpp"
#include "vectors.hpp"

namespace sw {
inline namespace SW_WIDE {
namespace centrality {

constexpr int64_t LANES = 8;
constexpr int64_t FULL = 255;  // a bit for each lane

typedef double Reals __attribute__((vector_size(64)));
typedef double Loose __attribute__((vector_size(64), aligned(8), may_alias));
typedef int64_t Wholes __attribute__((vector_size(64)));

SW_INLINE Reals get(const double *lanes, int64_t node) {
  return *reinterpret_cast<const Loose *>(lanes + LANES * node);
}
SW_INLINE void put(double *lanes, int64_t node, Reals x) { *reinterpret_cast<Loose *>(lanes + LANES * node) = x; }

// All bits of the lanes whose bit is set, and back.
SW_INLINE Wholes lanes_of(int64_t bits) {
  constexpr Wholes each = {1, 2, 4, 8, 16, 32, 64, 128};
  return ((Wholes{} + bits) & each) != 0;
}
SW_INLINE int64_t bits_of(Wholes lanes) {
#if defined(__AVX512DQ__)
  __m512i all;
  memcpy(&all, &lanes, 64);
  return _mm512_movepi64_mask(all);
#else
  int64_t bits = 0;
  for (int64_t i = 0; i < LANES; i++) bits |= lanes[i] & int64_t(1) << i;
  return bits;
#endif
}
SW_INLINE Reals only(Wholes lanes, Reals x) { return Reals(Wholes(x) & lanes); }

typedef double Two __attribute__((vector_size(16)));
typedef double Four __attribute__((vector_size(32)));

SW_INLINE double total(Reals x) {
  Four half[2];
  memcpy(half, &x, 64);
  const Four four = half[0] + half[1];
  Two quarter[2];
  memcpy(quarter, &four, 32);
  const Two two = quarter[0] + quarter[1];
  return two[0] + two[1];
}

struct Graph {
  const int64_t *starts;
  const int32_t *heads;
  int64_t nodes, arcs;
  int64_t degree(int64_t v) const { return starts[v + 1] - starts[v]; }
};

// What a thread works in. Between two batches `last` and `part` are 0, and so is `marked`.
struct Room {
  double *paths, *last, *part;  // eight per node; of `paths` only lanes that were reached mean something
  int64_t *begin;               // where the visits of each step begin
  int32_t *node;                // of each visit the node and the lanes that reach it
  uint8_t *lanes, *seen, *marked;
};

SW_INLINE Room room_at(char *at, int64_t nodes) {
  Room r;
  r.paths = reinterpret_cast<double *>(at);
  r.last = r.paths + LANES * nodes;
  r.part = r.last + LANES * nodes;
  r.begin = reinterpret_cast<int64_t *>(r.part + LANES * nodes);
  r.node = reinterpret_cast<int32_t *>(r.begin + nodes + 2);
  r.lanes = reinterpret_cast<uint8_t *>(r.node + (LANES + 1) * nodes);
  r.seen = r.lanes + (LANES + 1) * nodes;
  r.marked = r.seen + nodes;
  return r;
}

// The sum of `lanes` over the neighbours of a node.
SW_INLINE Reals around(const Graph &g, int64_t v, const double *lanes) {
  Reals one = {}, other = {};
  int64_t a = g.starts[v];
  const int64_t end = g.starts[v + 1];
  for (; a + 2 <= end; a += 2) {
    one += get(lanes, g.heads[a]);
    other += get(lanes, g.heads[a + 1]);
  }
  if (a < end) one += get(lanes, g.heads[a]);
  return one + other;
}

// One of two ways to find who is one step farther: from those who were reached last, or from those whom not all sources
// have reached. Candidates are written behind the visits, their paths to `part`.
static int64_t outwards_from_last(const Graph &g, const Room &r, int64_t from, int64_t end) {
  int64_t found = end;
  for (int64_t i = from; i < end; i++) {
    const int64_t u = r.node[i];
    const Reals x = get(r.last, u);
    for (int64_t a = g.starts[u]; a < g.starts[u + 1]; a++) {
      const int64_t v = g.heads[a];
      if (r.seen[v] == FULL) continue;
      put(r.part, v, get(r.part, v) + x);
      r.node[found] = int32_t(v);
      found += !r.marked[v];
      r.marked[v] = 1;
    }
  }
  for (int64_t i = end; i < found; i++) r.marked[r.node[i]] = 0;
  return found;
}
static int64_t outwards_from_open(const Graph &g, const Room &r, int64_t end) {
  int64_t found = end;
  for (int64_t v = 0; v < g.nodes; v++) {
    if (r.seen[v] == FULL) continue;
    put(r.part, v, around(g, v, r.last));
    r.node[found++] = int32_t(v);
  }
  return found;
}

struct Found {
  Wholes distances, reached, farthest;
};

// Visits in breadth: fills `begin`, `node`, `lanes` and `paths`; returns the number of steps, that of the sources
// among them.
static int64_t outwards(const Graph &g, const int32_t *sources, int64_t count, const Room &r, Found &f) {
  memset(r.seen, int(FULL & ~((int64_t(1) << count) - 1)), g.nodes);
  int64_t end = 0, open = g.arcs, arcs = 0;
  for (int64_t i = 0; i < count; i++) {
    int64_t at = 0;
    while (at < end && r.node[at] != sources[i]) at++;
    if (at == end) r.lanes[end] = 0, r.node[end++] = sources[i];
    r.lanes[at] |= uint8_t(1 << i);
  }
  for (int64_t i = 0; i < end; i++) {
    const Reals one = only(lanes_of(r.lanes[i]), Reals{} + 1.);
    put(r.paths, r.node[i], one), put(r.last, r.node[i], one);
    r.seen[r.node[i]] |= r.lanes[i];
    arcs += g.degree(r.node[i]);
    if (r.seen[r.node[i]] == FULL) open -= g.degree(r.node[i]);
  }
  r.begin[0] = 0;
  int64_t step = 0, from = 0;
  while (from < end) {
    r.begin[++step] = end;
    const int64_t candidates = 2 * arcs < open ? outwards_from_last(g, r, from, end) : outwards_from_open(g, r, end);
    for (int64_t i = from; i < end; i++) put(r.last, r.node[i], Reals{});
    from = end, arcs = 0;
    Wholes counted = {};
    for (int64_t i = from; i < candidates; i++) {
      const int64_t v = r.node[i];
      const Reals x = get(r.part, v);
      put(r.part, v, Reals{});
      const Wholes in = (x > 0) & lanes_of(~r.seen[v]);
      const int64_t bits = bits_of(in);
      if (!bits) continue;
      put(r.last, v, only(in, x));
      put(r.paths, v, only(in, x) + only(~in, get(r.paths, v)));
      counted -= in;
      r.node[end] = int32_t(v), r.lanes[end++] = uint8_t(bits);
      r.seen[v] |= uint8_t(bits);
      arcs += g.degree(v);
      if (r.seen[v] == FULL) open -= g.degree(v);
    }
    f.reached += counted;
    f.distances += counted * step;
    f.farthest = counted > 0 ? Wholes{} + step : f.farthest;
  }
  return step;
}

// From the last step to the first: what is one step farther tells each node and each arc their parts.
static void back(const Graph &g, const Room &r, int64_t steps, double *arcs) {
  for (int64_t step = steps - 1; step > 0; step--) {
    for (int64_t i = r.begin[step]; i < r.begin[step + 1]; i++) {
      const int64_t w = r.node[i];
      put(r.last, w, only(lanes_of(r.lanes[i]), (get(r.part, w) + 1.) / get(r.paths, w)));
    }
    for (int64_t i = r.begin[step - 1]; i < r.begin[step]; i++) {
      const int64_t v = r.node[i];
      const Reals own = only(lanes_of(r.lanes[i]), get(r.paths, v));
      Reals sum = {};
      for (int64_t a = g.starts[v]; a < g.starts[v + 1]; a++) {
        const Reals x = own * get(r.last, g.heads[a]);
        sum += x;
        arcs[a] += total(x);
      }
      put(r.part, v, get(r.part, v) + sum);
    }
    for (int64_t i = r.begin[step]; i < r.begin[step + 1]; i++) put(r.last, r.node[i], Reals{});
  }
}

}  // namespace centrality
}  // namespace SW_WIDE
}  // namespace sw

// starts, heads: a graph of `nodes` nodes. sources: `count` of them. nodes_sum and arcs_sum: 0, one row for each of
// `parts` parts of the sources, which are always the same. distances, reached, farthest: one for each source.
// room: 0, `room_bytes` for each thread: 192 + 8 + 36 + 9 + 2 a node, and 64.
SW_EXPORT(shortest_paths_sweep)
(int64_t starts, int64_t heads, int64_t nodes, int64_t sources, int64_t count, int64_t parts, int64_t nodes_sum,
 int64_t arcs_sum, int64_t distances, int64_t reached, int64_t farthest, int64_t room, int64_t room_bytes,
 int64_t threads) {
  using namespace sw::centrality;
  const Graph g = {reinterpret_cast<const int64_t *>(starts), reinterpret_cast<const int32_t *>(heads), nodes,
                   reinterpret_cast<const int64_t *>(starts)[nodes]};
  const int64_t batches = (count + LANES - 1) / LANES;
  sw::together(threads, [&](int64_t thread, int64_t team) {
    const Room r = room_at(reinterpret_cast<char *>(room) + room_bytes * thread, nodes);
    for (int64_t part = sw::share(parts, team, thread); part < sw::share(parts, team, thread + 1); part++) {
      double *const own = reinterpret_cast<double *>(nodes_sum) + part * nodes;
      double *const own_arcs = reinterpret_cast<double *>(arcs_sum) + part * g.arcs;
      for (int64_t b = sw::share(batches, parts, part); b < sw::share(batches, parts, part + 1); b++) {
        const int64_t first = b * LANES, lanes = count - first < LANES ? count - first : LANES;
        Found f = {};
        const int64_t steps = outwards(g, reinterpret_cast<const int32_t *>(sources) + first, lanes, r, f);
        back(g, r, steps, own_arcs);
        for (int64_t i = r.begin[0]; i < r.begin[1]; i++)  // a source has no part in its own paths
          put(r.part, r.node[i], only(~lanes_of(r.lanes[i]), get(r.part, r.node[i])));
        for (int64_t v = 0; v < nodes; v++) {
          own[v] += total(get(r.part, v));
          put(r.part, v, Reals{});
        }
        for (int64_t i = 0; i < lanes; i++) {
          reinterpret_cast<int64_t *>(distances)[first + i] = f.distances[i];
          reinterpret_cast<int64_t *>(reached)[first + i] = f.reached[i];
          reinterpret_cast<int64_t *>(farthest)[first + i] = f.farthest[i];
        }
      }
    }
  });
}
