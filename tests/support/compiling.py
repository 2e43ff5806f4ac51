"""Triton's compiler for GPUs, on machines that have none."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def compiles(kernel: Any, capability: int, types: dict[str, str], constants: dict[str, Any], **options: Any) -> bool:
    """Whether a kernel becomes code for a compute capability, in no more shared memory than small GPUs have.

    Args:
        kernel: Decorated with ``triton.jit`` while the interpreter was off.
        capability: Such as 80.
        types: Of its arguments that are not ``i32``.
        constants: Values of its arguments that are compiled in.
        options: Such as ``num_warps``.
    """
    from triton import compile as compiled
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = kernel.arg_names
    signature = {name: "constexpr" if name in constants else types.get(name, "i32") for name in names}
    values = {(names.index(name),): value for name, value in constants.items() if name in names}
    target = GPUTarget("cuda", capability, 32)
    found = compiled(ASTSource(kernel, signature, values), target=target, options=options)
    return f".target sm_{capability}" in found.asm["ptx"] and found.metadata.shared < 99 * 1024


def without_interpreter(script: str, cache: Path) -> subprocess.CompletedProcess[str]:
    """Run Python code that may import from this folder, with Triton's interpreter off."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    path = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    return subprocess.run(
        [sys.executable, "-I", "-c", path + script],
        env=environment | {"TRITON_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
