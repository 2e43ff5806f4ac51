/* deepseek.kernels.summary._native: one pass over a tensor's memory, in the best instruction set of this machine.

   Addresses come from Python as integers; op.py has checked dtype, layout and size before it calls. */

#include <Python.h>
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
#include "passes.h"
#undef TARGET
#undef SET
#endif

#ifdef HAVE_X86_SETS
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
    void (*summarize)(const void *new, const void *old, size_t numel, Dtype dtype, double *row);
} InstructionSet;

/* From the best to the one that always works. */
static const InstructionSet SETS[] = {
#ifdef HAVE_X86_SETS
    {"avx512", has_avx512, summarize_row_avx512},
    {"avx2", has_avx2, summarize_row_avx2},
#endif
#if defined(__aarch64__) || defined(_M_ARM64)
    {"neon", always, summarize_row_base},
#else
    {"scalar", always, summarize_row_base},
#endif
};

enum { SET_COUNT = sizeof SETS / sizeof SETS[0], RELEASE_GIL_ABOVE = 16384 };

static const InstructionSet *chosen;

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

static void count_rows(const void *matrix, size_t rows, size_t row_bytes, uint64_t magnitudes, float *counts)
{
    for (size_t r = 0; r < rows; r++)
        counts[r] += (float)has_nonzero((const unsigned char *)matrix + r * row_bytes, row_bytes, magnitudes);
}

static PyObject *as_row(const void *new, const void *old, Py_ssize_t numel, long dtype)
{
    double row[COLUMN_COUNT];
    if (numel < 0 || dtype < 0 || dtype >= DTYPE_COUNT) {
        PyErr_SetString(PyExc_ValueError, "expected numel >= 0 and a dtype code of this module");
        return NULL;
    }
    if (numel > RELEASE_GIL_ABOVE) {
        Py_BEGIN_ALLOW_THREADS
        chosen->summarize(new, old, (size_t)numel, (Dtype)dtype, row);
        Py_END_ALLOW_THREADS
    } else {
        chosen->summarize(new, old, (size_t)numel, (Dtype)dtype, row);
    }
    return PyBytes_FromStringAndSize((const char *)row, sizeof row);
}

static int expect_arguments(Py_ssize_t got, Py_ssize_t expected)
{
    if (got != expected)
        PyErr_Format(PyExc_TypeError, "expected %zd arguments, got %zd", expected, got);
    return got == expected;
}

/* An address of zero (a tensor without memory) is refused where there is anything to read. */
static const void *as_address(PyObject *number, Py_ssize_t numel)
{
    void *address = PyLong_AsVoidPtr(number);
    if (!address && numel > 0 && !PyErr_Occurred())
        PyErr_SetString(PyExc_RuntimeError, "the tensor has no memory");
    return address;
}

static PyObject *summarize(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    (void)module;
    if (!expect_arguments(count, 3))
        return NULL;
    const Py_ssize_t numel = PyLong_AsSsize_t(arguments[1]);
    const long dtype = PyLong_AsLong(arguments[2]);
    const void *new = as_address(arguments[0], numel);
    return PyErr_Occurred() ? NULL : as_row(new, NULL, numel, dtype);
}

static PyObject *summarize_difference(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    (void)module;
    if (!expect_arguments(count, 4))
        return NULL;
    const Py_ssize_t numel = PyLong_AsSsize_t(arguments[2]);
    const long dtype = PyLong_AsLong(arguments[3]);
    const void *new = as_address(arguments[0], numel);
    const void *old = PyErr_Occurred() ? NULL : as_address(arguments[1], numel);
    return PyErr_Occurred() ? NULL : as_row(new, old, numel, dtype);
}

static PyObject *zero_rows(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    static const struct { size_t bytes; uint64_t magnitudes; } ELEMENTS[DTYPE_COUNT] = {
        [FLOAT32] = {4, 0x7fffffff7fffffff},
        [FLOAT64] = {8, 0x7fffffffffffffff},
        [FLOAT16] = {2, 0x7fff7fff7fff7fff},
        [BFLOAT16] = {2, 0x7fff7fff7fff7fff},
    };
    (void)module;
    if (!expect_arguments(count, 5))
        return NULL;
    const Py_ssize_t rows = PyLong_AsSsize_t(arguments[1]), columns = PyLong_AsSsize_t(arguments[2]);
    const long dtype = PyLong_AsLong(arguments[3]);
    const void *matrix = PyErr_Occurred() ? NULL : as_address(arguments[0], rows * columns);
    float *counts = PyErr_Occurred() ? NULL : (float *)as_address(arguments[4], rows);
    if (PyErr_Occurred())
        return NULL;
    if (rows < 0 || columns < 0 || dtype < 0 || dtype >= DTYPE_COUNT) {
        PyErr_SetString(PyExc_ValueError, "expected rows >= 0, columns >= 0 and a dtype code of this module");
        return NULL;
    }
    count_rows(matrix, (size_t)rows, (size_t)columns * ELEMENTS[dtype].bytes, ELEMENTS[dtype].magnitudes, counts);
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
#ifdef HAVE_X86_SETS
    __builtin_cpu_init();
#endif
    chosen = SETS;
    while (!chosen->is_available())
        chosen++;
    return 0;
}

static PyMethodDef METHODS[] = {
    {"summarize", (PyCFunction)(void (*)(void))summarize, METH_FASTCALL,
     "summarize(address, numel, dtype_code) -> the 12 columns as bytes"},
    {"summarize_difference", (PyCFunction)(void (*)(void))summarize_difference, METH_FASTCALL,
     "summarize_difference(new_address, old_address, numel, dtype_code) -> the 12 columns of new - old as bytes"},
    {"zero_rows", (PyCFunction)(void (*)(void))zero_rows, METH_FASTCALL,
     "zero_rows(address, rows, columns, dtype_code, counts_address): add 1 to the count of each row with a nonzero"},
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
