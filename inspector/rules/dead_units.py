"""Units that no gradient reaches any more."""

from collections.abc import Iterable

import numpy as np

from deepseek.inspector.record import Finding, Severity, Site, TensorKind, UnitCounts
from deepseek.inspector.rules.window import Window

WARNING_FRAC = 0.2
ERROR_FRAC = 0.8
"""Shares of a layer's units from which on dead ones are a warning, and an error."""

FEWEST_SAMPLES = 256
"""Samples that must have passed without a gradient before a unit counts as dead."""

_UPDATE_KINDS: tuple[TensorKind, TensorKind] = ("update", "parameter")

_RECTIFIERS = ("ReLU", "ReLU6", "Hardswish", "Hardtanh", "Threshold")


def dead_units(window: Window) -> Iterable[Finding]:
    """Judge the weights whose window of units became full in the newest step.

    A unit is dead when its row of the weight's gradient was exactly zero in every backward pass of the window. A
    layer whose whole gradient is zero because nothing behind it learns either is the business of another rule.
    """
    weights = [counts for counts in window.newest.units if window.sites[counts.site].role == "parameter"]
    if not weights:
        return
    last = max(weights, key=lambda counts: window.sites[counts.site].order)
    for counts in weights:
        samples = _samples(window, counts)
        enough = samples is None or samples >= FEWEST_SAMPLES
        hidden = counts is not last and bool(last.active.any())
        if dead_frac(counts) >= WARNING_FRAC and enough and hidden:
            yield _finding(window, counts, samples)


def dead_frac(counts: UnitCounts) -> float:
    """Share of the units that were never active."""
    return float(np.mean(counts.active == 0))


def _samples(window: Window, counts: UnitCounts) -> int | None:
    """Samples that the layer saw during a window of units, as far as its outputs tell."""
    module = window.sites[counts.site].module
    shapes = window.shapes("activation").items()
    batch = next((shape[0] for site, shape in shapes if shape and window.sites[site].module == module), None)
    return None if batch is None else batch * counts.samples


def _finding(window: Window, counts: UnitCounts, samples: int | None) -> Finding:
    site, units, share = window.sites[counts.site], len(counts.active), dead_frac(counts)
    severity: Severity = "error" if share >= ERROR_FRAC else "warning"
    dead = np.flatnonzero(counts.active == 0)
    evidence: dict[str, float | str] = {
        "dead_units": float(len(dead)),
        "units": float(units),
        "dead_frac": share,
        "threshold": WARNING_FRAC,
        "backward_passes": float(counts.samples),
        "first_dead_units": ", ".join(map(str, dead[:10].tolist())),
    }
    if samples is not None:
        evidence["samples"] = float(samples)
    update_ratio = _update_ratio(window, site)
    if not np.isnan(update_ratio):
        evidence["largest_update_ratio"] = update_ratio
    return Finding(
        rule="dead_units",
        severity=severity,
        site=site.module,
        step=window.newest.step,
        message=(
            f"{len(dead)} of {units} units of {site.module} received no gradient in "
            f"{counts.samples} backward passes: they have stopped learning."
        ),
        evidence=evidence,
        cause=_cause(window, site, update_ratio),
        fix=(
            "Lower the learning rate or warm it up; use LeakyReLU or GELU; initialise with kaiming_normal_ and zero "
            "bias; put normalisation before the activation. Dead units seldom recover by themselves."
        ),
    )


def _cause(window: Window, site: Site, update_ratio: float) -> str:
    behind = sorted(
        (other for other in window.sites if other.role == "module" and other.order > site.order),
        key=lambda other: other.order,
    )
    rectifier = next((other for other in behind[:3] if other.type in _RECTIFIERS), None)
    where = f"the {rectifier.type} at {rectifier.name}" if rectifier else "the rectifier behind the layer"
    text = f"The inputs of {where} are negative for every sample, so it passes on neither signal nor gradient"
    if update_ratio > 0.05:
        return f"{text}; updates as large as {update_ratio:.0%} of the weights threw them there."
    return f"{text}; usual reasons are a strongly negative bias, a bad initialisation or one too large update."


def _update_ratio(window: Window, site: Site) -> float:
    """Largest update relative to the parameter, over the module's parameters and the window; NaN when unknown."""
    updates, values = (
        np.concatenate([window.column(kind, "l2", window.baseline), window.column(kind, "l2")])
        for kind in _UPDATE_KINDS
    )
    own = [other.id for other in window.sites if other.module == site.module and other.role == "parameter"]
    ratios = np.divide(updates, values, out=np.full_like(values, np.nan), where=values > 0)[:, own]
    return float(np.nanmax(ratios)) if np.isfinite(ratios).any() else float("nan")
