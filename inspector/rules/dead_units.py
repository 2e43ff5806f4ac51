"""Units that no gradient reaches any more."""

from collections.abc import Iterable

import numpy as np

from deepseek.inspector.probes.gradient import UNIT_WINDOW
from deepseek.inspector.record import Finding, Severity, Site
from deepseek.inspector.rules.window import Window, median

WARNING_FRAC = 0.2
ERROR_FRAC = 0.8
"""Shares of a layer's units from which on dead ones are a warning, and an error."""

FEWEST_SAMPLES = 256
"""Samples that must have passed without a gradient before a unit counts as dead."""

_RECTIFIERS = ("ReLU", "ReLU6", "Hardswish", "Hardtanh", "Threshold")


def dead_units(window: Window) -> Iterable[Finding]:
    """Judge the layers whose window of units became full in the newest step.

    A unit is dead when its row of the weight's gradient was exactly zero in every backward pass of the window. A
    layer whose whole gradient is zero because nothing behind it learns either is the business of another rule.
    """
    frame = window.newest.frames.get("unit")
    if frame is None:
        return
    dead = median(window.column("unit", "zero_frac", [window.newest]))
    last = max(frame.site.tolist(), key=lambda site: window.sites[site].order)
    samples = _samples(window)
    for site_id in dict.fromkeys(frame.site.tolist()):
        site = window.sites[site_id]
        enough = samples.get(site.module, FEWEST_SAMPLES) >= FEWEST_SAMPLES
        if dead[site_id] >= WARNING_FRAC and enough and not (site_id == last or dead[last] == 1):
            yield _finding(window, site, float(dead[site_id]), samples.get(site.module))


def _samples(window: Window) -> dict[str, int]:
    """Map each module to the samples it saw during a window of units, as far as its outputs tell."""
    return {
        window.sites[site].module: shape[0] * UNIT_WINDOW
        for site, shape in window.shapes("activation").items()
        if shape
    }


def _finding(window: Window, site: Site, dead: float, samples: int | None) -> Finding:
    units = window.shapes("unit")[site.id][0]
    severity: Severity = "error" if dead >= ERROR_FRAC else "warning"
    evidence: dict[str, float | str] = {
        "dead_units": float(round(dead * units)),
        "units": float(units),
        "dead_frac": dead,
        "threshold": WARNING_FRAC,
        "backward_passes": float(UNIT_WINDOW),
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
            f"{round(dead * units)} of {units} units of {site.module} received no gradient in "
            f"{UNIT_WINDOW} backward passes: they have stopped learning."
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
    everything = [*window.baseline, *window.records]
    updates, values = (window.column(kind, "l2", everything) for kind in ("update", "parameter"))
    own = [other.id for other in window.sites if other.module == site.module and other.role == "parameter"]
    ratios = np.divide(updates, values, out=np.full_like(values, np.nan), where=values > 0)[:, own]
    return float(np.nanmax(ratios)) if np.isfinite(ratios).any() else float("nan")
