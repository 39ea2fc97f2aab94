// Stacks of recurrent layers over whole sequences, forward and backward in one call each. Tiles of sequences are
// independent of each other, so every thread takes tiles of its own through all layers and steps.
#include "recurrent_passes.hpp"

namespace sw {
inline namespace SW_WIDE {

template <class S>
void recurrent_forward(const Network &net) {
  typedef typename Wide<S>::type T;
  Job<S, T> job(net, team_for(net, kUnit<T> / lanes<T>, kUnit<T>, 1));
  job.prepare(false);
  T *const workspace = static_cast<T *>(net.workspace);
  together(job.crew, [&](int64_t me, int64_t all) {
    const int64_t widest = kUnits * kUnit<T>;
    T *h = nullptr, *c = nullptr, *sums = nullptr, *own = nullptr;
    allot(kOther, [&](Arena &arena) {
      h = arena.of<T>(net.hidden * widest);
      c = arena.of<T>(net.hidden * widest);
      sums = arena.of<T>(net.recorded() ? 0 : net.steps * net.hidden * widest);
      own = arena.of<T>(workspace ? 0 : unit_size<T>(net) * kUnits);
    });
    for (int64_t number = share(job.cut.tiles, all, me); number < share(job.cut.tiles, all, me + 1); number++) {
      const Tile<T> tile = job.cut.tile(net, number);
      T *const base = workspace ? workspace + kUnit<T> + tile.first / kUnit<T> * unit_size<T>(net) : own;
      ForwardPass<S, T>{job, tile, Kept<T>(net, base, tile.width), h, c, sums}.run();
    }
  });
  // The backward has to cut the batch alike, whatever the number of threads is by then.
  if (workspace) workspace[0] = T(job.cut.units_of_tile);
}

template <class S>
void recurrent_backward(const Network &net) {
  typedef typename Wide<S>::type T;
  const T *const workspace = static_cast<const T *>(net.workspace);
  Job<S, T> job(net, team_for(net, kUnit<T> / lanes<T>, kUnit<T>, 2));
  job.cut.units_of_tile = int64_t(workspace[0]);
  job.cut.tiles = (job.cut.units + job.cut.units_of_tile - 1) / job.cut.units_of_tile;
  if (job.crew > job.cut.tiles) job.crew = job.cut.tiles > 1 ? job.cut.tiles : 1;
  job.prepare(true);
  memset(job.gradients, 0, size_t(job.crew * job.numbers) * sizeof(T));
  together(job.crew, [&](int64_t me, int64_t all) {
    const int64_t widest = kUnits * kUnit<T>, stride = history_stride<T>(net.steps, widest);
    const int64_t outputs = net.hidden * net.directions, features = outputs > net.inputs ? outputs : net.inputs;
    T *h = nullptr, *c = nullptr, *delta = nullptr, *deltas = nullptr, *above = nullptr, *below = nullptr;
    allot(kOther, [&](Arena &arena) {
      h = arena.of<T>(net.hidden * widest);
      c = arena.of<T>(net.hidden * widest);
      delta = arena.of<T>(net.deltas() * net.hidden * widest);
      deltas = arena.of<T>(net.deltas() * net.hidden * stride);
      above = arena.of<T>(features * stride);
      below = arena.of<T>(features * stride);
    });
    for (int64_t number = share(job.cut.tiles, all, me); number < share(job.cut.tiles, all, me + 1); number++) {
      const Tile<T> tile = job.cut.tile(net, number);
      T *const base = static_cast<T *>(net.workspace) + kUnit<T> + tile.first / kUnit<T> * unit_size<T>(net);
      BackwardPass<S, T>{job, tile, Kept<T>(net, base, tile.width), job.gradients + me * job.numbers, h, c, delta,
                         deltas, above, below, stride}.run();
    }
  });
  give_gradients(job, job.crew);
}

}  // namespace SW_WIDE
}  // namespace sw

// dtype: as in native.DTYPES.
SW_EXPORT(recurrent_forward)(int64_t dtype, const sw::Network *network) {
  if (dtype == 0) return sw::recurrent_forward<float>(*network);
  if (dtype == 1) return sw::recurrent_forward<double>(*network);
  sw::recurrent_forward<sw::bfloat16>(*network);
}
SW_EXPORT(recurrent_backward)(int64_t dtype, const sw::Network *network) {
  if (dtype == 0) return sw::recurrent_backward<float>(*network);
  if (dtype == 1) return sw::recurrent_backward<double>(*network);
  sw::recurrent_backward<sw::bfloat16>(*network);
}
