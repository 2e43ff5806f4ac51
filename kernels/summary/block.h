/* One block of REAL numbers -> Moments. Included by real.h. */

/* Any content: non-finite elements, and magnitudes whose squares leave the range of REAL. */
TARGET static void NAME(careful)(const REAL *x, int n, Moments *block)
{
    const BITS *bits = (const BITS *)x;
    double sum = 0, deviations = 0, low = INFINITY, high = -INFINITY;
    BITS finite = 0, zeros = 0, positives = 0, small = 0;
#pragma omp simd reduction(+ : sum, finite, zeros, positives, small) reduction(min : low) reduction(max : high)
    for (int i = 0; i < n; i++) {
        const BITS magnitude = bits[i] & MAGNITUDE;
        const int usable = magnitude < INFINITY_BITS;
        const double value = x[i];
        const double at_least = usable ? value : INFINITY, at_most = usable ? value : -INFINITY;
        sum += usable ? value : 0.0;
        low = at_least < low ? at_least : low;
        high = at_most > high ? at_most : high;
        finite += usable;
        zeros += magnitude == 0;
        small += magnitude < SMALL_BITS;
        positives += usable & (bits[i] > 0);
    }
    const double mean = finite ? sum / (double)finite : 0.0;
#pragma omp simd reduction(+ : deviations)
    for (int i = 0; i < n; i++) {
        const double gap = (bits[i] & MAGNITUDE) < INFINITY_BITS ? x[i] - mean : 0.0;
        deviations += gap * gap;
    }
    *block = (Moments){(double)finite, mean, deviations, low, high, (double)zeros, (double)positives, (double)small, 0};
}

TARGET static double NAME(overflows)(const REAL *x, int n)
{
    const BITS *bits = (const BITS *)x;
    BITS count = 0;
#pragma omp simd reduction(+ : count)
    for (int i = 0; i < n; i++) {
        const BITS magnitude = bits[i] & MAGNITUDE;
        count += (magnitude >= OVERFLOW_BITS) & (magnitude < INFINITY_BITS);
    }
    return (double)count;
}

/* Whether the shift was so close to the mean that neither the sum nor the deviations lost digits. The sum of
   magnitudes is at least (sum of squares) / absmax. */
TARGET static int NAME(is_close)(const Moments *block, REAL shift)
{
    const double gap = fabs(block->mean - shift), absmax = fmax(-block->min, block->max);
    const double squares = block->deviations + block->finite * block->mean * block->mean;
    return block->finite * gap * gap <= block->deviations && block->finite * gap * absmax <= 4 * squares;
}

/* A guess at the mean: that of eight elements, far enough apart to be no neighbours. */
TARGET static double NAME(guess)(const REAL *x, int n)
{
    double sum = 0;
    for (int i = 0; i < 8; i++)
        sum += x[i * n / 8];
    return sum / 8;
}

/* Where the guess was far off, the block is read again, about its own mean. */
TARGET static void NAME(block)(const REAL *x, int n, double guess, Moments *block)
{
    for (int attempt = 0;; attempt++) {
        const REAL shift = (REAL)guess;
        if (attempt == 4 || !NAME(fast)(x, n, shift, block)) {
            NAME(careful)(x, n, block);
            break;
        }
        if (NAME(is_close)(block, shift))
            break;
        guess = block->mean;
    }
    if (block->max >= OVERFLOW16 || block->min <= -OVERFLOW16)
        block->overflows = NAME(overflows)(x, n);
}
