// Images as the kernels for chains see them: a tile holds a stretch of one image's places, and its rows are what lies
// under the kernel at each of them, one input channel after the other. So nothing is transposed, and no copy of the
// batch with every pixel in as many places as the kernel has is ever made.
#pragma once
#include "tiles.hpp"

namespace sw {
inline namespace SW_WIDE {

// The fields are 64 bits each, in the order in which Python writes them. rows, columns: of the output.
struct Images {
  int64_t batch, channels, height, width, rows, columns, kernel_height, kernel_width, down, right, above, left, apart_down,
      apart_right;
  int64_t places() const { return rows * columns; }
  int64_t pixels() const { return height * width; }
  int64_t kernel() const { return kernel_height * kernel_width; }
};

// Places of a tile that lie in one row of the output, and the pixel that the kernel's element meets at the first.
struct Run {
  int64_t at, length, pixel;
};

// The runs of places `first` … `first` + `count` whose element (i, j) of the kernel meets a pixel; how many they are.
inline int64_t runs_of(const Images &im, int64_t first, int64_t count, int64_t i, int64_t j, Run *runs) {
  int64_t found = 0;
  for (int64_t at = 0; at < count;) {
    const int64_t row = (first + at) / im.columns, column = (first + at) % im.columns;
    const int64_t rest = im.columns - column < count - at ? im.columns - column : count - at;
    const int64_t y = row * im.down - im.above + i * im.apart_down, shift = j * im.apart_right - im.left;
    int64_t from = column, to = column + rest;  // columns of the output with a pixel under them
    if (shift < 0) {
      const int64_t least = (-shift + im.right - 1) / im.right;
      from = from < least ? least : from;
    }
    const int64_t most = im.width - shift > 0 ? (im.width - shift + im.right - 1) / im.right : 0;
    to = to > most ? most : to;
    if (y >= 0 && y < im.height && from < to)
      runs[found++] = {at + from - column, to - from, y * im.width + from * im.right + shift};
    at += rest;
  }
  return found;
}

// One image's channels → tile[channel · kernel + element][W].
template <class T, class S>
inline void take_patches(const Images &im, const S *image, int64_t first, int64_t count, int64_t W, T *tile) {
  constexpr int64_t L = lanes<T>;
  Run runs[kWidest * 64 / sizeof(T)];
  for (int64_t e = 0; e < im.kernel(); e++) {
    const int64_t n = runs_of(im, first, count, e / im.kernel_width, e % im.kernel_width, runs);
    const bool whole = n == 1 && runs[0].length == W;
    for (int64_t c = 0; c < im.channels; c++) {
      T *const row = tile + (c * im.kernel() + e) * W;
      const S *const channel = image + c * im.pixels();
      if (!whole) memset(row, 0, W * sizeof(T));
      for (int64_t r = 0; r < n; r++) {
        const S *const from = channel + runs[r].pixel;
        T *const to = row + runs[r].at;
        int64_t k = 0;
        if constexpr (sizeof(S) == sizeof(T))
          for (; im.right == 1 && k + L <= runs[r].length; k += L) store(to + k, load(from + k));
        for (; k < runs[r].length; k++) to[k] = number(from[k * im.right]);
      }
    }
  }
}

// tile[channel · kernel + element][W] added to one image's channels.
template <class T>
inline void add_patches(const Images &im, const T *tile, int64_t first, int64_t count, int64_t W, T *image) {
  constexpr int64_t L = lanes<T>;
  Run runs[kWidest * 64 / sizeof(T)];
  for (int64_t e = 0; e < im.kernel(); e++) {
    const int64_t n = runs_of(im, first, count, e / im.kernel_width, e % im.kernel_width, runs);
    for (int64_t c = 0; c < im.channels; c++)
      for (int64_t r = 0; r < n; r++) {
        const T *const from = tile + (c * im.kernel() + e) * W + runs[r].at;
        T *const to = image + c * im.pixels() + runs[r].pixel;
        int64_t k = 0;
        for (; im.right == 1 && k + L <= runs[r].length; k += L) store(to + k, load(to + k) + load(from + k));
        for (; k < runs[r].length; k++) to[k * im.right] += from[k];
      }
  }
}

// `features` channels of one output image, from place `first` on, and zeros up to W.
template <class T, class S>
inline void take_places(const S *image, int64_t places, int64_t features, int64_t first, int64_t count, int64_t W,
                        T *tile) {
  for (int64_t f = 0; f < features; f++)
    for (int64_t k = 0; k < W; k += lanes<T>)
      store(tile + f * W + k, k < count ? load_some<T>(image + f * places + first + k, count - k) : V<T>{});
}
template <class T, class S>
inline void give_places(const T *tile, int64_t W, int64_t places, int64_t features, int64_t first, int64_t count,
                        S *image) {
  for (int64_t f = 0; f < features; f++)
    for (int64_t k = 0; k < count; k += lanes<T>)
      store_some<T>(image + f * places + first + k, load(tile + f * W + k), count - k);
}

}  // namespace SW_WIDE
}  // namespace sw
