// One optimizer step on a parameter: SGD, Adam and AdamW, in the order of operations of torch's loops over one tensor.
#pragma once
#include "vectors.hpp"

namespace sw {
inline namespace SW_WIDE {

enum Rule { GRADIENTS = -1, SGD = 0, ADAM = 1, ADAMW = 2 };

// Settings: rate, weight decay, then (momentum, dampening, Nesterov or not) or (beta1, beta2, eps), and how many steps
// the parameter has made.
template <class T>
struct Parameter {
  T *numbers, *gradient, *first, *second;
  int64_t count;
  const double *settings;  // nullptr: not trained
};

template <class T>
void descend(const Parameter<T> &p, bool by_momentum) {
  const double *s = p.settings;
  T rate = T(-s[0]), decay = T(s[1]), momentum = T(s[2]), fresh = T(1 - s[3]);
  bool nesterov = s[4] != 0;
  T *__restrict w = p.numbers, *__restrict g = p.gradient, *__restrict m = p.first;
  if (!by_momentum) {
    for (int64_t i = 0; i < p.count; i++) w[i] += rate * (g[i] + decay * w[i]);
    return;
  }
  for (int64_t i = 0; i < p.count; i++) {
    T slope = g[i] + decay * w[i];
    m[i] = momentum * m[i] + fresh * slope;
    w[i] += rate * (nesterov ? slope + momentum * m[i] : m[i]);
  }
}

template <class T>
void adapt(const Parameter<T> &p, bool decoupled, int64_t taken) {
  const double *s = p.settings;
  double step = s[5] + double(taken) + 1;
  T rate = T(-s[0] / (1 - pow(s[2], step))), root = T(sqrt(1 - pow(s[3], step))), eps = T(s[4]);
  T fresh = T(1 - s[2]), beta2 = T(s[3]), fresh2 = T(1 - s[3]);
  T shrink = decoupled ? T(1 - s[0] * s[1]) : T(1), decay = decoupled ? T(0) : T(s[1]);
  T *__restrict w = p.numbers, *__restrict g = p.gradient, *__restrict m = p.first, *__restrict v = p.second;
  for (int64_t i = 0; i < p.count; i++) {
    T old = w[i] * shrink, slope = g[i] + decay * old;
    m[i] += fresh * (slope - m[i]);
    v[i] = v[i] * beta2 + fresh2 * slope * slope;
    w[i] = old + rate * m[i] / (T(sqrt(v[i])) / root + eps);
  }
}

// `taken`: steps of this call before this one.
template <class T>
void update(const Parameter<T> &p, int64_t rule, int64_t taken) {
  if (!p.settings || rule == GRADIENTS) return;
  if (rule == SGD)
    descend(p, p.first != nullptr);
  else
    adapt(p, rule == ADAMW, taken);
}

}  // namespace SW_WIDE
}  // namespace sw
