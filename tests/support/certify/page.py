"""The page that shows the matrix."""

import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from certify.matrix import MODES
from certify.models import MODELS

PATH = Path(__file__).parents[3] / "docs" / "non-interference.md"
EQUAL, DIFFERENT, UNFIT = "=", "≠", "-"

INTRODUCTION = """\
# Watching changes nothing

<!-- Written by `make certify`; do not edit. -->

Each cell below is a model that was trained in one way from the same seeds: once bare, and once for each way of watching
it with `deepseek.inspect`. `=` says that both trainings agree **to the last bit** in

- the loss of every step, and every gradient after every step;
- all parameters and buffers at the end, and all tensors and numbers in the state of the optimizers;
- the state of the random generators of torch, Python and numpy;
- what the trained model answers in evaluation, and what it answered or generated on the way;
- the hooks, attributes and global settings that are left after `close()`: none of ours;
- what was printed, logged or warned: nothing of ours.

`≠` says that something differed; `-` that torch does not allow the mode for this model, that the mode does not apply to
it, or that the cell is left out because compiling and distributed training take long. Every cell is watched with
`every=1` and all kinds of tensors; every fourth one also with `every=3`, every fourth with the default budget, every
fourth while layers are looked at closely, and one column with two sessions at once. The models are small, so that all
of it takes minutes. Batches are drawn anew in each step, so that a single stolen random number shows.

To repeat it: `make certify` runs all of it and writes this page; `make test` runs a third.
"""


def write(results: Mapping[tuple[str, str], list[str]], trainings: int) -> str:
    """Write the page; ``results`` holds, per cell, what differed. Return its summary."""
    summary = _summary(results, trainings)
    parts = [INTRODUCTION, summary, _machine(), "\n".join(_table(results)), "\n".join(_differences(results)), _unfit()]
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text("\n\n".join(part.strip() for part in parts if part) + "\n")
    return summary


def _summary(results: Mapping[Any, list[str]], trainings: int) -> str:
    equal = sum(not found for found in results.values())
    share = f"{100 * equal / len(results):.4g} %" if equal == len(results) else f"{100 * equal / len(results):.2f} %"
    return (
        f"**{equal} of {len(results)} cells are bit-equal ({share})**: {len(MODELS)} models, {len(MODES)} modes, "
        f"{trainings} watched trainings compared with bare ones."
    )


def _machine() -> str:
    return (
        f"Measured with torch {torch.__version__}, transformers {transformers.__version__}, numpy {np.__version__}, "
        f"Python {platform.python_version()} on {platform.system()} {platform.machine()} "
        f"({torch.backends.cpu.get_cpu_capability()}, 1 to 2 threads)."
    )


def _table(results: Mapping[tuple[str, str], list[str]]) -> Iterator[str]:
    yield "| | " + " | ".join(MODES) + " |"
    yield "|---" + "|:-:" * len(MODES) + "|"
    for model in MODELS:
        yield f"| {model} | " + " | ".join(_mark(results.get((model, mode))) for mode in MODES) + " |"


def _mark(found: list[str] | None) -> str:
    return UNFIT if found is None else DIFFERENT if found else EQUAL


def _differences(results: Mapping[tuple[str, str], list[str]]) -> Iterator[str]:
    differing = {cell: found for cell, found in results.items() if found}
    if differing:
        yield "## What differed\n"
    for (model, mode), found in differing.items():
        yield from (f"- {model}, {mode}: {said.splitlines()[-1]}" for said in found)


def _unfit() -> str:
    lines = [f"- {name}, {mode}: {why}." for name, case in MODELS.items() for mode, why in case.unfit.items()]
    return "## What torch does not allow\n\n" + "\n".join(lines)
