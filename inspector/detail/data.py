"""What a closer look at a layer leaves behind: plain, immutable data, never a tensor or a module."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

BINS = 64
"""Bins of equal width between the ends of a histogram."""

EXPONENTS = range(-150, 128)
"""Binary exponents that are counted apart; smaller and larger magnitudes count with the first and the last."""

MAX_PICTURE = 128
"""Most rows and most columns of a picture."""

MAX_UNITS = 16_384
"""Most units that are told apart."""

MAX_HISTOGRAMS = 32
"""Most tensors of a layer whose values are counted."""

HistogramKind = Literal["activation", "activation_gradient", "gradient", "parameter"]
KINDS: tuple[HistogramKind, ...] = get_args(HistogramKind)
UnitsOf = Literal["activation", "gradient"]
PictureKind = Literal["filters", "heads", "matrix"]


class Format(NamedTuple):
    """A floating-point format, as far as its range goes.

    Attributes:
        name: As torch calls it.
        smallest: Its smallest positive number.
        normal: Its smallest number of full precision; those between the two are subnormal.
        largest: Its largest finite number.
        overflow: The smallest magnitude that is rounded to infinity or, where there is none, is too large.
    """

    name: str
    smallest: float
    normal: float
    largest: float
    overflow: float


FORMATS = (
    Format("float16", 2.0**-24, 2.0**-14, 65504.0, 65520.0),
    Format("bfloat16", 2.0**-133, 2.0**-126, 2.0**128 - 2.0**120, 2.0**128 - 2.0**119),
    Format("float8_e4m3fn", 2.0**-9, 2.0**-6, 448.0, math.nextafter(464.0, math.inf)),
    Format("float8_e5m2", 2.0**-16, 2.0**-14, 57344.0, 61440.0),
)
"""The formats whose ranges histograms are compared with."""


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """How the values of a tensor are distributed.

    Attributes:
        kind: ``activation`` and ``activation_gradient`` for an output of the layer, ``parameter`` and ``gradient`` for
            a parameter of it and for its gradient as the optimizer used it, free of any loss scale.
        tensor: The path of the output, as in ``1.0`` (empty for a lone tensor), or the parameter's name in the layer.
        dtype: Such as ``float32``.
        numel: Number of elements.
        zeros: How many are exactly zero.
        nonfinite: How many are NaN or infinite; they are in none of the counts below.
        low: Where the first bin begins: the smallest finite value. NaN without any.
        high: Where the last bin ends: the largest finite value; half below and above where all values are equal.
        counts: Elements in each bin, as ``numpy.histogram`` counts them, ``[BINS] int64``.
        exponents: Elements other than zero by the binary exponent of their magnitude, ``[len(EXPONENTS)] int64``.
        formats: For each of ``FORMATS`` how many elements other than zero become zero, become subnormal, and are too
            large when rounded to it, ``[len(FORMATS), 3] int64``.
    """

    kind: HistogramKind
    tensor: str
    dtype: str
    numel: int
    zeros: int
    nonfinite: int
    low: float
    high: float
    counts: NDArray[np.int64]
    exponents: NDArray[np.int64]
    formats: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class UnitActivity:
    """How often each unit of the layer was active in the step; see ``UnitCounts`` for what a unit is.

    Attributes:
        of: Whether outputs of an activation function were counted, or whether any gradient reached the unit's weights.
        samples: Samples of each unit.
        active: Those in which it was not switched off, ``[U] uint32``.
        saturated: Those in which it was at a limit of its function, ``[U] uint32``.
    """

    of: UnitsOf
    samples: int
    active: NDArray[np.uint32]
    saturated: NDArray[np.uint32]


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Weights as a picture.

    Attributes:
        kind: ``filters`` of a convolution, ``heads`` of an attention, or a ``matrix``.
        tensor: The parameter's name in the layer.
        caption: What rows and columns are, and what was left out or reduced.
        values: ``[rows, columns] float32``, at most ``MAX_PICTURE`` each; NaN between the parts of a grid.
    """

    kind: PictureKind
    tensor: str
    caption: str
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Detail:
    """A closer look at one layer in one step.

    Attributes:
        site: Name of the module.
        type: Its class.
        step: The step.
        watched: Whether the layer is watched closely; otherwise this was asked for once.
        calls: How often the layer was called in the step. Outputs are those of the first call.
        histograms: At most ``MAX_HISTOGRAMS``.
        units: None where units are not counted.
        picture: None where the weights make none, and while a layer is watched closely.
        forward_ms: Duration of the first call, watching left out; NaN when not measured.
        backward_ms: From the gradient of the first call's output to the last gradient of the layer's parameters, or of
            its inputs where it has none. Both durations are wall time; an accelerator is waited for.
        output_bytes: Size of the outputs of the first call.
        parameter_bytes: Size of the parameters.
        gradient_bytes: Size of their gradients.
        note: What is missing, and why; empty when nothing is.
    """

    site: str
    type: str
    step: int
    watched: bool
    calls: int
    histograms: tuple[Histogram, ...]
    units: UnitActivity | None
    picture: Picture | None
    forward_ms: float
    backward_ms: float
    output_bytes: int
    parameter_bytes: int
    gradient_bytes: int
    note: str
