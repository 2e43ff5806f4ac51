"""The data that travels from the probes to the store, the rules and the views.

Everything here is plain, immutable data: numbers, strings and numpy arrays, never a tensor or a module.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

TensorKind = Literal["activation", "activation_gradient", "gradient", "parameter", "update", "unit"]

TENSOR_KINDS: tuple[TensorKind, ...] = (
    "activation",
    "activation_gradient",
    "gradient",
    "parameter",
    "update",
    "unit",
)
"""Kinds of frames that hold one summary row per observed tensor.

``unit`` summarises, for each weight, the vector that counts in how many steps of the last window any gradient
reached each of its output units (its rows); ``zero_frac`` is then the share of units that no gradient reached.
"""

Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Site:
    """A place in the model where tensors are observed.

    Attributes:
        id: Position in the run's table of sites; rows refer to it.
        name: Qualified name of the module or parameter. A module that returns several tensors has one site for
            each; those after the first carry the path of the tensor, as in ``lstm:1.0``.
        role: Whether a module's outputs or a parameter is observed here.
        type: Class name of the module, or of the module that owns the parameter.
        module: Qualified name of that module.
        order: Position of that module in ``model.named_modules()``: the depth axis of every view.
        aliases: Other names of the same module or parameter (shared modules, tied weights).
    """

    id: int
    name: str
    role: Literal["module", "parameter"]
    type: str
    module: str
    order: int
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """The dtype (such as ``float32``) and shape of an observed tensor."""

    id: int
    dtype: str
    shape: tuple[int, ...]
    itemsize: int

    @property
    def numel(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Size of the tensor in bytes."""
        return self.numel * self.itemsize


@dataclass(frozen=True, slots=True)
class Frame:
    """All rows of one kind in one step, column by column, in the order in which they were observed.

    Attributes:
        site: Site id of each row, ``[R] uint32``.
        call: How many-th use of the site within the step, from 0, ``[R] uint32``.
        layout: Layout id of each row, ``[R] uint32``.
        values: The columns of ``deepseek.kernels.summary.COLUMNS``, ``[R, C] float64``; NaN where not applicable.
    """

    site: NDArray[np.uint32]
    call: NDArray[np.uint32]
    layout: NDArray[np.uint32]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.site)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule concluded from a window of data.

    Attributes:
        rule: Name of the rule, such as ``vanishing_gradient``.
        severity: ``info``, ``warning`` or ``error``.
        site: Name of the layer or parameter that is to blame.
        step: Step at which the rule fired.
        message: One sentence: what happened, where, how bad.
        evidence: The measured numbers and the threshold they were compared with.
        cause: Why this usually happens, as far as the data tells.
        fix: What to change.
    """

    rule: str
    severity: Severity
    site: str
    step: int
    message: str
    evidence: dict[str, float | str]
    cause: str
    fix: str


@dataclass(frozen=True, slots=True)
class StepRecord:
    """Everything that one training step left behind.

    Attributes:
        step: Number of the step, from 0.
        time: Seconds since the epoch at the end of the step.
        wall_ms: Duration of the step, from the end of the step before; NaN for the first one.
        inspector_ms: The part of it that was spent inside the inspector.
        observed: Whether probes were installed during this step.
        scalars: Values logged by the user, by name.
        frames: Summary rows by kind; empty when the step was not observed.
        sites: Sites seen for the first time in this step.
        layouts: Layouts seen for the first time in this step.
        findings: What the rules concluded at this step.
    """

    step: int
    time: float
    wall_ms: float
    inspector_ms: float
    observed: bool
    scalars: dict[str, float] = field(default_factory=dict)
    frames: dict[TensorKind, Frame] = field(default_factory=dict)
    sites: tuple[Site, ...] = ()
    layouts: tuple[Layout, ...] = ()
    findings: tuple[Finding, ...] = ()
