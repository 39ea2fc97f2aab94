// recurrent_cells.hpp, compiled.
#define SW_CELLS_HERE
#include "recurrent_cells.hpp"

namespace sw {
inline namespace SW_WIDE {

SW_CELLS(float, )
SW_CELLS(double, )

}  // namespace SW_WIDE
}  // namespace sw
