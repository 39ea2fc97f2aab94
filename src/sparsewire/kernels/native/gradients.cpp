// The sweeps of gradients.hpp, compiled.
#define SW_GRADIENTS_HERE
#include "gradients.hpp"

namespace sw {
inline namespace SW_WIDE {

SW_GRADIENTS(float, )
SW_GRADIENTS(double, )

}  // namespace SW_WIDE
}  // namespace sw
