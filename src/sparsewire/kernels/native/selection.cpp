// The largest of many numbers, exactly. The caller draws a sample, which tells two bounds between which the wanted number
// most likely lies; one pass counts what is above and copies out what is between them; a second one writes the mask.
#include "threads.hpp"
#include "vectors.hpp"

#if defined(__AVX2__) && SW_BYTES == 32
#include <immintrin.h>
#endif

namespace sw {
inline namespace SW_WIDE {
namespace selection {

template <class T>
using Lanes = typename Vector<T>::whole;

constexpr int64_t FIELDS = 8;  // counts of a thread: a cache line of its own
enum Field { ABOVE, AT_TOP, INSIDE, AT_BOTTOM, NOT_A_NUMBER, COPIED, FIRST };
constexpr int64_t THREADS = 64;
constexpr int64_t CHUNK = 1 << 14;  // numbers that are counted in a vector's lanes before they are added up

// Whether any lane of a comparison is true.
template <class T>
SW_INLINE bool any(Lanes<T> found) {
#if defined(__AVX512F__) && SW_BYTES == 64
  return _mm512_test_epi64_mask((__m512i)found, (__m512i)found) != 0;
#elif defined(__AVX2__) && SW_BYTES == 32
  return !_mm256_testz_si256((__m256i)found, (__m256i)found);
#else
  uint64_t words[SW_BYTES / 8], some = 0;
  memcpy(words, &found, SW_BYTES);
  for (uint64_t word : words) some |= word;
  return some != 0;
#endif
}

// How many times the lanes were true; each true one counts -1.
template <class T>
SW_INLINE int64_t total(Lanes<T> counts) {
  int64_t sum = 0;
  for (int64_t lane = 0; lane < lanes<T>; lane++) sum -= counts[lane];
  return sum;
}

// Writes the chosen lanes one after the other and tells how many; up to a whole vector is overwritten.
SW_INLINE int64_t append(float *to, V<float> numbers, Lanes<float> chosen) {
#if defined(__AVX512F__) && SW_BYTES == 64
  const __mmask16 mask = _mm512_test_epi32_mask((__m512i)chosen, (__m512i)chosen);
  _mm512_storeu_ps(to, _mm512_maskz_compress_ps(mask, (__m512)numbers));
  return __builtin_popcount(mask);
#else
  int64_t count = 0;
  for (int64_t lane = 0; lane < lanes<float>; lane++) to[count] = numbers[lane], count -= chosen[lane];
  return count;
#endif
}
SW_INLINE int64_t append(double *to, V<double> numbers, Lanes<double> chosen) {
#if defined(__AVX512F__) && SW_BYTES == 64
  const __mmask8 mask = _mm512_test_epi64_mask((__m512i)chosen, (__m512i)chosen);
  _mm512_storeu_pd(to, _mm512_maskz_compress_pd(mask, (__m512d)numbers));
  return __builtin_popcount(mask);
#else
  int64_t count = 0;
  for (int64_t lane = 0; lane < lanes<double>; lane++) to[count] = numbers[lane], count -= chosen[lane];
  return count;
#endif
}

// One thread's share. What is inside the bounds goes to `inside` as long as there is room; it is counted all the same.
template <class T>
void count_and_copy(const T *x, int64_t n, T bottom, T top, T *inside, int64_t room, int64_t *counts) {
  const V<T> low = all(bottom), high = all(top);
  int64_t above = 0, at_top = 0, within = 0, at_bottom = 0, place = 0, i = 0;
  bool strange = false;
  while (i + lanes<T> <= n) {
    const int64_t end = i + CHUNK < n ? i + CHUNK : n;
    Lanes<T> over{}, equal_high{}, between{}, equal_low{}, unequal{};
    for (; i + lanes<T> <= end; i += lanes<T>) {
      const V<T> v = load(x + i);
      const Lanes<T> in = (v > low) & (v < high);
      over += v > high, equal_high += v == high, equal_low += v == low, between += in, unequal |= v != v;
      if (any<T>(in) && place + lanes<T> <= room) place += append(inside + place, v, in);
    }
    above += total<T>(over), at_top += total<T>(equal_high), at_bottom += total<T>(equal_low);
    within += total<T>(between), strange |= any<T>(unequal);
    if (end == n) break;
  }
  for (; i < n; i++) {
    above += x[i] > top, at_top += x[i] == top, at_bottom += x[i] == bottom, strange |= x[i] != x[i];
    if (!(x[i] > bottom && x[i] < top)) continue;
    within++;
    if (place + lanes<T> <= room) inside[place++] = x[i];
  }
  counts[ABOVE] = above, counts[AT_TOP] = at_top, counts[INSIDE] = within, counts[AT_BOTTOM] = at_bottom;
  counts[NOT_A_NUMBER] = strange, counts[COPIED] = place;
}

// Keeps all ties as yet, and tells how many there are and how many numbers are above them.
template <class T>
void write_mask(const T *x, int64_t n, T threshold, uint8_t *kept, int64_t &above, int64_t &ties) {
  above = ties = 0;
  for (int64_t start = 0; start < n; start += CHUNK) {
    const int64_t end = start + CHUNK < n ? start + CHUNK : n;
    int32_t over = 0, equal = 0;
    for (int64_t i = start; i < end; i++) {
      kept[i] = x[i] >= threshold;
      over += x[i] > threshold, equal += x[i] == threshold;
    }
    above += over, ties += equal;
  }
}

// Keeps only the first `quota` of the ties.
template <class T>
void drop_ties(const T *x, int64_t n, T threshold, int64_t quota, uint8_t *kept) {
  int64_t i = 0;
  for (; i < n && quota > 0; i++) quota -= x[i] == threshold;
  for (; i < n; i++) kept[i] = x[i] > threshold;
}

template <class T>
void keep(const T *x, int64_t n, T threshold, int64_t count, uint8_t *kept, int64_t wanted) {
  int64_t above[THREADS], ties[THREADS], parts = 1;
  together(wanted < THREADS ? wanted : THREADS, [&](int64_t thread, int64_t threads) {
    const int64_t start = share(n, threads, thread), end = share(n, threads, thread + 1);
    write_mask(x + start, end - start, threshold, kept + start, above[thread], ties[thread]);
    if (thread == 0) parts = threads;
  });
  int64_t quota = count, tied = 0;
  for (int64_t part = 0; part < parts; part++) quota -= above[part], tied += ties[part];
  if (tied <= quota) return;
  together(parts, [&](int64_t thread, int64_t threads) {
    for (int64_t part = thread; part < parts; part += threads) {
      int64_t left = quota;
      for (int64_t earlier = 0; earlier < part; earlier++) left -= ties[earlier];
      const int64_t start = share(n, parts, part), end = share(n, parts, part + 1);
      if (left < ties[part]) drop_ties(x + start, end - start, threshold, left, kept + start);
    }
  });
}

template <class T>
void bracket(const T *x, int64_t n, T bottom, T top, T *inside, int64_t room, int64_t *counts, int64_t wanted) {
  together(wanted < THREADS ? wanted : THREADS, [&](int64_t thread, int64_t threads) {
    const int64_t start = share(n, threads, thread), end = share(n, threads, thread + 1);
    T *const own = inside + share(room, threads, thread);
    const int64_t own_room = share(room, threads, thread + 1) - share(room, threads, thread);
    count_and_copy(x + start, end - start, bottom, top, own, own_room, counts + thread * FIELDS);
    counts[thread * FIELDS + FIRST] = own - inside;
  });
}

}  // namespace selection
}  // namespace SW_WIDE
}  // namespace sw

