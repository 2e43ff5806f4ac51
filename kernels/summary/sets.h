/* The passes compiled for every instruction set, and the choice of one of them. */

#ifndef DEEPSEEK_SETS_H
#define DEEPSEEK_SETS_H

#include <float.h>
#include <string.h>

#include "moments.h"

#if defined(__GNUC__)
typedef int32_t __attribute__((may_alias)) Bits32;
typedef int64_t __attribute__((may_alias)) Bits64;
#else
typedef int32_t Bits32;
typedef int64_t Bits64;
#endif

#if defined(__GNUC__) && defined(__x86_64__)
#define HAVE_X86_SETS
#endif

#define TARGET
#define SET base
#include "passes.h"
#undef TARGET
#undef SET

#ifdef HAVE_X86_SETS
#include <immintrin.h>
#define HAVE_F16C
#define TARGET __attribute__((target("avx2,fma,f16c")))
#define SET avx2
#include "passes.h"
#undef TARGET
#undef SET

#ifdef __clang__
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,f16c"), min_vector_width(512)))
#else
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,f16c,prefer-vector-width=512")))
#endif
#define SET avx512
#define FAST_FLOAT "fast_avx512.h"
#include "passes.h"
#undef TARGET
#undef SET
#undef FAST_FLOAT

/* F16C came before AVX2 in every processor, and older compilers do not know its name here. */
static int has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static int has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

static int always(void)
{
    return 1;
}

typedef struct {
    const char *name;
    int (*is_available)(void);
    void (*summarize)(const void *x, size_t start, size_t end, Dtype dtype, Moments *all);
    void (*summarize_update)(const void *new, void *old, size_t start, size_t end, Dtype dtype, Moments *values,
                             Moments *changes);
    double (*square_sum)(const void *x, size_t start, size_t end, Dtype dtype);
    void (*count_units)(const Activations *activations, int32_t *active, int32_t *saturated);
} InstructionSet;

#define PASSES(set) summarize_row_##set, summarize_update_row_##set, square_sum_row_##set, count_units_row_##set

/* From the best to the one that always works. */
static const InstructionSet SETS[] = {
#ifdef HAVE_X86_SETS
    {"avx512", has_avx512, PASSES(avx512)},
    {"avx2", has_avx2, PASSES(avx2)},
#endif
#if defined(__aarch64__) || defined(_M_ARM64)
    {"neon", always, PASSES(base)},
#else
    {"scalar", always, PASSES(base)},
#endif
};

enum { SET_COUNT = sizeof SETS / sizeof SETS[0] };

static const InstructionSet *chosen;

static void choose_best(void)
{
#ifdef HAVE_X86_SETS
    __builtin_cpu_init();
#endif
    chosen = SETS;
    while (!chosen->is_available())
        chosen++;
}

#endif
