/* The passes over one tensor, shared out among threads. */

#ifndef DEEPSEEK_SHARED_H
#define DEEPSEEK_SHARED_H

#include "sets.h"
#include "team.h"

typedef struct {
    const void *x;
    void *old; /* for updates */
    Dtype dtype;
    Moments values[MOST_SHARES], changes[MOST_SHARES];
    double squares[MOST_SHARES];
} Reading;

static void read_values(void *task, size_t start, size_t end, int share)
{
    Reading *reading = task;
    Moments all = NOTHING;
    chosen->summarize(reading->x, start, end, reading->dtype, &all);
    reading->values[share] = all;
}

static void read_update(void *task, size_t start, size_t end, int share)
{
    Reading *reading = task;
    Moments values = NOTHING, changes = NOTHING;
    chosen->summarize_update(reading->x, reading->old, start, end, reading->dtype, &values, &changes);
    reading->values[share] = values;
    reading->changes[share] = changes;
}

static void read_squares(void *task, size_t start, size_t end, int share)
{
    Reading *reading = task;
    reading->squares[share] = chosen->square_sum(reading->x, start, end, reading->dtype);
}

static void write_total(const Moments *parts, int count, size_t numel, double row[COLUMN_COUNT])
{
    Moments all = NOTHING;
    for (int i = 0; i < count; i++)
        merge(&all, &parts[i]);
    write_row(&all, numel, row);
}

static void summarize_shared(const void *x, size_t numel, Dtype dtype, double row[COLUMN_COUNT])
{
    Reading reading;
    reading.x = x, reading.dtype = dtype;
    const int shares = share_out(read_values, &reading, numel);
    write_total(reading.values, shares, numel, row);
}

static void summarize_update_shared(const void *new, void *old, size_t numel, Dtype dtype, double row[COLUMN_COUNT],
                                    double change[COLUMN_COUNT])
{
    Reading reading;
    reading.x = new, reading.old = old, reading.dtype = dtype;
    const int shares = share_out(read_update, &reading, numel);
    write_total(reading.values, shares, numel, row);
    write_total(reading.changes, shares, numel, change);
}

static double square_sum_shared(const void *x, size_t numel, Dtype dtype)
{
    Reading reading;
    reading.x = x, reading.dtype = dtype;
    const int shares = share_out(read_squares, &reading, numel);
    double sum = 0;
    for (int i = 0; i < shares; i++)
        sum += reading.squares[i];
    return sum;
}

#endif
