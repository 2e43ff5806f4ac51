/* Which rows of a matrix hold anything but zeros: decided by bits, and a row is left at its first nonzero. */

#ifndef DEEPSEEK_LIVE_ROWS_H
#define DEEPSEEK_LIVE_ROWS_H

#include <string.h>

#include "moments.h"

static int has_nonzero(const unsigned char *row, size_t bytes, uint64_t magnitudes)
{
    size_t at = 0;
    uint64_t word = 0;
    if (bytes >= 64) {
        memcpy(&word, row, 8);
        if (word & magnitudes)
            return 1;
    }
    for (; at + 512 <= bytes; at += 512) {
        uint64_t words[64], any = 0;
        memcpy(words, row + at, 512);
        for (int i = 0; i < 64; i++)
            any |= words[i];
        if (any & magnitudes)
            return 1;
    }
    for (; at < bytes; at += 8) {
        word = 0;
        memcpy(&word, row + at, bytes - at < 8 ? bytes - at : 8);
        if (word & magnitudes)
            return 1;
    }
    return 0;
}

static void count_rows(const void *matrix, size_t rows, size_t columns, Dtype dtype, int32_t *counts)
{
    static const uint64_t MAGNITUDES[DTYPE_COUNT] = {
        [FLOAT32] = 0x7fffffff7fffffff,
        [FLOAT64] = 0x7fffffffffffffff,
        [FLOAT16] = 0x7fff7fff7fff7fff,
        [BFLOAT16] = 0x7fff7fff7fff7fff,
    };
    const size_t row_bytes = columns * ELEMENT_BYTES[dtype];
    for (size_t r = 0; r < rows; r++)
        counts[r] += has_nonzero((const unsigned char *)matrix + r * row_bytes, row_bytes, MAGNITUDES[dtype]);
}

#endif
