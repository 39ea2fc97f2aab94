// What this machine can do at best, for the fraction of it that a product reaches: multiply-adds in registers, reading a
// buffer, and what an unstructured sparse product does at its core, a weight times a row of the activations.
#include "threads.hpp"
#include "vectors.hpp"

namespace sw {
inline namespace SW_WIDE {

constexpr int64_t chains = 8;  // sums that do not wait for each other; with 16 registers more would not fit

// Every probe adds what it computed to `out`, one float a thread 64 bytes apart, so that nothing can be left out.
SW_INLINE void keep(float *out, int64_t thread, const V<float> *sums) {
  V<float> whole = sums[0];
  for (int64_t c = 1; c < chains; c++) whole += sums[c];
  out[thread * 16] += sum<float>(whole);
}

static void multiply_add(int64_t rounds, float *out, int64_t threads) {
  together(threads, [=](int64_t thread, int64_t) {
    V<float> sums[chains];
    for (int64_t c = 0; c < chains; c++) sums[c] = all(float(c));
    const V<float> factor = all(out[thread * 16] + 0.999f), more = all(1e-6f);
    for (int64_t r = 0; r < rounds; r++)
      for (int64_t c = 0; c < chains; c++) sums[c] = sums[c] * factor + more;
    keep(out, thread, sums);
  });
}

// Each thread reads its own part of the buffer, `rounds` times.
static void read(const float *from, int64_t count, int64_t rounds, float *out, int64_t threads) {
  constexpr int64_t step = chains * lanes<float>;
  together(threads, [=](int64_t thread, int64_t team) {
    const int64_t first = share(count / step, team, thread) * step, last = share(count / step, team, thread + 1) * step;
    V<float> sums[chains];
    for (int64_t c = 0; c < chains; c++) sums[c] = all(0.0f);
    for (int64_t r = 0; r < rounds; r++) {
      for (int64_t i = first; i < last; i += step)
        for (int64_t c = 0; c < chains; c++) sums[c] += load(from + i + c * lanes<float>);
      asm volatile("" ::: "memory");  // or the rounds would be folded into one
    }
    keep(out, thread, sums);
  });
}

// `rows` tiles of chains × lanes floats for each thread; weights[k] times the row columns[k] of the thread's own tile.
static void row_multiply_add(const float *tiles, int64_t rows, const int32_t *columns, const float *weights,
                             int64_t count, int64_t rounds, float *out, int64_t threads) {
  constexpr int64_t width = chains * lanes<float>;
  together(threads, [=](int64_t thread, int64_t) {
    const float *own = tiles + thread * rows * width;
    V<float> sums[chains];
    for (int64_t c = 0; c < chains; c++) sums[c] = all(0.0f);
    for (int64_t r = 0; r < rounds; r++)
      for (int64_t k = 0; k < count; k++) {
        const V<float> weight = all(weights[k]);
        const float *row = own + columns[k] * width;
        for (int64_t c = 0; c < chains; c++) sums[c] += weight * load(row + c * lanes<float>);
      }
    keep(out, thread, sums);
  });
}

}  // namespace SW_WIDE
}  // namespace sw

SW_EXPORT(roofline_multiply_add)(int64_t rounds, int64_t out, int64_t threads) {
  sw::SW_WIDE::multiply_add(rounds, reinterpret_cast<float *>(out), threads);
}
SW_EXPORT(roofline_read)(int64_t from, int64_t count, int64_t rounds, int64_t out, int64_t threads) {
  sw::SW_WIDE::read(reinterpret_cast<const float *>(from), count, rounds, reinterpret_cast<float *>(out), threads);
}
SW_EXPORT(roofline_rows)(int64_t tiles, int64_t rows, int64_t columns, int64_t weights, int64_t count, int64_t rounds,
                         int64_t out, int64_t threads) {
  sw::SW_WIDE::row_multiply_add(reinterpret_cast<const float *>(tiles), rows,
                                reinterpret_cast<const int32_t *>(columns), reinterpret_cast<const float *>(weights),
                                count, rounds, reinterpret_cast<float *>(out), threads);
}
