/* One block of REAL numbers -> Moments. Included by real.h. */

/* Everything in one pass. The squares are taken about `shift`; valid only if all elements are finite and no square
   overflows, which the caller sees from the result. Sums of REAL go on for a short chunk only, so that rounding does
   not add up. Counts compare bits, so that denormals are counted even where the processor flushes them to zero. */
TARGET static int NAME(fast)(const REAL *x, int n, REAL shift, Moments *block)
{
    const BITS *bits = (const BITS *)x;
    double all_gaps = 0, all_squares = 0;
    REAL low = x[0], high = x[0];
    BITS zeros = 0, positives = 0, small = 0;
    for (int start = 0; start < n; start += CHUNK) {
        const int end = n - start < CHUNK ? n : start + CHUNK;
        REAL gaps = 0, squares = 0;
#pragma omp simd reduction(+ : gaps, squares, zeros, positives, small) reduction(min : low) reduction(max : high)
        for (int i = start; i < end; i++) {
            const REAL value = x[i], gap = value - shift;
            const BITS magnitude = bits[i] & MAGNITUDE;
            gaps += gap;
            squares += gap * gap;
            low = value < low ? value : low;
            high = value > high ? value : high;
            zeros += magnitude == 0;
            small += magnitude < SMALL_BITS;
            positives += bits[i] > 0;
        }
        all_gaps += gaps;
        all_squares += squares;
    }
    const double gap = all_gaps / n, absmax = fmax(-low, high);
    const double deviations = fmax(all_squares - n * gap * gap, 0.0);
    *block = (Moments){n, shift + gap, deviations, low, high, (double)zeros, (double)positives, (double)small, 0};
    return isfinite(all_squares) && absmax <= SAFE_MAX && (absmax >= SAFE_MIN || zeros == n);
}

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
