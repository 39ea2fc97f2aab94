// wired_gradients.hpp, compiled.
#define SW_WIRED_GRADIENTS_HERE
#include "wired_gradients.hpp"

namespace sw {
inline namespace SW_WIDE {

SW_WIRED_GRADIENTS(float, )
SW_WIRED_GRADIENTS(double, )

}  // namespace SW_WIDE
}  // namespace sw
