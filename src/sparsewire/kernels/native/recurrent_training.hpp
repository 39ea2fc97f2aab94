// What training steps of classifiers of sequences have in common, whatever their recurrent layers are. A `Net` is what
// Python writes: symbols, labels, lengths, shared, rows, ends, steps, parameters, rule, clip, losses, taken. A `Course`
// is a network on its way through its steps: it takes a batch, runs it, and settles and renews what it made of weights.
#pragma once
#include "network_step_update.hpp"
#include "recurrent_network.hpp"
#include "recurrent_symbols.hpp"

namespace sw {
inline namespace SW_WIDE {

template <class Net>
int64_t largest_batch(const Net &net) {
  int64_t largest = 0;
  for (int64_t s = 0; s < net.steps; s++)
    if (net.ends[s + 1] - net.ends[s] > largest) largest = net.ends[s + 1] - net.ends[s];
  return largest;
}
// Cuts a step's batch into tiles and shares the loss out among its samples; false if a label or a symbol is none.
template <class T, class Net>
bool take_batch(const Net &net, int64_t step, int64_t classes, Network &frame, Cut<T> &cut, int64_t *counts, T &share) {
  const int64_t *const rows = net.rows + net.ends[step], size = net.ends[step + 1] - net.ends[step];
  const auto length = [&](int64_t row) { return net.lengths ? net.lengths[row] : frame.steps; };
  int64_t count = 0, longest = 0;
  for (int64_t b = 0; b < size; b++) {
    const int64_t y = net.labels[rows[b]];
    if (y != kIgnored && (y < 0 || y >= classes)) return false;
    if (!net.symbols.are_known(rows[b], frame.steps)) return false;
    count += y != kIgnored;
    if (length(rows[b]) > longest) longest = length(rows[b]);
  }
  share = T(1) / T(count);
  frame.batch = size;
  cut.cut_anew(size, 1);
  cut.sort_by(size, frame.steps, counts, [&](int64_t b) { return rows[b]; },
              [&](int64_t b) { return net.shared ? longest : length(rows[b]); });
  return true;
}
// Scales gradients whose norm is too large; a norm that is not finite goes on, as in torch.
template <class T, class Net>
void clip(const Net &net) {
  double squares = 0;
  const auto each = [&](const auto &use) {
    for (int64_t i = 0; i < net.parameters_count; i++)
      for (int64_t k = 0; net.parameters[i].gradient && k < net.parameters[i].count; k++)
        use(net.parameters[i].gradient[k]);
  };
  each([&](T &slope) { squares += double(slope) * double(slope); });
  const double part = net.clip / (sqrt(squares) + 1e-6);
  if (part < 1) each([&](T &slope) { slope *= T(part); });
}
// All steps of one network; ends early, with the weights as they were, at a loss that is not finite or a bad label.
template <class T, template <class> class Course, class Net>
void train(const Net &net) {
  net.taken[0] = net.taken[1] = 0;
  Course<T> course(net);
  for (int64_t step = 0; step < net.steps; step++) {
    net.taken[1] = !course.take(step);
    if (net.taken[1]) return;
    net.losses[step] = course.run() * double(course.share);
    if (!__builtin_isfinite(net.losses[step])) return;
    if (net.clip > 0) clip<T>(net);
    course.settle();
    for (int64_t i = 0; i < net.parameters_count; i++) update(net.parameters[i], net.rule, step);
    course.renew();
    net.taken[0] = step + 1;
  }
}
// One network a thread at a time.
template <class T, template <class> class Course, class Net>
void train_all(const Net *nets, int64_t count, int64_t threads) {
  int64_t next = 0;
  together(threads < count ? threads : count, [&](int64_t, int64_t) {
    for (;;) {
      const int64_t mine = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
      if (mine >= count) return;
      train<T, Course>(nets[mine]);
    }
  });
}

}  // namespace SW_WIDE
}  // namespace sw
