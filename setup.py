"""Builds the optional native part; everything else is declared in pyproject.toml."""

import pathlib
import sys

from setuptools import Extension, setup

OPTIMISE = (
    ["/O2", "/std:c11"]
    if sys.platform == "win32"
    else ["-std=c11", "-O3", "-funroll-loops", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math"]
)

SUMMARY = Extension(
    "deepseek.kernels.summary._native",
    sources=["kernels/summary/native.c"],
    depends=sorted(map(str, pathlib.Path("kernels/summary").glob("*.h"))),
    define_macros=[("Py_LIMITED_API", "0x030B0000")],
    extra_compile_args=OPTIMISE,
    py_limited_api=True,
    optional=True,  # without a compiler the pure-torch path computes the same rows
)

setup(ext_modules=[SUMMARY], options={"bdist_wheel": {"py_limited_api": "cp311"}})
