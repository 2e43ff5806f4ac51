/* fast.h for floats, by hand: takes two thirds of the time of what compilers make of the loop there. */

#define LANES 16
#define EVERY ((__mmask16)0xffff)
#define PAGE 1024 /* elements: the processor looks ahead by itself only within a page of memory */

typedef struct {
    __m512 gaps, squares, low, high;
    __m512i zeros, positives, small;
} Lanes;

TARGET static inline void count_lanes(__m512i *counts, __mmask16 chosen_lanes)
{
    *counts = _mm512_mask_add_epi32(*counts, chosen_lanes, *counts, _mm512_set1_epi32(1));
}

/* Adds the lanes of the mask; the others of `value` hold what cannot be lowest or highest. */
TARGET static inline void add_lanes(Lanes *lanes, __m512 value, __m512 shift, __mmask16 mask)
{
    const __m512i bits = _mm512_castps_si512(value), magnitudes = _mm512_set1_epi32(MAGNITUDE);
    const __m512 gap = _mm512_maskz_sub_ps(mask, value, shift);
    lanes->gaps = _mm512_add_ps(lanes->gaps, gap);
    lanes->squares = _mm512_fmadd_ps(gap, gap, lanes->squares);
    lanes->low = _mm512_min_ps(value, lanes->low);
    lanes->high = _mm512_max_ps(value, lanes->high);
    count_lanes(&lanes->zeros, _mm512_mask_testn_epi32_mask(mask, bits, magnitudes));
    count_lanes(&lanes->small, _mm512_mask_cmplt_epi32_mask(mask, _mm512_and_si512(bits, magnitudes),
                                                            _mm512_set1_epi32(SMALL_BITS)));
    count_lanes(&lanes->positives, _mm512_mask_cmpgt_epi32_mask(mask, bits, _mm512_setzero_si512()));
}

TARGET static inline double take_sum(__m512 *a, __m512 *b)
{
    const double sum = _mm512_reduce_add_ps(_mm512_add_ps(*a, *b));
    *a = *b = _mm512_setzero_ps();
    return sum;
}

TARGET static inline double total(__m512i a, __m512i b)
{
    return _mm512_reduce_add_epi32(_mm512_add_epi32(a, b));
}

/* Two sets of lanes, because a running sum waits for itself. A float sum goes on for 64 elements. */
TARGET static int NAME(fast)(const float *x, int n, float shift_by, Moments *block)
{
    const __m512 shift = _mm512_set1_ps(shift_by), first = _mm512_set1_ps(x[0]);
    Lanes a = {.low = first, .high = first}, b = a;
    double gaps = 0, squares = 0;
    for (int i = 0; i < n;) {
        for (const int end = n - i < 128 * LANES ? n : i + 128 * LANES; i < end; i += 2 * LANES) {
            if (end - i >= 2 * LANES) {
                _mm_prefetch((const char *)(x + i + PAGE), _MM_HINT_T0);
                _mm_prefetch((const char *)(x + i + PAGE + LANES), _MM_HINT_T0);
                add_lanes(&a, _mm512_loadu_ps(x + i), shift, EVERY);
                add_lanes(&b, _mm512_loadu_ps(x + i + LANES), shift, EVERY);
            } else {
                const uint32_t mask = (1u << (end - i)) - 1;
                add_lanes(&a, _mm512_mask_loadu_ps(first, (__mmask16)mask, x + i), shift, (__mmask16)mask);
                add_lanes(&b, _mm512_mask_loadu_ps(first, (__mmask16)(mask >> LANES), x + i + LANES), shift,
                          (__mmask16)(mask >> LANES));
            }
        }
        gaps += take_sum(&a.gaps, &b.gaps);
        squares += take_sum(&a.squares, &b.squares);
    }
    const double low = _mm512_reduce_min_ps(_mm512_min_ps(a.low, b.low));
    const double high = _mm512_reduce_max_ps(_mm512_max_ps(a.high, b.high));
    const double gap = gaps / n, zeros = total(a.zeros, b.zeros);
    *block = (Moments){.finite = n, .mean = shift_by + gap, .deviations = fmax(squares - n * gap * gap, 0.0),
                       .min = low, .max = high, .zeros = zeros, .positives = total(a.positives, b.positives),
                       .small = total(a.small, b.small)};
    return is_safe(block, squares, SAFE_MIN, SAFE_MAX);
}

#undef LANES
#undef EVERY
#undef PAGE
