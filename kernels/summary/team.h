/* Long reads are shared out among the threads that torch computes with: they wait for work anyway while a hook runs,
   and threads of our own would fight with them for the cores. */

#ifndef DEEPSEEK_TEAM_H
#define DEEPSEEK_TEAM_H

#include "../openmp.h"
#include "moments.h"

enum { SHARE = 16 * BLOCK, MOST_SHARES = 16 };

/* Elements [start, end) of a task, whose results belong to `share`. */
typedef void (*Work)(void *task, size_t start, size_t end, int share);

typedef struct {
    Work work;
    void *task;
    size_t numel;
} Shared;

static void work_on_range(const void *data, size_t share, size_t shares)
{
    const Shared *all = data;
    const size_t blocks = (all->numel + BLOCK - 1) / BLOCK;
    const size_t start = blocks * share / shares * BLOCK, end = blocks * (share + 1) / shares * BLOCK;
    all->work(all->task, start, end < all->numel ? end : all->numel, (int)share);
}

/* Does the work, in several threads where that pays; returns the number of shares, at most MOST_SHARES. */
static int share_out(Work work, void *task, size_t numel)
{
    const Shared all = {work, task, numel};
    const size_t worthy = numel / SHARE;
    return (int)share_work(work_on_range, &all, worthy < MOST_SHARES ? worthy : MOST_SHARES);
}

#endif
