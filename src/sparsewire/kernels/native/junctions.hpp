// A layer as the kernels see it: the index arrays of a Junction (see junctions.py), its values and what belongs to them.
#pragma once
#include "vectors.hpp"

namespace sw {
inline namespace SW_WIDE {

constexpr int64_t kGroup = 4, kStarts = 17;  // rows in a group; numbers in `starts` for each block and group

// The fields are 64 bits each, in the order in which Python writes them.
struct Layer {
  int64_t outputs, inputs, block, group, count;
  const int16_t *columns;
  const int32_t *starts;
  void *values, *bias;            // of the stored type; bias may be null
  int64_t activation;             // Activation
  void *values_grad, *bias_grad;  // of the stored type; null where not wanted

  int64_t blocks() const { return inputs > block ? (inputs + block - 1) / block : 1; }
  int64_t groups() const { return group == 1 ? outputs : (outputs + kGroup - 1) / kGroup; }
  int64_t wide(int64_t number) const { return number + 1 < blocks() ? block : inputs - number * block; }
};
enum Activation { kIdentity, kRelu, kTanh, kSigmoid };

}  // namespace SW_WIDE
}  // namespace sw
