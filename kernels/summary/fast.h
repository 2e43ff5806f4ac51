/* The summary of a block without extremes. Included by passes.h for float and for double. */

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
    const double gap = all_gaps / n;
    const double deviations = fmax(all_squares - n * gap * gap, 0.0);
    *block = (Moments){n, shift + gap, deviations, low, high, (double)zeros, (double)positives, (double)small, 0};
    return is_safe(block, all_squares, SAFE_MIN, SAFE_MAX);
}
