/* deepseek.kernels.summary._native: one pass over a tensor's memory, in the best instruction set of this machine.

   Addresses come from Python as integers; the modules that call have checked dtype, layout and size before. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "live_rows.h"
#include "sets.h"
#include "shared.h"
#include "tensors.h"

/* Getting the lock back may take a busy thread's whole switch interval: worth it only for what takes long itself. */
enum { RELEASE_GIL_ABOVE = 1 << 20 };

#define WITHOUT_GIL(numel, work)          \
    do {                                  \
        if ((numel) > RELEASE_GIL_ABOVE) { \
            Py_BEGIN_ALLOW_THREADS        \
            work;                         \
            Py_END_ALLOW_THREADS          \
        } else {                          \
            work;                         \
        }                                 \
    } while (0)

static int expect_arguments(Py_ssize_t got, Py_ssize_t expected)
{
    if (got != expected)
        PyErr_Format(PyExc_TypeError, "expected %zd arguments, got %zd", expected, got);
    return got == expected;
}

/* The converters below leave the first error standing, so that one question at the end is enough. */
static Py_ssize_t as_size(PyObject *number)
{
    const Py_ssize_t size = PyErr_Occurred() ? 0 : PyLong_AsSsize_t(number);
    if (size < 0 && !PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "expected sizes of at least 0");
    return size;
}

static Dtype as_dtype(PyObject *number)
{
    const long code = PyErr_Occurred() ? 0 : PyLong_AsLong(number);
    if ((code < 0 || code >= DTYPE_COUNT) && !PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "expected a dtype code of this module");
    return (Dtype)code;
}

/* An address of zero (a tensor without memory) is refused where there is anything to read. */
static void *as_address(PyObject *number, Py_ssize_t numel)
{
    void *address = PyErr_Occurred() ? NULL : PyLong_AsVoidPtr(number);
    if (!address && numel > 0 && !PyErr_Occurred())
        PyErr_SetString(PyExc_RuntimeError, "the tensor has no memory");
    return address;
}

static PyObject *as_row(const void *x, Py_ssize_t numel, Dtype dtype)
{
    double row[COLUMN_COUNT];
    WITHOUT_GIL(numel, summarize_shared(x, (size_t)numel, dtype, row));
    return PyBytes_FromStringAndSize((const char *)row, sizeof row);
}

static PyObject *as_two_rows(const void *new, void *old, Py_ssize_t numel, Dtype dtype)
{
    double row[COLUMN_COUNT], change[COLUMN_COUNT];
    WITHOUT_GIL(numel, summarize_update_shared(new, old, (size_t)numel, dtype, row, change));
    return Py_BuildValue("(y#y#)", (char *)row, (Py_ssize_t)sizeof row, (char *)change, (Py_ssize_t)sizeof change);
}

static PyObject *summarize(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    (void)module;
    if (!expect_arguments(count, 3))
        return NULL;
    const Py_ssize_t numel = as_size(arguments[1]);
    const Dtype dtype = as_dtype(arguments[2]);
    const void *x = as_address(arguments[0], numel);
    return PyErr_Occurred() ? NULL : as_row(x, numel, dtype);
}

static PyObject *summarize_update(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    (void)module;
    if (!expect_arguments(count, 4))
        return NULL;
    const Py_ssize_t numel = as_size(arguments[2]);
    const Dtype dtype = as_dtype(arguments[3]);
    const void *new = as_address(arguments[0], numel);
    void *old = as_address(arguments[1], numel);
    return PyErr_Occurred() ? NULL : as_two_rows(new, old, numel, dtype);
}

static PyObject *summarize_tensor(PyObject *module, PyObject *tensor)
{
    Dense x;
    (void)module;
    if (!find_dense(tensor, &x))
        Py_RETURN_NONE;
    return as_row(start_of(&x), x.numel, x.dtype);
}

