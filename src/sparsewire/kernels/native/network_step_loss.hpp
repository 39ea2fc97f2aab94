// Softmax cross-entropy of one tile: the mean of −log p(label), and its slope by the logits.
#pragma once
#include "functions.hpp"

namespace sw {
inline namespace SW_WIDE {

constexpr int64_t kIgnored = -100;  // the label of samples that do not count

// Σ −log p over the tile's samples that count. logits, delta: [classes][W]; label(b) of the tile's sample b < rows;
// share: 1 / samples of the whole batch that count. delta is zero where there is no sample, or none that counts.
template <class T, class Label>
double cross_entropy(const T *logits, T *delta, int64_t classes, int64_t W, int64_t rows, T share, const Label &label) {
  double loss = 0;
  for (int64_t from = 0; from < W; from += lanes<T>) {
    V<T> most = load(logits + from), total = {};
    for (int64_t c = 1; c < classes; c++) most = larger<T>(load(logits + c * W + from), most);
    for (int64_t c = 0; c < classes; c++) {
      const V<T> p = exp_<T>(load(logits + c * W + from) - most);
      store(delta + c * W + from, p);
      total += p;
    }
    const V<T> part = share / total;
    for (int64_t c = 0; c < classes; c++) store(delta + c * W + from, load(delta + c * W + from) * part);
    for (int64_t i = 0; i < lanes<T>; i++) {
      const int64_t b = from + i;
      const int64_t y = b < rows ? label(b) : kIgnored;
      if (y == kIgnored) {
        for (int64_t c = 0; c < classes; c++) delta[c * W + b] = 0;
      } else {
        loss += double(most[i]) - double(logits[y * W + b]) + log(double(total[i]));
        delta[y * W + b] -= share;
      }
    }
  }
  return loss;
}

}  // namespace SW_WIDE
}  // namespace sw
