"""Units that sit at a limit of their activation function."""

from collections.abc import Iterable

import numpy as np

from deepseek.inspector.record import Finding, UnitCounts
from deepseek.inspector.rules.window import Window

WARNING_FRAC = 0.2
"""Share of a layer's units from which on saturated ones are worth a warning."""

FEWEST_SAMPLES = 256


def saturated_units(window: Window) -> Iterable[Finding]:
    """Judge the activation functions whose window of units became full in the newest step.

    A unit is saturated when every output of the window lay within 1 % of a limit of its function, where the slope is
    next to nothing. The last function of a model is left out: a classifier that is sure of itself saturates there.
    """
    last = max((site.order for site in window.sites if site.role == "module"), default=0)
    for counts in window.newest.units:
        site = window.sites[counts.site]
        if site.role == "module" and site.order < last and counts.samples >= FEWEST_SAMPLES:
            share = float(np.mean(counts.saturated == counts.samples))
            if share >= WARNING_FRAC:
                yield _finding(window, counts, share)


def _finding(window: Window, counts: UnitCounts, share: float) -> Finding:
    site, units = window.sites[counts.site], len(counts.saturated)
    saturated = np.flatnonzero(counts.saturated == counts.samples)
    return Finding(
        rule="saturated_units",
        severity="warning",
        site=site.name,
        step=window.newest.step,
        message=(
            f"{len(saturated)} of {units} units of {site.name} were at a limit of {site.type} for all of "
            f"{counts.samples:,} samples: hardly any gradient passes them."
        ),
        evidence={
            "saturated_units": float(len(saturated)),
            "units": float(units),
            "saturated_frac": share,
            "samples": float(counts.samples),
            "threshold": WARNING_FRAC,
            "first_saturated_units": ", ".join(map(str, saturated[:10].tolist())),
        },
        cause="Its inputs are large for every sample: weights or inputs of too large a scale, or a bias.",
        fix=(
            "Standardise the inputs; put BatchNorm or LayerNorm before the function; initialise with "
            "xavier_uniform_; or use ReLU or GELU, which do not saturate upwards."
        ),
    )
