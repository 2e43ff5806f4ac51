"""Builds the optional native part; everything else is declared in pyproject.toml."""

import pathlib
import sys
from collections.abc import Sequence

from setuptools import Extension, setup

OPTIMISE = (
    ["/O2", "/std:c11"]
    if sys.platform == "win32"
    else ["-std=c11", "-O3", "-funroll-loops", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math"]
)

FUSE = [] if sys.platform == "win32" else ["-ffp-contract=fast"]
"""A product and the sum it goes into take one instruction, rounded once; ISO C leaves that out unless asked."""


def _extension(package: str, options: Sequence[str] = ()) -> Extension:
    return Extension(
        f"deepseek.kernels.{package}._native",
        sources=[f"kernels/{package}/native.c"],
        depends=sorted(map(str, pathlib.Path("kernels").glob("**/*.h"))),
        define_macros=[("Py_LIMITED_API", "0x030B0000")],
        extra_compile_args=[*OPTIMISE, *options],
        py_limited_api=True,
        optional=True,  # without a compiler pure torch computes the same
    )


setup(
    ext_modules=[_extension("summary"), _extension("sparse", FUSE)],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
