/* Dot products and weighted sums of a few weight rows, for one or two inputs. Included once for each instruction set. */

/* Four rows of d weights with one input: four sums do not wait for each other. */
TARGET static void NAME(dot_one)(const float *w, size_t d, const float *x, float out[4])
{
    const float *w1 = w + d, *w2 = w1 + d, *w3 = w2 + d;
    float a0 = 0, a1 = 0, a2 = 0, a3 = 0;
#pragma omp simd reduction(+ : a0, a1, a2, a3)
    for (size_t j = 0; j < d; j++) {
        a0 += w[j] * x[j];
        a1 += w1[j] * x[j];
        a2 += w2[j] * x[j];
        a3 += w3[j] * x[j];
    }
    out[0] = a0, out[1] = a1, out[2] = a2, out[3] = a3;
}

/* The same with two inputs: each weight is loaded once. */
TARGET static void NAME(dot_two)(const float *w, size_t d, const float *x, const float *z, float out[4], float more[4])
{
    const float *w1 = w + d, *w2 = w1 + d, *w3 = w2 + d;
    float a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
#pragma omp simd reduction(+ : a0, a1, a2, a3, b0, b1, b2, b3)
    for (size_t j = 0; j < d; j++) {
        a0 += w[j] * x[j];
        a1 += w1[j] * x[j];
        a2 += w2[j] * x[j];
        a3 += w3[j] * x[j];
        b0 += w[j] * z[j];
        b1 += w1[j] * z[j];
        b2 += w2[j] * z[j];
        b3 += w3[j] * z[j];
    }
    out[0] = a0, out[1] = a1, out[2] = a2, out[3] = a3;
    more[0] = b0, more[1] = b1, more[2] = b2, more[3] = b3;
}

/* Add columns of four rows of weights, d apart, to an output. */
TARGET static void NAME(add_one)(const float *w, size_t d, size_t columns, const float h[4], float *restrict y)
{
    const float *w1 = w + d, *w2 = w1 + d, *w3 = w2 + d;
#pragma omp simd
    for (size_t j = 0; j < columns; j++)
        y[j] = h[3] * w3[j] + (h[2] * w2[j] + (h[1] * w1[j] + (h[0] * w[j] + y[j])));
}

TARGET static void NAME(add_two)(const float *w, size_t d, size_t columns, const float h[4], const float g[4],
                                 float *restrict y, float *restrict z)
{
    const float *w1 = w + d, *w2 = w1 + d, *w3 = w2 + d;
#pragma omp simd
    for (size_t j = 0; j < columns; j++) {
        y[j] = h[3] * w3[j] + (h[2] * w2[j] + (h[1] * w1[j] + (h[0] * w[j] + y[j])));
        z[j] = g[3] * w3[j] + (g[2] * w2[j] + (g[1] * w1[j] + (g[0] * w[j] + z[j])));
    }
}
