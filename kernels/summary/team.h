/* Long reads are shared out among the threads that torch computes with: they wait for work anyway while a hook runs,
   and threads of our own would fight with them for the cores. */

#ifndef DEEPSEEK_TEAM_H
#define DEEPSEEK_TEAM_H

#ifndef _WIN32
#include <pthread.h>
#endif

#include "moments.h"

enum { SHARE = 16 * BLOCK, MOST_SHARES = 16 };

/* What torch's OpenMP told in `share_threads`, by the names of its binary interface; nothing is shared before. */
static struct {
    void (*parallel)(void (*work)(void *), void *data, unsigned threads, unsigned flags); /* GOMP_parallel */
    int (*max_threads)(void), (*thread_num)(void), (*num_threads)(void);                  /* omp_get_... */
} openmp;

/* Elements [start, end) of a task, whose results belong to `share`. */
typedef void (*Work)(void *task, size_t start, size_t end, int share);

typedef struct {
    Work work;
    void *task;
    size_t numel;
    int shares;
} Shared;

/* There may be fewer threads than asked for. */
static void work_in_thread(void *data)
{
    const Shared *all = data;
    const size_t blocks = (all->numel + BLOCK - 1) / BLOCK, shares = (size_t)all->shares;
    for (int share = openmp.thread_num(); share < all->shares; share += openmp.num_threads()) {
        const size_t start = blocks * (size_t)share / shares * BLOCK, end = blocks * (size_t)(share + 1) / shares * BLOCK;
        all->work(all->task, start, end < all->numel ? end : all->numel, share);
    }
}

/* Does the work, in several threads where that pays; returns the number of shares, at most MOST_SHARES. */
static int share_out(Work work, void *task, size_t numel)
{
    Shared all = {work, task, numel, 1};
    if (openmp.parallel && numel >= 2 * SHARE) {
        const size_t threads = (size_t)openmp.max_threads(), most = threads < MOST_SHARES ? threads : MOST_SHARES;
        all.shares = (int)(numel / SHARE < most ? numel / SHARE : most);
    }
    if (all.shares > 1)
        openmp.parallel(work_in_thread, &all, (unsigned)all.shares, 0);
    else
        work(task, 0, numel, 0);
    return all.shares;
}

/* A forked process has none of the threads. */
static void forget_threads(void)
{
    openmp.parallel = NULL;
}

#endif
