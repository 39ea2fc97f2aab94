// The products of products.hpp, compiled.
#define SW_PRODUCTS_HERE
#include "products.hpp"

namespace sw {
inline namespace SW_WIDE {

SW_PRODUCTS(float, )
SW_PRODUCTS(double, )

}  // namespace SW_WIDE
}  // namespace sw
