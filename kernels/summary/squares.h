/* The sum of squares of at most CHUNK numbers. Included by real.h. */

/* Four streams, because one running sum would wait for itself. Where squares left the range of REAL at either end, or
   an element is not finite, the doubles decide. */
TARGET static double NAME(squares)(const REAL *x, int n)
{
    const int quarter = n / 4;
    const REAL *second = x + quarter, *third = second + quarter, *fourth = third + quarter;
    REAL a = 0, b = 0, c = 0, d = 0;
    double wide = 0;
#pragma omp simd reduction(+ : a, b, c, d)
    for (int i = 0; i < quarter; i++) {
        a += x[i] * x[i];
        b += second[i] * second[i];
        c += third[i] * third[i];
        d += fourth[i] * fourth[i];
    }
    for (int i = 4 * quarter; i < n; i++)
        a += x[i] * x[i];
    const REAL sum = (a + b) + (c + d);
    if (sum >= (REAL)SAFE_SQUARES_MIN && isfinite(sum))
        return sum;
#pragma omp simd reduction(+ : wide)
    for (int i = 0; i < n; i++)
        wide += (double)x[i] * x[i];
    return wide;
}
