"""Gradients that shrink or grow out of proportion on their way through the layers, or over time."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from deepseek.inspector.record import Finding
from deepseek.inspector.rules.window import WINDOW_STEPS, Window, median

DEPTH_RATIO = 1e-3
"""A layer whose gradient is this much smaller than that of the layers behind it hardly learns."""

GROWTH = 1e3
"""A gradient that has grown this much since the first steps is running away."""

FEWEST_STEPS = 5
"""Observed steps that a judgement is based on at least, and steps between two judgements while the window fills."""

JUDGE_EVERY = 25
"""Observed steps between two judgements later on."""

_SATURATING = ("Sigmoid", "Tanh", "LogSigmoid", "Hardsigmoid", "Hardtanh", "Softsign", "Softmax")
_SPARSE = ("Embedding", "EmbeddingBag")


def vanishing_gradient(window: Window) -> Iterable[Finding]:
    """Compare each weight's gradient with the largest among the deeper layers.

    The measure is the root mean square of the gradient's elements, so that layers of any size compare; its median over
    the window must lie under ``DEPTH_RATIO`` times that of a layer nearer to the loss. Nothing absolute enters: a
    model trained with a tiny loss is not accused. A gradient that vanishes does so towards the input: a layer with
    something before it that learns well (the queries of an attention that is still uniform, behind an embedding) is
    accused only when no gradient at all reaches it. The finding names the weight nearest to the input.
    """
    if not _is_due(window):
        return
    everything = median(window.column("gradient", "rms"))
    weights, rms = _weights_by_depth(window, everything)
    if len(weights) < 3:
        return
    deeper = np.append(np.maximum.accumulate(rms[::-1])[::-1][1:], np.nan)
    ratio = np.divide(rms, deeper, out=np.full_like(rms, np.nan), where=deeper > 0)
    small = np.flatnonzero(ratio < DEPTH_RATIO)
    if len(small):
        first = int(small[0])
        before = [site.id for site in window.sites if site.order < window.sites[weights[first]].order]
        if rms[first] == 0 or not np.any(everything[before] >= DEPTH_RATIO * deeper[first]):
            yield _vanishing(window, weights, rms, ratio, small)


def exploding_gradient(window: Window) -> Iterable[Finding]:
    """Compare the gradients with the largest one of the first steps, and the input's end with the loss's end.

    The largest counts, because a layer that begins to learn after its gradient had vanished is not exploding.
    """
    if not _is_due(window):
        return
    newest = list(window.records)[-FEWEST_STEPS:]
    weights, rms = _weights_by_depth(window, median(window.column("gradient", "rms", newest)))
    if len(weights) < 1:
        return
    first = median(window.column("gradient", "rms", window.baseline))[weights]
    worst = int(np.argmax(rms))
    largest = np.nanmax(first, initial=0.0)
    if 0 < largest * GROWTH < rms[worst]:
        yield _exploding(window, weights[worst], rms[worst], largest, "the largest one in the first steps")
    elif len(weights) >= 3 and rms[-1] > 0 and rms[0] / rms[-1] > 1 / DEPTH_RATIO:
        yield _exploding(window, weights[0], rms[0], rms[-1], f"that of {window.sites[weights[-1]].name}")


def _is_due(window: Window) -> bool:
    return window.observed % (FEWEST_STEPS if window.observed <= WINDOW_STEPS else JUDGE_EVERY) == 0


def _weights_by_depth(window: Window, rms: NDArray[np.float64]) -> tuple[list[int], NDArray[np.float64]]:
    """Return the sites of the dense weights that have a gradient, from the input to the loss, and their values."""
    shapes = window.shapes("gradient")
    weights = [
        site.id
        for site in sorted(window.sites, key=lambda site: (site.order, site.id))
        if len(shapes.get(site.id, ())) >= 2 and site.type not in _SPARSE and not np.isnan(rms[site.id])
    ]
    return weights, rms[weights]


def _vanishing(
    window: Window,
    weights: list[int],
    rms: NDArray[np.float64],
    ratio: NDArray[np.float64],
    small: NDArray[np.intp],
) -> Finding:
    place = int(small[0])
    behind = place + 1 + int(np.argmax(rms[place + 1 :]))
    site, reference = window.sites[weights[place]], window.sites[weights[behind]]
    types = window.types_between(site.order, reference.order)
    return Finding(
        rule="vanishing_gradient",
        severity="error",
        site=site.name,
        step=window.newest.step,
        message=(
            f"The gradient of {site.name} is {_times(ratio[place])} smaller than that of {reference.name}: "
            f"{len(small)} of {len(weights)} weights hardly learn."
        ),
        evidence={
            "gradient_rms": float(rms[place]),
            "compared_with": reference.name,
            "compared_rms": float(rms[behind]),
            "ratio": float(ratio[place]),
            "threshold": DEPTH_RATIO,
            "observed_steps": float(len(window.records)),
        },
        cause=_vanishing_cause(types, float(rms[place])),
        fix=_vanishing_fix(types, float(rms[place])),
    )


def _vanishing_cause(types: list[str], rms: float) -> str:
    if rms == 0:
        return (
            "No gradient arrives at all: units that are all inactive, a zero-initialised layer behind, or a detach()."
        )
    saturating = [name for name in types if name in _SATURATING]
    if not saturating:
        return "Each layer in between passes on less gradient than it receives, and the losses multiply."
    named = f"{len(saturating)} {' and '.join(sorted(set(saturating)))} layers"
    without = "" if _has_norm(types) else " without normalisation"
    return (
        f"{named}{without} lie in between; a sigmoid passes on at most 0.25 of a gradient and a saturated unit nearly "
        "none, and the losses multiply."
    )


def _vanishing_fix(types: list[str], rms: float) -> str:
    if rms == 0:
        return "Look for detach(), no_grad() or all-zero weights between this layer and the loss."
    steps = []
    if any(name in _SATURATING for name in types):
        steps.append("replace the saturating activations by ReLU or GELU")
    if not _has_norm(types):
        steps.append("put BatchNorm or LayerNorm between the layers")
    steps.append("initialise for the activation (nn.init.kaiming_normal_) or add residual connections")
    text = "; ".join(steps)
    return f"{text[0].upper()}{text[1:]}."


def _has_norm(types: list[str]) -> bool:
    return any("Norm" in name for name in types)


def _exploding(window: Window, weight: int, rms: float, reference: float, compared: str) -> Finding:
    site = window.sites[weight]
    return Finding(
        rule="exploding_gradient",
        severity="error",
        site=site.name,
        step=window.newest.step,
        message=f"The gradient of {site.name} is {_times(rms / reference)} larger than {compared}.",
        evidence={
            "gradient_rms": float(rms),
            "compared_with": compared,
            "compared_rms": float(reference),
            "ratio": float(rms / reference),
            "threshold": GROWTH,
        },
        cause=(
            "Gradients grow from layer to layer when weights are too large, and over time when the learning rate is: "
            "each update overshoots and makes the next gradient larger."
        ),
        fix=(
            "Lower the learning rate or warm it up; clip with torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0); "
            "check the initialisation, or add normalisation."
        ),
    )


def _times(ratio: float) -> str:
    factor = 1 / ratio if 0 < ratio < 1 else ratio
    return f"{factor:,.0f} times" if 0 < factor < 1e9 else ("infinitely" if factor == 0 else f"{factor:.0e} times")