static PyObject *update_tensor(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    Dense new, old;
    (void)module;
    if (!expect_arguments(count, 2))
        return NULL;
    if (!find_dense(arguments[0], &new) || !find_dense(arguments[1], &old) || !have_same_layout(&new, &old))
        Py_RETURN_NONE;
    return as_two_rows(start_of(&new), (void *)start_of(&old), new.numel, new.dtype);
}

static double sum_squares(const Dense *tensors, Py_ssize_t count)
{
    double sum = 0;
    for (Py_ssize_t i = 0; i < count; i++)
        sum += square_sum_shared(start_of(&tensors[i]), (size_t)tensors[i].numel, tensors[i].dtype);
    return sum;
}

/* Sums what may be read in place; the list keeps the other tensors. */
static PyObject *take_square_sum(PyObject *module, PyObject *list)
{
    double sum = 0;
    Py_ssize_t found = 0, total = 0, count = PyList_Size(list);
    (void)module;
    if (count < 0)
        return NULL;
    Dense *tensors = PyMem_Malloc((size_t)count * sizeof *tensors);
    PyObject *others = PyList_New(0);
    for (Py_ssize_t i = 0; tensors && others && i < count; i++) {
        PyObject *tensor = PyList_GetItem(list, i);
        if (find_dense(tensor, &tensors[found]))
            total += tensors[found++].numel;
        else if (PyList_Append(others, tensor) < 0)
            Py_CLEAR(others);
    }
    if (tensors && others) {
        WITHOUT_GIL(total, sum = sum_squares(tensors, found));
    } else if (others) {
        PyErr_NoMemory();
        Py_CLEAR(others);
    }
    PyMem_Free(tensors);
    return others ? Py_BuildValue("(dN)", sum, others) : NULL;
}

/* The tensor classes, torch.strided, Tensor.is_neg, and the table of Tensor.__dlpack_c_exchange_api__. */
static PyObject *connect(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    (void)module;
    if (!expect_arguments(count, 5))
        return NULL;
    const ExchangeTable *table = PyCapsule_GetPointer(arguments[4], "dlpack_exchange_api");
    if (!table)
        return NULL;
    if (table->major == 1 && table->describe && !torch.table) {
        torch.tensor = Py_NewRef(arguments[0]);
        torch.parameter = Py_NewRef(arguments[1]);
        torch.strided = Py_NewRef(arguments[2]);
        torch.is_neg = Py_NewRef(arguments[3]);
        torch.table = table;
    }
    Py_RETURN_NONE;
}

static PyObject *square_sum(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    double sum = 0;
    (void)module;
    if (!expect_arguments(count, 3))
        return NULL;
    const Py_ssize_t numel = as_size(arguments[1]);
    const Dtype dtype = as_dtype(arguments[2]);
    const void *x = as_address(arguments[0], numel);
    if (PyErr_Occurred())
        return NULL;
    WITHOUT_GIL(numel, sum = square_sum_shared(x, (size_t)numel, dtype));
    return PyFloat_FromDouble(sum);
}

static PyObject *count_units(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    (void)module;
    if (!expect_arguments(count, 11))
        return NULL;
    const Py_ssize_t outer = as_size(arguments[1]), units = as_size(arguments[2]), inner = as_size(arguments[3]);
    Activations a = {NULL, (size_t)outer, (size_t)units, (size_t)inner, as_dtype(arguments[4]), {0}};
    a.data = as_address(arguments[0], outer * units * inner);
    for (int i = 0; i < 4; i++)
        a.bounds[i] = PyErr_Occurred() ? 0.0 : PyFloat_AsDouble(arguments[5 + i]);
    int32_t *active = as_address(arguments[9], units), *saturated = as_address(arguments[10], units);
    if (PyErr_Occurred())
        return NULL;
    WITHOUT_GIL(outer * units * inner, chosen->count_units(&a, active, saturated));
    Py_RETURN_NONE;
}

static PyObject *count_live_rows(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    (void)module;
    if (!expect_arguments(count, 5))
        return NULL;
    const Py_ssize_t rows = as_size(arguments[1]), columns = as_size(arguments[2]);
    const Dtype dtype = as_dtype(arguments[3]);
    const void *matrix = as_address(arguments[0], rows * columns);
    int32_t *counts = as_address(arguments[4], rows);
    if (PyErr_Occurred())
        return NULL;
    count_rows(matrix, (size_t)rows, (size_t)columns, dtype, counts);
    Py_RETURN_NONE;
}

