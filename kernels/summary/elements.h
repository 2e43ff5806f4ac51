/* The elements of a tensor as float or double, for one instruction set; included by passes.h. */

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