// x: n numbers of the dtype (0 float32, 1 float64). counts: 64 rows of 8, zero; each thread fills one with: how many are
// above top, equal top, between the two, equal bottom; 1 if one is NaN; how many it copied (fewer than are between the
// two if `room` is short) and where in `inside` those begin.
SW_EXPORT(bracket)
(int64_t x, int64_t n, double bottom, double top, int64_t inside, int64_t room, int64_t counts, int64_t threads,
 int64_t dtype) {
  int64_t *const rows = reinterpret_cast<int64_t *>(counts);
  if (dtype == 0)
    sw::selection::bracket(reinterpret_cast<const float *>(x), n, float(bottom), float(top),
                           reinterpret_cast<float *>(inside), room, rows, threads);
  else
    sw::selection::bracket(reinterpret_cast<const double *>(x), n, bottom, top, reinterpret_cast<double *>(inside), room,
                           rows, threads);
}

// kept: n bytes, 1 where a number is above the threshold, and for as many of the first ones that equal it as make up the
// count.
SW_EXPORT(keep)
(int64_t x, int64_t n, double threshold, int64_t count, int64_t kept, int64_t threads, int64_t dtype) {
  uint8_t *const mask = reinterpret_cast<uint8_t *>(kept);
  if (dtype == 0)
    sw::selection::keep(reinterpret_cast<const float *>(x), n, float(threshold), count, mask, threads);
  else
    sw::selection::keep(reinterpret_cast<const double *>(x), n, threshold, count, mask, threads);
}
