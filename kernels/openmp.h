/* The threads that torch computes with, shared by our native code: threads of our own would fight with them. */

#ifndef DEEPSEEK_OPENMP_H
#define DEEPSEEK_OPENMP_H

#include <Python.h>
#include <string.h>

#ifndef _WIN32
#include <pthread.h>
#endif

/* What torch's OpenMP told in `share_threads`, by the names of its binary interface; nothing is shared before. */
static struct {
    void (*parallel)(void (*work)(void *), void *data, unsigned threads, unsigned flags); /* GOMP_parallel */
    int (*max_threads)(void), (*thread_num)(void), (*num_threads)(void);                  /* omp_get_... */
} openmp;

static PyObject *share_threads(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    void *found[4];
    (void)module;
    if (count != 4)
        return PyErr_Format(PyExc_TypeError, "expected 4 arguments, got %zd", count);
    for (int i = 0; i < 4; i++) {
        found[i] = PyErr_Occurred() ? NULL : PyLong_AsVoidPtr(arguments[i]);
        if (!found[i] && !PyErr_Occurred())
            PyErr_SetString(PyExc_RuntimeError, "expected addresses of functions");
    }
    if (PyErr_Occurred())
        return NULL;
    memcpy(&openmp.max_threads, &found[1], sizeof found[1]);
    memcpy(&openmp.thread_num, &found[2], sizeof found[2]);
    memcpy(&openmp.num_threads, &found[3], sizeof found[3]);
    memcpy(&openmp.parallel, &found[0], sizeof found[0]);
    Py_RETURN_NONE;
}

/* Work on one of some shares. */
typedef void (*Share)(const void *task, size_t share, size_t shares);

typedef struct {
    Share work;
    const void *task;
    size_t shares;
} Shares;

/* There may be fewer threads than asked for. */
static void work_on_shares(void *data)
{
    const Shares *all = data;
    for (size_t share = (size_t)openmp.thread_num(); share < all->shares; share += (size_t)openmp.num_threads())
        all->work(all->task, share, all->shares);
}

/* Does the work, in at most so many threads; returns the number of shares. */
static size_t share_work(Share work, const void *task, size_t most)
{
    const size_t threads = openmp.parallel ? (size_t)openmp.max_threads() : 1;
    Shares all = {work, task, threads < most ? threads : most};
    if (all.shares > 1)
        openmp.parallel(work_on_shares, &all, (unsigned)all.shares, 0);
    else
        work(task, 0, 1);
    return all.shares > 1 ? all.shares : 1;
}

/* A forked process has none of the threads. */
static void forget_threads(void)
{
    openmp.parallel = NULL;
}

static void forget_threads_in_forks(void)
{
#ifndef _WIN32
    pthread_atfork(NULL, NULL, forget_threads);
#endif
}

#endif
