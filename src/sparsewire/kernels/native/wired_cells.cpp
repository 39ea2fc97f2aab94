// wired_cells.hpp, compiled.
#define SW_WIRED_CELLS_HERE
#include "wired_cells.hpp"

namespace sw {
inline namespace SW_WIDE {

SW_WIRED_CELLS(float, )
SW_WIRED_CELLS(double, )

}  // namespace SW_WIDE
}  // namespace sw
