/* A gated feed-forward layer: each weight of a block is read from memory once, for all rows that want the block. */

#ifndef DEEPSEEK_GATED_ROWS_H
#define DEEPSEEK_GATED_ROWS_H

#include <stddef.h>

#include "../openmp.h"

enum { TILE = 4, PANEL = 512, LINE = 16, FEW = 8 };

/* Bytes of the rows that are worked on together, which stay in the first cache, and of weights in the second one. */
enum { NEAR = 3 << 13, KEPT = 1 << 18 };

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define NAME(what) JOIN(what, SET)

#define TARGET
#define SET base
#include "tiles.h"
#undef TARGET
#undef SET

#if defined(__GNUC__) && defined(__x86_64__)
#define HAVE_X86_SETS
#define TARGET __attribute__((target("avx2,fma")))
#define SET avx2
#include "tiles.h"
#undef TARGET
#undef SET

#ifdef __clang__
#define TARGET __attribute__((target("avx512f,fma"), min_vector_width(512)))
#else
#define TARGET __attribute__((target("avx512f,fma,prefer-vector-width=512")))
#endif
#define SET avx512
#include "tiles.h"
#undef TARGET
#undef SET
#endif

typedef struct {
    void (*dot_one)(const float *, size_t, const float *, float *);
    void (*dot_two)(const float *, size_t, const float *, const float *, float *, float *);
    void (*add_one)(const float *, size_t, size_t, const float *, float *);
    void (*add_two)(const float *, size_t, size_t, const float *, const float *, float *, float *);
} Tiles;

#define TILES(set) {dot_one_##set, dot_two_##set, add_one_##set, add_two_##set}

static Tiles tiles = TILES(base);
static int wide_vectors = 0;

static void choose_tiles(void)
{
#ifdef HAVE_X86_SETS
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        tiles = (Tiles)TILES(avx2);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("fma"))
        tiles = (Tiles)TILES(avx512);
    wide_vectors = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
}

/* One of the two matrices, and what it is multiplied with. `hidden` holds the units of each wanted (block, row), the
   blocks one after the other. */
typedef struct {
    const float *mask; /* [rows, blocks], not 0 where the block is wanted */
    size_t rows, blocks, size, width; /* at most PANEL rows */
    const float *weight, *bias; /* [blocks * size, width] */
    const float *x;             /* [rows, width], of the first matrix */
    float *y;                   /* [rows, width], of the second */
    float *hidden;              /* [pairs, size] */
} Product;

/* The rows that want a block; returns how many. */
static size_t find_wanting(const Product *p, size_t block, size_t wanting[PANEL])
{
    size_t count = 0;
    for (size_t row = 0; row < p->rows; row++)
        if (p->mask[row * p->blocks + block] != 0)
            wanting[count++] = row;
    return count;
}

#ifdef __GNUC__
#define PREFETCH(address) __builtin_prefetch(address, 0, 2)
#else
#define PREFETCH(address) (void)(address)
#endif

/* Have a tile of weights come into the second cache meanwhile: its rows are too short for the processor to foresee. */
static void prefetch_tile(const float *w, size_t stride, size_t columns)
{
    for (int k = 0; k < TILE; k++)
        for (size_t j = 0; j < columns; j += LINE)
            PREFETCH(w + k * stride + j);
}

