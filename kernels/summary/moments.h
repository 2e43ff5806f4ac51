/* The running summary of the elements seen so far, and how a block of elements is added to it. */

#ifndef DEEPSEEK_MOMENTS_H
#define DEEPSEEK_MOMENTS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

enum { COLUMN_COUNT = 12, BLOCK = 4096, CHUNK = 1024, LONG_UNIT = 32, SHORT_ROW = 256 };

#define SMALLEST_NORMAL16 6.103515625e-05 /* 2**-14 */
#define OVERFLOW16 65520.0

typedef enum { FLOAT32, FLOAT64, FLOAT16, BFLOAT16, DTYPE_COUNT } Dtype;

static const size_t ELEMENT_BYTES[DTYPE_COUNT] = {[FLOAT32] = 4, [FLOAT64] = 8, [FLOAT16] = 2, [BFLOAT16] = 2};

typedef struct {
    double finite, mean, deviations; /* count, mean and sum of squared deviations of the finite elements */
    double min, max;
    double zeros, positives, small, overflows; /* small: |x| < 2**-14, zeros included */
} Moments;

/* What a layer gave, in memory [outer, units, inner]. An element within [bounds[0], bounds[1]] is off; one at or below
   bounds[2], or at or above bounds[3], is saturated. */
typedef struct {
    const void *data;
    size_t outer, units, inner;
    Dtype dtype;
    double bounds[4];
} Activations;

static const Moments NOTHING = {.min = INFINITY, .max = -INFINITY};

/* Whether squares summed in a type that holds squares of magnitudes from `least` to `most` tell the truth. */
static inline int is_safe(const Moments *block, double squares, double least, double most)
{
    const double absmax = fmax(-block->min, block->max);
    return isfinite(squares) && absmax <= most && (absmax >= least || block->zeros == block->finite);
}

/* Chan, Golub, LeVeque (1983), "Algorithms for computing the sample variance", equation 2.1. */
static inline void merge(Moments *all, const Moments *block)
{
    if (block->finite > 0) {
        const double finite = all->finite + block->finite;
        const double gap = block->mean - all->mean;
        all->mean += gap * (block->finite / finite);
        all->deviations += block->deviations + gap * gap * (all->finite * block->finite / finite);
        all->finite = finite;
        all->min = block->min < all->min ? block->min : all->min;
        all->max = block->max > all->max ? block->max : all->max;
    }
    all->zeros += block->zeros;
    all->positives += block->positives;
    all->small += block->small;
    all->overflows += block->overflows;
}

static inline void write_row(const Moments *all, size_t numel, double row[COLUMN_COUNT])
{
    const double finite = all->finite, count = (double)numel;
    const double squares = finite > 0 ? all->deviations + finite * all->mean * all->mean : 0.0;
    row[0] = finite > 0 ? all->mean : NAN;
    row[1] = finite > 0 ? sqrt(all->deviations / finite) : NAN;
    row[2] = sqrt(squares);
    row[3] = finite > 0 ? sqrt(squares / finite) : NAN;
    row[4] = finite > 0 ? all->min : NAN;
    row[5] = finite > 0 ? all->max : NAN;
    row[6] = finite > 0 ? fmax(-all->min, all->max) : NAN;
    row[7] = numel > 0 ? all->zeros / count : NAN;
    row[8] = numel > 0 ? all->positives / count : NAN;
    row[9] = count - finite;
    row[10] = numel > 0 ? (all->small - all->zeros) / count : NAN;
    row[11] = numel > 0 ? all->overflows / count : NAN;
}

#endif
