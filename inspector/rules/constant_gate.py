"""Sparse gates that decide the same for every input."""

from collections.abc import Iterable

import numpy as np

from deepseek.inspector.record import Finding, UnitCounts
from deepseek.inspector.rules.window import Window

GATE = "SparseGate"
"""Class name of the modules whose outputs are decisions."""

FEWEST_SAMPLES = 256


def constant_gate(window: Window) -> Iterable[Finding]:
    """Judge the gates whose window of decisions became full in the newest step.

    A gate is constant when each of its blocks was open for every sample of the window, or closed for every one.
    """
    for counts in window.newest.units:
        if window.sites[counts.site].type == GATE and is_constant(counts):
            yield _finding(window, counts, int(np.count_nonzero(counts.active == 0)))


def is_constant(counts: UnitCounts) -> bool:
    """Whether a gate opened the same blocks for every sample of a window that is long enough to tell."""
    same = (counts.active == counts.samples) | (counts.active == 0)
    return counts.samples >= FEWEST_SAMPLES and bool(same.all())


def _finding(window: Window, counts: UnitCounts, closed: int) -> Finding:
    site, blocks = window.sites[counts.site], len(counts.active)
    return Finding(
        rule="constant_gate",
        severity="warning",
        site=site.name,
        step=window.newest.step,
        message=(
            f"{site.name} opened the same {blocks - closed} of {blocks} blocks for all of {counts.samples:,} samples."
        ),
        evidence={
            "blocks": float(blocks),
            "always_closed": float(closed),
            "samples": float(counts.samples),
            "closed_blocks": ", ".join(map(str, np.flatnonzero(counts.active == 0)[:10].tolist())),
        },
        cause=_cause(blocks, closed),
        fix=_fix(closed),
    )


def _cause(blocks: int, closed: int) -> str:
    if closed == 0:
        return "The gate has not learned to close: nothing asks it to save, or its layer needs everything."
    if closed == blocks:
        return "The gate has closed for good: its layer is of no use, or the budget is too tight at once."
    return "The gate does not look at its input: one choice of blocks serves every sample."


def _fix(closed: int) -> str:
    if closed == 0:
        return "Teach it with deepseek.kernels.fit_gates, or with a smaller `target`; or use a plain layer here."
    return (
        "Cut the closed blocks off for good, which saves the gate as well; or let it learn again, with a larger "
        "`target` or `spread` of deepseek.kernels.fit_gates."
    )