static PyObject *instruction_set(PyObject *module, PyObject *nothing)
{
    (void)module, (void)nothing;
    return PyUnicode_FromString(chosen->name);
}

static PyObject *instruction_sets(PyObject *module, PyObject *nothing)
{
    (void)module, (void)nothing;
    PyObject *names = PyList_New(0);
    for (int i = 0; names && i < SET_COUNT; i++) {
        PyObject *name = SETS[i].is_available() ? PyUnicode_FromString(SETS[i].name) : NULL;
        if (name && PyList_Append(names, name) < 0)
            Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

static PyObject *use(PyObject *module, PyObject *name)
{
    (void)module;
    for (int i = 0; i < SET_COUNT; i++) {
        if (SETS[i].is_available() && PyUnicode_CompareWithASCIIString(name, SETS[i].name) == 0) {
            chosen = &SETS[i];
            Py_RETURN_NONE;
        }
    }
    PyErr_Format(PyExc_ValueError, "expected one of instruction_sets(), got %R", name);
    return NULL;
}

static int choose(PyObject *module)
{
    (void)module;
    choose_best();
    forget_threads_in_forks();
    return 0;
}

static PyMethodDef METHODS[] = {
    {"summarize", (PyCFunction)(void (*)(void))summarize, METH_FASTCALL,
     "summarize(address, numel, dtype_code) -> the 12 columns as bytes"},
    {"summarize_update", (PyCFunction)(void (*)(void))summarize_update, METH_FASTCALL,
     "summarize_update(new_address, old_address, numel, dtype_code) -> the columns of new, and of new - old"},
    {"connect", (PyCFunction)(void (*)(void))connect, METH_FASTCALL,
     "connect(Tensor, Parameter, strided, is_neg, exchange_table): needed by the three below"},
    {"share_threads", (PyCFunction)(void (*)(void))share_threads, METH_FASTCALL,
     "share_threads(GOMP_parallel, omp_get_max_threads, omp_get_thread_num, omp_get_num_threads): the addresses of the "
     "OpenMP whose threads long reads are shared among"},
    {"summarize_tensor", summarize_tensor, METH_O,
     "summarize_tensor(tensor) -> as summarize, None if the tensor cannot be read in place"},
    {"update_tensor", (PyCFunction)(void (*)(void))update_tensor, METH_FASTCALL,
     "update_tensor(new, old) -> as summarize_update, None if they cannot be read in place"},
    {"take_square_sum", take_square_sum, METH_O,
     "take_square_sum(tensors) -> the sum of squares of those that can be read in place, and a list of the others"},
    {"square_sum", (PyCFunction)(void (*)(void))square_sum, METH_FASTCALL,
     "square_sum(address, numel, dtype_code) -> the sum of squares"},
    {"count_units", (PyCFunction)(void (*)(void))count_units, METH_FASTCALL,
     "count_units(address, outer, units, inner, dtype_code, dead_low, dead_high, saturated_low, saturated_high, "
     "active_address, saturated_address): add to the int32 counts of each unit"},
    {"count_live_rows", (PyCFunction)(void (*)(void))count_live_rows, METH_FASTCALL,
     "count_live_rows(address, rows, columns, dtype_code, counts_address): add 1 to the int32 count of each row with "
     "a nonzero"},
    {"instruction_set", instruction_set, METH_NOARGS, "instruction_set() -> name of the one in use"},
    {"instruction_sets", instruction_sets, METH_NOARGS, "instruction_sets() -> names that work here, best first"},
    {"use", use, METH_O, "use(name): compute with this instruction set from now on"},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot SLOTS[] = {{Py_mod_exec, (void *)choose}, {0, NULL}};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, .m_name = "_native", .m_size = 0, .m_methods = METHODS, .m_slots = SLOTS};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&MODULE);
}
