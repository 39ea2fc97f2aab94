// What native.py asks first: which interface this library has, and which vectors this processor has.
//
// The processor is asked directly: the compilers' own __builtin_cpu_supports needs a run-time library, and zig's, which
// builds the wheels, answers "no" to everything. Only the copy for 16 bytes may be called before the answer is known.
#include "vectors.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace sw {
inline namespace SW_WIDE {

// native.py refuses a library with another number than its own: raise both when a function's parameters change their
// order, their number or their meaning.
constexpr int64_t interface_number = 2;

#if defined(__x86_64__)
static bool has(unsigned found, unsigned wanted) { return (found & wanted) == wanted; }

static int64_t widest() {
  unsigned a, b, features, d, low, high, more;
  if (!__get_cpuid(1, &a, &b, &features, &d) || !has(features, bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C)) return 16;
  // The operating system has to save the registers too: bits 1 and 2 are for 32 bytes, 5 to 7 for 64.
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  if (!__get_cpuid_count(7, 0, &a, &more, &b, &d) || !has(low, 0x06) || !has(more, bit_AVX2)) return 16;
  return has(low, 0xe6) && has(more, bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL) ? 64 : 32;
}
#else
static int64_t widest() { return 16; }
#endif

}  // namespace SW_WIDE
}  // namespace sw

SW_EXPORT(about)(int64_t *interface, int64_t *vector_bytes) {
  *interface = sw::interface_number;
  *vector_bytes = sw::widest();
}