/* The first matrix, a tile of units for the rows that want it. */
static void compute_tile(const Product *p, size_t unit, const size_t *wanting, size_t count, float *hidden)
{
    const float *w = p->weight + unit * p->width;
    for (size_t i = 0; i < count; i += 2) {
        const float *x = p->x + wanting[i] * p->width;
        float *out = hidden + i * p->size, *more = out + p->size;
        if (i + 1 < count)
            tiles.dot_two(w, p->width, x, p->x + wanting[i + 1] * p->width, out, more);
        else
            tiles.dot_one(w, p->width, x, out);
        for (int k = 0; k < TILE; k++) {
            out[k] += p->bias[unit + k];
            if (i + 1 < count)
                more[k] += p->bias[unit + k];
        }
    }
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many rows of `columns` values each stay in the first cache; even, because two are worked on at once. */
static size_t near_rows(size_t columns)
{
    return (NEAR / (columns * sizeof(float) * 2 + 1) + 1) * 2;
}

/* How many units of `columns` weights each stay in the second cache. */
static size_t kept_units(size_t columns)
{
    const size_t tiles_kept = KEPT / (columns * sizeof(float) * TILE + 1);
    return (tiles_kept ? tiles_kept : 1) * TILE;
}

/* Each thread takes a share of the units of every block. */
static void compute_hidden(const void *task, size_t share, size_t shares)
{
    const Product *p = task;
    size_t wanting[PANEL];
    float *hidden = p->hidden;
    const size_t number = p->size / TILE, kept = kept_units(p->width), group = near_rows(p->width);
    const size_t start = number * share / shares * TILE, end = number * (share + 1) / shares * TILE;
    for (size_t block = 0; block < p->blocks; block++) {
        const size_t count = find_wanting(p, block, wanting);
        for (size_t first = start; first < end; first += kept)
            for (size_t i = 0; i < count; i += group)
                for (size_t unit = first; unit < least(first + kept, end); unit += TILE) {
                    if (i == 0 && unit + TILE < end)
                        prefetch_tile(p->weight + (block * p->size + unit + TILE) * p->width, p->width, p->width);
                    compute_tile(p, block * p->size + unit, wanting + i, least(count - i, group),
                                 hidden + i * p->size + unit);
                }
        hidden += count * p->size;
    }
}

/* The second matrix, columns [start, end) of some units of a block. */
static void add_units(const Product *p, size_t block, size_t first, size_t last, const size_t *wanting, size_t count,
                      const float *hidden, size_t start, size_t end, int is_first_group)
{
    for (size_t unit = first; unit < last; unit += TILE) {
        const float *w = p->weight + (block * p->size + unit) * p->width + start;
        if (is_first_group && unit + TILE < p->size)
            prefetch_tile(w + TILE * p->width, p->width, end - start);
        for (size_t i = 0; i < count; i += 2) {
            const float *h = hidden + i * p->size + unit;
            float *y = p->y + wanting[i] * p->width + start;
            if (i + 1 < count)
                tiles.add_two(w, p->width, end - start, h, h + p->size, y, p->y + wanting[i + 1] * p->width + start);
            else
                tiles.add_one(w, p->width, end - start, h, y);
        }
    }
}

/* Each thread takes a share of the rows, or of the columns where there are few rows: none waits for another's sums. */
static void compute_output(const void *task, size_t share, size_t shares)
{
    const Product *p = task;
    size_t wanting[PANEL];
    const float *hidden = p->hidden;
    const int by_rows = p->rows >= FEW * shares;
    const size_t lines = (p->width + LINE - 1) / LINE;
    const size_t start = by_rows ? 0 : lines * share / shares * LINE;
    const size_t end = by_rows ? p->width : least(lines * (share + 1) / shares * LINE, p->width);
    const size_t top = by_rows ? p->rows * share / shares : 0;
    const size_t bottom = by_rows ? p->rows * (share + 1) / shares : p->rows;
    const size_t kept = kept_units(end - start), group = near_rows(end - start);
    for (size_t row = top; row < bottom; row++)
        for (size_t j = start; j < end; j++)
            p->y[row * p->width + j] = p->bias[j];
    for (size_t block = 0; block < p->blocks; block++) {
        const size_t count = find_wanting(p, block, wanting);
        size_t mine = 0, last = count;
        while (mine < count && wanting[mine] < top)
            mine++;
        while (last > mine && wanting[last - 1] >= bottom)
            last--;
        for (size_t first = 0; first < p->size && start < end; first += kept)
            for (size_t i = mine; i < last; i += group)
                add_units(p, block, first, least(first + kept, p->size), wanting + i, least(last - i, group),
                          hidden + i * p->size, start, end, i == mine);
        hidden += count * p->size;
    }
}

#endif
