/* Everything that is computed in one REAL type, float or double. Included by passes.h, which defines the macros. */

#include "block.h"
#include "squares.h"
#include "units.h"

#undef NAME
#undef REAL
#undef BITS
#undef MAGNITUDE
#undef SMALL_BITS
#undef OVERFLOW_BITS
#undef INFINITY_BITS
#undef SAFE_MIN
#undef SAFE_MAX
#undef SAFE_SQUARES_MIN
