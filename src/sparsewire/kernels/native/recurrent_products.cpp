// recurrent_products.hpp, compiled.
#define SW_RECURRENT_PRODUCTS_HERE
#include "recurrent_products.hpp"

namespace sw {
inline namespace SW_WIDE {

SW_RECURRENT_PRODUCTS(float, )
SW_RECURRENT_PRODUCTS(double, )

}  // namespace SW_WIDE
}  // namespace sw
