/* deepseek.kernels.sparse._native: gated feed-forward layers for rows of float32.

   Addresses come from Python as integers; the module that calls has checked dtype, layout and sizes before. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "gated_rows.h"

/* Fewer products than this are not worth a second thread. */
enum { SHARE = 1 << 17 };

/* Takes mask, weight, bias, hidden, x or y, rows, blocks, size, width. */
static int read_arguments(PyObject *const *arguments, Py_ssize_t count, Product *product)
{
    void *addresses[5];
    size_t sizes[4];
    if (count != 9) {
        PyErr_Format(PyExc_TypeError, "expected 9 arguments, got %zd", count);
        return 0;
    }
    for (int i = 0; i < 5; i++)
        addresses[i] = PyErr_Occurred() ? NULL : PyLong_AsVoidPtr(arguments[i]);
    for (int i = 0; i < 4; i++)
        sizes[i] = PyErr_Occurred() ? 0 : PyLong_AsSize_t(arguments[5 + i]);
    if (!PyErr_Occurred() && sizes[2] % TILE)
        PyErr_Format(PyExc_ValueError, "expected blocks that are multiples of %d", TILE);
    *product = (Product){addresses[0], sizes[0],     sizes[1],     sizes[2],     sizes[3],
                         addresses[1], addresses[2], addresses[4], addresses[4], addresses[3]};
    return !PyErr_Occurred();
}

static PyObject *compute(PyObject *const *arguments, Py_ssize_t count, Share work)
{
    Product product;
    if (!read_arguments(arguments, count, &product))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    for (size_t first = 0; first < product.rows; first += PANEL) {
        Product panel = product;
        size_t wanting[PANEL], pairs = 0;
        panel.rows = least(product.rows - first, PANEL);
        panel.mask += first * product.blocks;
        panel.x += first * product.width;
        panel.y += first * product.width;
        for (size_t block = 0; block < panel.blocks; block++)
            pairs += find_wanting(&panel, block, wanting);
        share_work(work, &panel, pairs * product.size * product.width / SHARE + 1);
        product.hidden += pairs * product.size;
    }
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *hidden(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    (void)module;
    return compute(arguments, count, compute_hidden);
}

static PyObject *output(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    (void)module;
    return compute(arguments, count, compute_output);
}

static int choose(PyObject *module)
{
    (void)module;
    choose_tiles();
    forget_threads_in_forks();
    return 0;
}

static PyObject *has_wide_vectors(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    return PyBool_FromLong(wide_vectors);
}

static PyMethodDef METHODS[] = {
    {"hidden", (PyCFunction)(void (*)(void))hidden, METH_FASTCALL,
     "hidden(mask, weight, bias, hidden, x, rows, blocks, size, width): writes weight x + bias of the wanted blocks"},
    {"output", (PyCFunction)(void (*)(void))output, METH_FASTCALL,
     "output(mask, weight, bias, hidden, y, rows, blocks, size, width): writes what the wanted blocks add to bias"},
    {"share_threads", (PyCFunction)(void (*)(void))share_threads, METH_FASTCALL,
     "share_threads(GOMP_parallel, omp_get_max_threads, omp_get_thread_num, omp_get_num_threads): their addresses"},
    {"has_wide_vectors", has_wide_vectors, METH_NOARGS,
     "has_wide_vectors() -> whether this machine computes eight or sixteen numbers at once"},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot SLOTS[] = {{Py_mod_exec, (void *)choose}, {0, NULL}};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, .m_name = "_native", .m_size = 0, .m_methods = METHODS, .m_slots = SLOTS};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&MODULE);
}
