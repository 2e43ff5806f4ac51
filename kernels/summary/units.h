/* How many elements are active, and how many saturated. Included by real.h. */

/* NaN is active, because no comparison with it holds. */
#define IS_ACTIVE(value) (1 - (((value) >= dead_low) & ((value) <= dead_high)))
#define IS_SATURATED(value) (((value) <= saturated_low) | ((value) >= saturated_high))

/* Adds the n elements of one unit. */
TARGET static void NAME(count_unit)(const REAL *x, int n, const double bounds[4], int32_t *active, int32_t *saturated)
{
    const REAL dead_low = (REAL)bounds[0], dead_high = (REAL)bounds[1];
    const REAL saturated_low = (REAL)bounds[2], saturated_high = (REAL)bounds[3];
    BITS actives = 0, extremes = 0;
#pragma omp simd reduction(+ : actives, extremes)
    for (int i = 0; i < n; i++) {
        actives += IS_ACTIVE(x[i]);
        extremes += IS_SATURATED(x[i]);
    }
    *active += (int32_t)actives;
    *saturated += (int32_t)extremes;
}

/* Adds one element to each of n counters. */
TARGET static void NAME(count_each)(const REAL *x, int n, const double bounds[4], int32_t *active, int32_t *saturated)
{
    const REAL dead_low = (REAL)bounds[0], dead_high = (REAL)bounds[1];
    const REAL saturated_low = (REAL)bounds[2], saturated_high = (REAL)bounds[3];
#pragma omp simd
    for (int i = 0; i < n; i++) {
        active[i] += IS_ACTIVE(x[i]);
        saturated[i] += IS_SATURATED(x[i]);
    }
}

#undef IS_ACTIVE
#undef IS_SATURATED
