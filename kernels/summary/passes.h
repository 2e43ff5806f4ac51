/* All passes over a tensor's memory for one instruction set; included once for each, with TARGET and SET defined. */

#define JOIN_(a, b, c) a##_##b##_##c
#define JOIN(a, b, c) JOIN_(a, b, c)

#define NAME(what) JOIN(what, float, SET)
#define REAL float
#define BITS Bits32
#define MAGNITUDE 0x7fffffff
#define SMALL_BITS 0x38800000
#define OVERFLOW_BITS 0x477ff000
#define INFINITY_BITS 0x7f800000
#define SAFE_MIN 1e-18
#define SAFE_MAX 1e18
#define SAFE_SQUARES_MIN 1e-24
#ifdef FAST_FLOAT
#include FAST_FLOAT
#else
#include "fast.h"
#endif
#include "real.h"

#define NAME(what) JOIN(what, double, SET)
#define REAL double
#define BITS Bits64
#define MAGNITUDE 0x7fffffffffffffff
#define SMALL_BITS 0x3f10000000000000
#define OVERFLOW_BITS 0x40effe0000000000
#define INFINITY_BITS 0x7ff0000000000000
#define SAFE_MIN 0.0
#define SAFE_MAX DBL_MAX
#define SAFE_SQUARES_MIN 0.0
#include "fast.h"
#include "real.h"

#define NAME(what) JOIN(what, row, SET)
#include "elements.h"

TARGET static void NAME(add_block)(Moments *all, const void *x, int n, Dtype dtype)
{
    Moments block;
    if (dtype == FLOAT64)
        JOIN(block, double, SET)(x, n, all->finite > 0 ? all->mean : JOIN(guess, double, SET)(x, n), &block);
    else
        JOIN(block, float, SET)(x, n, all->finite > 0 ? all->mean : JOIN(guess, float, SET)(x, n), &block);
    merge(all, &block);
}

/* Adds the elements [start, end) to the summary. */
TARGET static void NAME(summarize)(const void *x, size_t start, size_t end, Dtype dtype, Moments *all)
{
    _Alignas(64) double buffer[BLOCK];
    for (; start < end; start += BLOCK) {
        const int n = end - start < BLOCK ? (int)(end - start) : BLOCK;
        NAME(add_block)(all, NAME(load)(x, start, n, dtype, buffer), n, dtype);
    }
}

/* Adds new to one summary and new - old to another; afterwards old holds what new holds. In small pieces, so that
   memory delivers the next one while one is computed. */
TARGET static void NAME(summarize_update)(const void *new, void *old, size_t start, size_t end, Dtype dtype,
                                          Moments *values, Moments *changes)
{
    _Alignas(64) double buffer[CHUNK], other[CHUNK];
    const size_t size = ELEMENT_BYTES[dtype];
    for (; start < end; start += CHUNK) {
        const int n = end - start < CHUNK ? (int)(end - start) : CHUNK;
        const void *x = NAME(load)(new, start, n, dtype, buffer);
        const void *before = NAME(load)(old, start, n, dtype, other);
        NAME(add_block)(values, x, n, dtype);
        NAME(add_block)(changes, NAME(subtract)(x, before, n, dtype, other), n, dtype);
        memmove((char *)old + start * size, (const char *)new + start * size, (size_t)n * size);
    }
}

TARGET static double NAME(square_sum)(const void *x, size_t start, size_t end, Dtype dtype)
{
    _Alignas(64) double buffer[CHUNK];
    double sum = 0;
    for (; start < end; start += CHUNK) {
        const int n = end - start < CHUNK ? (int)(end - start) : CHUNK;
        const void *chunk = NAME(load)(x, start, n, dtype, buffer);
        sum += dtype == FLOAT64 ? JOIN(squares, double, SET)(chunk, n) : JOIN(squares, float, SET)(chunk, n);
    }
    return sum;
}

/* For units of many neighbouring elements, such as the channels of a convolution. */
TARGET static void NAME(count_long_units)(const Activations *a, int32_t *active, int32_t *saturated)
{
    _Alignas(64) double buffer[BLOCK];
    for (size_t row = 0; row < a->outer * a->units; row++) {
        const size_t unit = row % a->units;
        for (size_t start = 0; start < a->inner; start += BLOCK) {
            const int n = a->inner - start < BLOCK ? (int)(a->inner - start) : BLOCK;
            const void *x = NAME(load)(a->data, row * a->inner + start, n, a->dtype, buffer);
            if (a->dtype == FLOAT64)
                JOIN(count_unit, double, SET)(x, n, a->bounds, active + unit, saturated + unit);
            else
                JOIN(count_unit, float, SET)(x, n, a->bounds, active + unit, saturated + unit);
        }
    }
}

/* For all others: each element of a row has a counter of its own. The rows are taken in columns of at most BLOCK, and
   short rows many at once. */
TARGET static void NAME(count_short_units)(const Activations *a, int32_t *active, int32_t *saturated)
{
    _Alignas(64) double buffer[BLOCK];
    const size_t total = a->outer * a->units * a->inner, cycle = a->units * a->inner;
    const size_t width = cycle < SHORT_ROW ? SHORT_ROW / cycle * cycle : cycle;
    int32_t actives[BLOCK], extremes[BLOCK];
    for (size_t column = 0; column < width; column += BLOCK) {
        const int columns = width - column < BLOCK ? (int)(width - column) : BLOCK;
        memset(actives, 0, sizeof *actives * (size_t)columns);
        memset(extremes, 0, sizeof *extremes * (size_t)columns);
        for (size_t start = column; start < total; start += width) {
            const int n = total - start < (size_t)columns ? (int)(total - start) : columns;
            const void *x = NAME(load)(a->data, start, n, a->dtype, buffer);
            if (a->dtype == FLOAT64)
                JOIN(count_each, double, SET)(x, n, a->bounds, actives, extremes);
            else
                JOIN(count_each, float, SET)(x, n, a->bounds, actives, extremes);
        }
        size_t unit = column % cycle / a->inner, left = a->inner - column % a->inner;
        for (int i = 0; i < columns; i++) {
            active[unit] += actives[i];
            saturated[unit] += extremes[i];
            if (--left == 0) {
                left = a->inner;
                unit = unit + 1 == a->units ? 0 : unit + 1;
            }
        }
    }
}

TARGET static void NAME(count_units)(const Activations *a, int32_t *active, int32_t *saturated)
{
    (a->inner < LONG_UNIT ? NAME(count_short_units) : NAME(count_long_units))(a, active, saturated);
}

#undef NAME
#undef JOIN
#undef JOIN_
