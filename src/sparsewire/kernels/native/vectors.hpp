// Vectors of a fixed number of bytes, by the compiler's vector extensions: one source for AVX-512, AVX2, SSE2 and NEON.
// This file is compiled once per width with -DSW_BYTES=16|32|64 and the matching target flags; every symbol lives in an
// inline namespace of that width, so that the linker can never mix the copies up.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#if SW_BYTES == 64 && defined(__AVX512F__)  // half a second for each file that includes it
#include <immintrin.h>
#endif

#ifndef SW_BYTES
#error "compile with -DSW_BYTES=16, 32 or 64"
#endif
#define SW_PASTE2(a, b) a##b
#define SW_PASTE(a, b) SW_PASTE2(a, b)
#define SW_WIDE SW_PASTE(v, SW_BYTES)
// The exported name of a function for this width: sw_name_v64.
#define SW_EXPORT(name) extern "C" __attribute__((visibility("default"))) void SW_PASTE(sw_##name##_, SW_WIDE)
#define SW_INLINE inline __attribute__((always_inline))

namespace sw {
inline namespace SW_WIDE {

template <class T>
struct Vector;
template <>
struct Vector<float> {
  typedef float type __attribute__((vector_size(SW_BYTES)));
  typedef float loose __attribute__((vector_size(SW_BYTES), aligned(4), may_alias));
  typedef int32_t whole __attribute__((vector_size(SW_BYTES)));
};
template <>
struct Vector<double> {
  typedef double type __attribute__((vector_size(SW_BYTES)));
  typedef double loose __attribute__((vector_size(SW_BYTES), aligned(8), may_alias));
  typedef int64_t whole __attribute__((vector_size(SW_BYTES)));
};
template <class T>
using V = typename Vector<T>::type;

// Numbers in a vector.
template <class T>
constexpr int64_t lanes = SW_BYTES / sizeof(T);

template <class T>
SW_INLINE V<T> load(const T *p) {
  return *reinterpret_cast<const typename Vector<T>::loose *>(p);
}
template <class T>
SW_INLINE void store(T *p, V<T> v) {
  *reinterpret_cast<typename Vector<T>::loose *>(p) = v;
}
template <class T>
SW_INLINE V<T> all(T x) {
  return x - V<T>{};  // not a sum, which would turn −0 into 0 and so could not be left out by the compiler
}
template <class T>
SW_INLINE V<T> larger(V<T> a, V<T> b) {
  return a > b ? a : b;
}

// The sum of a vector's numbers, always in the same order.
template <class T>
SW_INLINE T sum(V<T> v) {
  T half[lanes<T>];
  store(half, v);
  for (int64_t n = lanes<T> / 2; n > 0; n /= 2)
    for (int64_t i = 0; i < n; i++) half[i] += half[i + n];
  return half[0];
}

// bfloat16 is stored as its 16 bits; it is computed with as float.
struct bfloat16 {
  uint16_t bits;
};
SW_INLINE float number(bfloat16 x) {
  uint32_t bits = uint32_t(x.bits) << 16;
  float wide;
  memcpy(&wide, &bits, 4);
  return wide;
}
SW_INLINE float number(float x) { return x; }
SW_INLINE double number(double x) { return x; }
// To the nearest, ties to even, NaN stays NaN: as torch does.
SW_INLINE void assign(bfloat16 &to, float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  to.bits = x != x ? uint16_t(0x7fc0) : uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
SW_INLINE void assign(float &to, float x) { to = x; }
SW_INLINE void assign(double &to, double x) { to = x; }

// What is computed with, for what is stored.
template <class S>
struct Wide {
  typedef S type;
};
template <>
struct Wide<bfloat16> {
  typedef float type;
};

}  // namespace SW_WIDE
}  // namespace sw
