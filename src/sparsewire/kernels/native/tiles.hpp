// Tiles: a stretch of the batch, feature by feature. A tile of F features and W columns is T tile[F][W], with W a whole
// number of vectors; columns beyond the batch are zero. So a weight meets W numbers that lie side by side.
#pragma once
#include <stdlib.h>

#include "vectors.hpp"

namespace sw {
inline namespace SW_WIDE {

constexpr int64_t kWidest = 4;  // vectors in the widest tile

// How a batch is cut: `count` tiles of `wide` columns, the last one with as many vectors as it needs.
template <class T>
struct Tiling {
  int64_t batch, count;
  static constexpr int64_t wide = kWidest * lanes<T>;
  explicit Tiling(int64_t batch) : batch(batch), count((batch + wide - 1) / wide) {}
  int64_t rows(int64_t tile) const { return tile + 1 < count ? wide : batch - tile * wide; }
  int64_t vectors(int64_t tile) const { return (rows(tile) + lanes<T> - 1) / lanes<T>; }
  int64_t width(int64_t tile) const { return vectors(tile) * lanes<T>; }
  // Columns in the tiles before this one, and in all: where a tile begins in a buffer of F features is F times that.
  int64_t before(int64_t tile) const { return tile * wide; }
  int64_t columns() const { return count ? before(count - 1) + width(count - 1) : 0; }
};

// Memory that a thread keeps between calls: fresh pages cost more than the products they are for.
class Scratch {
 public:
  ~Scratch() { free(memory_); }
  template <class T>
  T *of(int64_t numbers) {
    const size_t bytes = (size_t(numbers) * sizeof(T) + 4095) / 4096 * 4096;
    if (bytes > size_) {
      free(memory_);
      memory_ = aligned_alloc(4096, bytes);
      size_ = memory_ ? bytes : 0;
      if (!memory_) abort();
    }
    return static_cast<T *>(memory_);
  }

 private:
  void *memory_ = nullptr;
  size_t size_ = 0;
};
enum Use { kInput, kOutput, kValues, kDelta, kOther, kSums, kUses };
inline Scratch &scratch(Use use) {
  static thread_local Scratch all[kUses];
  return all[use];
}

// The numbers 0 … N − 1 as template arguments, so that the lanes of a shuffle are constants from the start: loops that
// write them, unrolled for every shuffle there is, were most of the work of compiling.
template <int... J>
struct Lanes {};
template <int N, int... J>
struct Counted : Counted<N - 1, N - 1, J...> {};
template <int... J>
struct Counted<0, J...> {
  typedef Lanes<J...> all;
};
template <class T>
using LanesOf = typename Counted<int(lanes<T>)>::all;

// Lane j of the result is lane from(j) of a, then b.
#if defined(__clang__)
#define SW_SHUFFLE(a, b, from) __builtin_shufflevector(a, b, (from)...)
#else
#define SW_SHUFFLE(a, b, from) __builtin_shuffle(a, b, typename Vector<T>::whole{(from)...})
#endif

template <class T, int S, int... J>
SW_INLINE V<T> low(V<T> a, V<T> b, Lanes<J...>) {  // lanes with bit S clear from a, the others from b one S further left
  return SW_SHUFFLE(a, b, J & S ? int(lanes<T>) + J - S : J);
}
template <class T, int S, int... J>
SW_INLINE V<T> high(V<T> a, V<T> b, Lanes<J...>) {  // lanes with bit S clear from a one S further right, others from b
  return SW_SHUFFLE(a, b, J & S ? int(lanes<T>) + J : J + S);
}

// Transposes a square of vectors in registers.
template <class T, int S = 1>
SW_INLINE void transpose(V<T> (&rows)[lanes<T>]) {
  if constexpr (S < lanes<T>) {
#pragma GCC unroll 16
    for (int64_t i = 0; i < lanes<T>; i++)
      if (!(i & S)) {
        const V<T> a = rows[i], b = rows[i + S];
        rows[i] = low<T, S>(a, b, LanesOf<T>());
        rows[i + S] = high<T, S>(a, b, LanesOf<T>());
      }
    transpose<T, 2 * S>(rows);
  }
}

template <class T, class S>
SW_INLINE V<T> load_some(const S *p, int64_t count) {  // zeros beyond `count`
  T some[lanes<T>];
  if constexpr (sizeof(S) == sizeof(T)) {
    if (count >= lanes<T>) return load<T>(reinterpret_cast<const T *>(p));
#if defined(__AVX512F__) && SW_BYTES == 64
    if constexpr (sizeof(T) == 4) return (V<T>)_mm512_maskz_loadu_ps(__mmask16((1u << count) - 1), p);
    if constexpr (sizeof(T) == 8) return (V<T>)_mm512_maskz_loadu_pd(__mmask8((1u << count) - 1), p);
#endif
  }
  for (int64_t i = 0; i < lanes<T>; i++) some[i] = i < count ? number(p[i]) : T(0);
  return load(some);
}
template <class T, class S>
SW_INLINE void store_some(S *p, V<T> v, int64_t count) {
  if constexpr (sizeof(S) == sizeof(T)) {
    if (count >= lanes<T>) {
      store<T>(reinterpret_cast<T *>(p), v);
      return;
    }
  }
  T some[lanes<T>];
  store(some, v);
  for (int64_t i = 0; i < lanes<T> && i < count; i++) assign(p[i], some[i]);
}

// x[b][from … to) of `rows` samples → tile[f][b]. Row b begins at x + place(b) * stride.
template <class T, class S, class Place>
inline void pack(const S *x, int64_t stride, const Place &place, int64_t rows, int64_t from, int64_t to, T *tile,
                 int64_t width) {
  constexpr int64_t L = lanes<T>;
  for (int64_t b = 0; b < width; b += L) {
    const S *row[L];
    for (int64_t i = 0; i < L; i++) row[i] = b + i < rows ? x + place(b + i) * stride : nullptr;
    for (int64_t f = from; f < to; f += L) {
      V<T> square[L];
#pragma GCC unroll 16
      for (int64_t i = 0; i < L; i++) square[i] = row[i] ? load_some<T>(row[i] + f, to - f) : V<T>{};
      transpose<T>(square);
      const int64_t some = to - f < L ? to - f : L;
      for (int64_t i = 0; i < some; i++) store(tile + (f - from + i) * width + b, square[i]);
    }
  }
}
struct InOrder {
  int64_t first;
  int64_t operator()(int64_t b) const { return first + b; }
};

// tile[f][b] → y[b][from … to) of `rows` samples.
template <class T, class S>
inline void unpack(const T *tile, int64_t width, int64_t rows, int64_t from, int64_t to, S *y, int64_t stride) {
  constexpr int64_t L = lanes<T>;
  for (int64_t b = 0; b < rows; b += L)
    for (int64_t f = from; f < to; f += L) {
      const int64_t some = to - f < L ? to - f : L;
      V<T> square[L];
#pragma GCC unroll 16
      for (int64_t i = 0; i < L; i++) square[i] = i < some ? load(tile + (f - from + i) * width + b) : V<T>{};
      transpose<T>(square);
      for (int64_t i = 0; i < L && b + i < rows; i++) store_some<T>(y + (b + i) * stride + f, square[i], some);
    }
}

}  // namespace SW_WIDE
}  // namespace sw
