/* The whole summary for one instruction set; included once for each, with TARGET and SET defined. */

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
#include "block.h"
#undef NAME
#undef REAL
#undef BITS
#undef MAGNITUDE
#undef SMALL_BITS
#undef OVERFLOW_BITS
#undef INFINITY_BITS
#undef SAFE_MIN
#undef SAFE_MAX

#define NAME(what) JOIN(what, double, SET)
#define REAL double
#define BITS Bits64
#define MAGNITUDE 0x7fffffffffffffff
#define SMALL_BITS 0x3f10000000000000
#define OVERFLOW_BITS 0x40effe0000000000
#define INFINITY_BITS 0x7ff0000000000000
#define SAFE_MIN 0.0
#define SAFE_MAX DBL_MAX
#include "block.h"
#undef NAME
#undef REAL
#undef BITS
#undef MAGNITUDE
#undef SMALL_BITS
#undef OVERFLOW_BITS
#undef INFINITY_BITS
#undef SAFE_MIN
#undef SAFE_MAX

#define NAME(what) JOIN(what, row, SET)

TARGET static void NAME(widen16)(const uint16_t *x, int n, float *out)
{
    Bits32 *bits = (Bits32 *)out;
    int done = 0;
#ifdef HAVE_F16C
    for (; done + 8 <= n; done += 8)
        _mm256_storeu_ps(out + done, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(x + done))));
#endif
#pragma omp simd
    for (int i = done; i < n; i++) {
        const uint32_t magnitude = x[i] & 0x7fff, sign = (uint32_t)(x[i] & 0x8000) << 16;
        const uint32_t rebias = magnitude >= 0x7c00 ? 2 * (112 << 23) : 112 << 23;
        union { float value; uint32_t bits; } denormal = {.value = (float)(int32_t)magnitude * 0x1p-24f};
        bits[i] = (Bits32)(sign | (magnitude < 0x400 ? denormal.bits : (magnitude << 13) + rebias));
    }
}

TARGET static void NAME(widen_brain16)(const uint16_t *x, int n, float *out)
{
    Bits32 *bits = (Bits32 *)out;
#pragma omp simd
    for (int i = 0; i < n; i++)
        bits[i] = (Bits32)((uint32_t)x[i] << 16);
}

/* The n elements from `start` on, as float or double: in place where possible, else in `buffer`. */
TARGET static const void *NAME(load)(const void *x, size_t start, int n, Dtype dtype, void *buffer)
{
    switch (dtype) {
    case FLOAT16: NAME(widen16)((const uint16_t *)x + start, n, buffer); return buffer;
    case BFLOAT16: NAME(widen_brain16)((const uint16_t *)x + start, n, buffer); return buffer;
    case FLOAT64: return (const double *)x + start;
    default: return (const float *)x + start;
    }
}

TARGET static const void *NAME(subtract)(const void *new, const void *old, int n, Dtype dtype, void *buffer)
{
    if (dtype == FLOAT64) {
        const double *a = new, *b = old;
        double *out = buffer;
#pragma omp simd
        for (int i = 0; i < n; i++)
            out[i] = a[i] - b[i];
    } else {
        const float *a = new, *b = old;
        float *out = buffer;
#pragma omp simd
        for (int i = 0; i < n; i++)
            out[i] = a[i] - b[i];
    }
    return buffer;
}

/* Summary of new, or of new - old where old is given. */
TARGET static void NAME(summarize)(const void *new, const void *old, size_t numel, Dtype dtype, double *row)
{
    _Alignas(64) double buffer[BLOCK], other[BLOCK];
    Moments all = NOTHING, block;
    for (size_t start = 0; start < numel; start += BLOCK) {
        const int n = numel - start < BLOCK ? (int)(numel - start) : BLOCK;
        const void *x = NAME(load)(new, start, n, dtype, buffer);
        if (old)
            x = NAME(subtract)(x, NAME(load)(old, start, n, dtype, other), n, dtype, buffer);
        if (dtype == FLOAT64)
            JOIN(block, double, SET)(x, n, start ? all.mean : *(const double *)x, &block);
        else
            JOIN(block, float, SET)(x, n, start ? all.mean : *(const float *)x, &block);
        merge(&all, &block);
    }
    write_row(&all, numel, row);
}

#undef NAME
#undef JOIN
#undef JOIN_
