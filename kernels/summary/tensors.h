/* Where the elements of a Python tensor lie, asked of torch through the DLPack exchange table (torch 2.10 and later):
   one call in C instead of eight questions in Python. */

#ifndef DEEPSEEK_TENSORS_H
#define DEEPSEEK_TENSORS_H

#include <Python.h>
#include <string.h>

#include "moments.h"

/* DLPack 1.x, dlpack.h. */
typedef struct {
    void *data;
    int32_t device_type, device_id, ndim;
    uint8_t code, bits;
    uint16_t lanes;
    int64_t *shape, *strides;
    uint64_t byte_offset;
} DLTensor;

typedef struct {
    uint32_t major, minor;
    void *older;
    void (*allocate)(void), (*export_managed)(void), (*import_managed)(void);
    int (*describe)(void *object, DLTensor *out);
} ExchangeTable;

enum { ON_CPU = 1, CODE_FLOAT = 2, CODE_BRAIN_FLOAT = 4 };

typedef struct {
    DLTensor layout;
    Py_ssize_t numel;
    Dtype dtype;
} Dense;

/* What torch told in `connect`; nothing is read in place before. */
static struct {
    const ExchangeTable *table;
    PyObject *tensor, *parameter, *strided, *is_neg;
} torch;

static int find_dtype(const DLTensor *x, Dtype *dtype)
{
    if (x->lanes == 1 && x->code == CODE_BRAIN_FLOAT && x->bits == 16)
        *dtype = BFLOAT16;
    else if (x->lanes == 1 && x->code == CODE_FLOAT && x->bits >= 16 && x->bits <= 64)
        *dtype = x->bits == 32 ? FLOAT32 : x->bits == 64 ? FLOAT64 : FLOAT16;
    else
        return 0;
    return 1;
}

/* Whether the elements fill one piece of memory without gaps or overlaps, in whatever order. */
static int fills_memory(const DLTensor *x, Py_ssize_t numel)
{
    int64_t expected = 1;
    for (int found = 1; found && expected != numel;) {
        found = 0;
        for (int d = x->ndim - 1; d >= 0 && !found; d--) {
            found = x->shape[d] != 1 && x->strides[d] == expected;
            expected *= found ? x->shape[d] : 1;
        }
    }
    return expected == numel;
}

static int is_ordinary(PyObject *tensor)
{
    PyObject *type = (PyObject *)Py_TYPE(tensor);
    if (!torch.table || (type != torch.tensor && type != torch.parameter))
        return 0;
    PyObject *layout = PyObject_GetAttrString(tensor, "layout");
    PyObject *negative = layout == torch.strided ? PyObject_CallFunctionObjArgs(torch.is_neg, tensor, NULL) : NULL;
    Py_XDECREF(layout);
    Py_XDECREF(negative);
    return negative == Py_False;
}

/* Whether the tensor may be read where it is; no exception is left behind. */
static int find_dense(PyObject *tensor, Dense *dense)
{
    DLTensor *x = &dense->layout;
    if (!is_ordinary(tensor) || torch.table->describe(tensor, x) != 0) {
        PyErr_Clear();
        return 0;
    }
    dense->numel = 1;
    for (int d = 0; d < x->ndim; d++)
        dense->numel *= x->shape[d];
    return x->device_type == ON_CPU && x->data && (x->strides || x->ndim == 0) && dense->numel > 0 && find_dtype(x, &dense->dtype) &&
           fills_memory(x, dense->numel);
}

static int have_same_layout(const Dense *a, const Dense *b)
{
    const size_t bytes = (size_t)a->layout.ndim * sizeof(int64_t);
    return a->dtype == b->dtype && a->layout.ndim == b->layout.ndim &&
           memcmp(a->layout.shape, b->layout.shape, bytes) == 0 &&
           memcmp(a->layout.strides, b->layout.strides, bytes) == 0;
}

static const char *start_of(const Dense *dense)
{
    return (const char *)dense->layout.data + dense->layout.byte_offset;
}

#endif
