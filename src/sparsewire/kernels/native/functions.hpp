// exp, tanh and the logistic function on whole vectors, without calls per number.
// Largest relative errors: float 3e-7, double 2e-15; NaN stays NaN, and the limits at ±infinity are exact. A logistic
// function below the smallest normal number is 0.
#pragma once
#include "vectors.hpp"

namespace sw {
inline namespace SW_WIDE {

template <class T>
struct Powers;
// x = n·ln 2 + r with |r| ≤ ln 2 / 2. The upper part of ln 2 has so few bits that n times it is exact. Adding `magic`
// leaves the nearest whole number in the lowest bits. Beyond ±far every exp is 0 or infinite, and beyond ±flat a tanh(x/2)
// is ±1; 2ⁿ is a normal number from `least` on, and infinite at `most`.
template <>
struct Powers<float> {
  static constexpr float magic = 12582912.f, upper = 0.693359375f, lower = -2.12194440e-4f, far = 110;
  static constexpr float flat = 20, most = 89, least = -87;
  static constexpr int bits = 23, bias = 127;
  // (exp r − 1 − r) / r² by the polynomial of degree 4 with the least largest error in exp r: 3e-9.
  static SW_INLINE V<float> tail(V<float> r) {
    V<float> p = r * 1.395047883e-3f + 8.368882235e-3f;
    p = p * r + 4.166620599e-2f;
    p = p * r + 1.666651890e-1f;
    return p * r + 5.000000095e-1f;
  }
};
template <>
struct Powers<double> {
  static constexpr double magic = 6755399441055744., upper = 0x1.62e42fee00000p-1, lower = 0x1.a39ef35793c76p-33;
  static constexpr double far = 760, flat = 40, most = 710, least = -708;
  static constexpr int bits = 52, bias = 1023;
  // Taylor's series: the first term that is left out, r¹⁴/14!, is 4e-18.
  static SW_INLINE V<double> tail(V<double> r) {
    V<double> p = r * (1 / 6227020800.) + 1 / 479001600.;
    p = p * r + 1 / 39916800.;
    p = p * r + 1 / 3628800.;
    p = p * r + 1 / 362880.;
    p = p * r + 1 / 40320.;
    p = p * r + 1 / 5040.;
    p = p * r + 1 / 720.;
    p = p * r + 1 / 120.;
    p = p * r + 1 / 24.;
    p = p * r + 1 / 6.;
    return p * r + .5;
  }
};

template <class T>
SW_INLINE V<T> between(V<T> x, T low, T high) {  // NaN stays NaN
  const V<T> above = all(low) > x ? all(low) : x;
  return all(high) < above ? all(high) : above;
}

// exp x = 2ⁿ (1 + rest)
template <class T>
struct Power {
  typename Vector<T>::whole n;
  V<T> rest;
};
template <class T>
SW_INLINE Power<T> power(V<T> x) {
  typedef typename Vector<T>::whole W;
  typedef Powers<T> P;
  const V<T> shifted = x * T(1.44269504088896340736) + P::magic;
  const V<T> n = shifted - P::magic;
  const V<T> r = (x - n * P::upper) - n * P::lower;
  return {W(shifted) - W(all(P::magic)), P::tail(r) * r * r + r};
}
// 2ⁿ for −bias < n ≤ bias.
template <class T>
SW_INLINE V<T> two_to_the(typename Vector<T>::whole n) {
  return V<T>((n + Powers<T>::bias) << Powers<T>::bits);
}

template <class T>
SW_INLINE V<T> exp_(V<T> x) {
  const Power<T> p = power<T>(between<T>(x, -Powers<T>::far, Powers<T>::far));
  const typename Vector<T>::whole half = p.n >> 1;  // in two halves: 2ⁿ itself may be too large or too small
  const V<T> scaled = (p.rest + T(1)) * two_to_the<T>(half) * two_to_the<T>(p.n - half);
  return scaled;
}

// The same for least ≤ x ≤ most with 2ⁿ itself.
template <class T>
struct Scaled {
  V<T> scale, rest;
};
template <class T>
SW_INLINE Scaled<T> scaled_power(V<T> x) {
  typedef typename Vector<T>::whole W;
  typedef Powers<T> P;
  constexpr T magic = P::magic + P::bias;  // the lowest bits are n + bias, the exponent of 2ⁿ
  const V<T> shifted = x * T(1.44269504088896340736) + magic;
  const V<T> n = shifted - magic;
  const V<T> r = (x - n * P::upper) - n * P::lower;
  return {V<T>(W(shifted) << P::bits), P::tail(r) * (r * r) + r};
}

// e / (e + 2) with e = exp(2x) − 1, which keeps every digit of a small x.
template <class T>
SW_INLINE V<T> tanh_(V<T> x) {
  const Scaled<T> p = scaled_power<T>(between<T>(x + x, -Powers<T>::flat, Powers<T>::flat));
  const V<T> e = p.scale * p.rest + (p.scale - T(1));
  return e / (e + T(2));
}

// 1 / (1 + exp(−x))
template <class T>
SW_INLINE V<T> sigmoid_(V<T> x) {
  const Scaled<T> p = scaled_power<T>(between<T>(-x, Powers<T>::least, Powers<T>::most));
  return T(1) / (p.scale * (p.rest + T(1)) + T(1));
}

}  // namespace SW_WIDE
}  // namespace sw
