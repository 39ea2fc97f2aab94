// The inputs of a recurrent classifier: features as they are, or symbols that each stand for a vector that is trained.
#pragma once
#include "recurrent_network.hpp"

namespace sw {
inline namespace SW_WIDE {

template <class T>
struct Symbols {
  const int64_t *numbers;  // (samples, steps); null: the samples are features
  const T *vectors;        // (vocabulary, features)
  T *gradient;             // of the vectors; null where they are not trained
  int64_t vocabulary;
  int64_t fixed;           // the symbol whose vector has no gradient, or −1

  bool are_known(int64_t row, int64_t steps) const {
    bool known = true;
    for (int64_t t = 0; numbers && t < steps; t++)
      known &= uint64_t(numbers[row * steps + t]) < uint64_t(vocabulary);
    return known;
  }
  // The tile's inputs as a history; zeros where a sequence is over.
  void take(const Network &net, const Tile<T> &tile, T *to, int64_t stride) const {
    if (!numbers) return take_sequence<T, T>(net, tile, net.x, net.inputs, to, stride);
    for (int64_t t = 0; t < tile.steps(); t++)
      take_rows<T>(tile, [&](int64_t b) { return vectors + symbol(net, tile, b, t) * net.inputs; }, net.inputs,
                   [&](int64_t b) { return tile.lengths[b] > t; }, to + t * tile.width, stride);
  }
  void clear(int64_t features) const { memset(gradient, 0, size_t(vocabulary * features) * sizeof(T)); }
  // Adds what each place's slope is to the gradient of its symbol, unit by unit, step by step.
  void add(const Network &net, const Tile<T> &tile, const T *slopes, int64_t stride) const {
    constexpr int64_t L = lanes<T>;
    for (int64_t unit = 0; unit < tile.width; unit += kUnit<T>)
      for (int64_t t = 0; t < tile.steps(); t++)
        for (int64_t b = unit; b < unit + kUnit<T> && tile.lengths[b] > t; b += L)
          for (int64_t f = 0; f < net.inputs; f += L) {
            const int64_t some = net.inputs - f < L ? net.inputs - f : L;
            V<T> square[L];
#pragma GCC unroll 16
            for (int64_t i = 0; i < L; i++)
              square[i] = i < some ? load(slopes + (f + i) * stride + t * tile.width + b) : V<T>{};
            transpose<T>(square);
            for (int64_t i = 0; i < L && b + i < tile.rows && tile.lengths[b + i] > t; i++) {
              const int64_t s = symbol(net, tile, b + i, t);
              if (s == fixed) continue;
              T *const to = gradient + s * net.inputs + f;
              store_some<T>(to, load_some<T>(to, some) + square[i], some);
            }
          }
  }

 private:
  int64_t symbol(const Network &net, const Tile<T> &tile, int64_t b, int64_t t) const {
    return numbers[tile.order[b] * net.steps + t];
  }
};

}  // namespace SW_WIDE
}  // namespace sw
