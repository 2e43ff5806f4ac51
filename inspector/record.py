"""The data that travels from the probes to the store, the rules and the views.

Everything here is plain, immutable data: numbers, strings and numpy arrays, never a tensor or a module.
"""

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from deepseek.inspector.detail import Detail
from deepseek.inspector.graph import ModuleGraph

TensorKind = Literal[
    "activation",
    "activation_gradient",
    "gradient",
    "applied_gradient",
    "parameter",
    "update",
    "eval_activation",
    "generate_activation",
]

TENSOR_KINDS: tuple[TensorKind, ...] = get_args(TensorKind)
"""Kinds of frames that hold one summary row per observed tensor.

``gradient`` is what has accumulated after each backward pass (``call`` counts them), free of any loss scale;
``applied_gradient`` is what the optimizer then used, after clipping. Outputs of modules in forwards without gradients
are kept apart: ``eval_activation``, and ``generate_activation`` for those that continue a sequence token by token.
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


@dataclass(frozen=True, slots=True, eq=False)
class UnitCounts:
    """How often each unit of a site was active, counted over a window of observed steps.

    A unit is a feature of a layer: the last dimension of its output, or the channel of a convolution. For a module the
    samples are the values that each unit gave (batch times positions). For the weight of a linear or convolution
    layer they are backward passes, and a unit is active in a pass when any gradient reached its row.

    Attributes:
        site: Site id of the activation function, or of the weight.
        samples: Samples of each unit in the window.
        active: Samples in which the unit was not switched off, ``[U] uint32``; 0 makes a dead unit.
        saturated: Samples in which the unit was at a limit of its function, ``[U] uint32``.
    """

    site: int
    samples: int
    active: NDArray[np.uint32]
    saturated: NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the run itself, such as a skipped step or a part of the inspector switched off.

    Attributes:
        kind: Such as ``step_skipped``.
        data: Numbers and texts by name.
    """

    kind: str
    data: dict[str, float | str]


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
        units: Windows of unit counts that became full in this step.
        events: What happened to the run in this step.
        gradient_norm: L2 norm over all gradients that the optimizer used, measured at every step, observed or not;
            infinite when any of them was NaN or infinite, NaN when it was not measured.
        graph: The module graph, in the step after which it is new; a run file keeps the newest one only, apart from
            its steps.
        details: Closer looks at layers that became known with this step; a run file keeps the newest of each layer.
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
    units: tuple[UnitCounts, ...] = ()
    events: tuple[Event, ...] = ()
    gradient_norm: float = math.nan
    graph: ModuleGraph | None = None
    details: tuple[Detail, ...] = ()
