"""Everything that travels from Python to the browser. Arrays follow as one binary payload.

Generated from the schema by ``npm run generate``.
"""

# schema sha256: 7956052b91b05002d6c8ca13ff40b19845bc146e2885ce6b42d4c60640430ecf

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

Key = str
Name = str
SessionKey = str
Text = str


class Setup(TypedDict):
    """Sent once: what does not change during a run."""

    type: Literal["setup"]
    title: Name
    session: NotRequired[SessionKey]
    meta: list[Fact]
    metrics: list[MetricInfo]


class Charts(TypedDict):
    """Sent once, after the first figures; the payload is BokehJS where the page has none yet."""

    type: Literal["charts"]
    documents: list[Chart]


class Snapshot(TypedDict):
    """The whole state, up to and including its sequence number."""

    type: Literal["snapshot"]
    sequence: int
    header: Header
    layers: list[Layer]
    stride: int
    metrics: list[MetricRows]
    series: list[Name]
    flow: list[FlowSite]
    layouts: list[TensorLayout]
    findings: list[FindingInfo]
    gates: NotRequired[list[Gate]]
    precision: NotRequired[Precision]
    arrays: list[ArrayInfo]


class Increment(TypedDict):
    """What changed since the message before; columns and points replace those from their first step on."""

    type: Literal["increment"]
    sequence: int
    header: Header
    layouts: list[TensorLayout]
    findings: list[FindingInfo]
    arrays: list[ArrayInfo]


class Graph(TypedDict):
    """The module graph, sent whenever it is new; nodes and edges are columns of arrays, -1 for none."""

    type: Literal["graph"]
    complete: bool
    note: Text
    texts: list[Name]
    layouts: list[TensorLayout]
    arrays: list[ArrayInfo]


class Detail(TypedDict):
    """A closer look at a layer. Arrays: counts, exponents, formats, units, picture; rows are histograms."""

    type: Literal["detail"]
    site: Name
    layer_type: Name
    step: int
    watched: bool
    calls: int
    note: Text
    forward_ms: float | None
    backward_ms: float | None
    output_bytes: int
    parameter_bytes: int
    gradient_bytes: int
    histograms: list[HistogramInfo]
    first_exponent: int
    units: UnitsInfo | None
    picture: PictureInfo | None
    arrays: list[ArrayInfo]


class End(TypedDict):
    """The last message of a stream."""

    type: Literal["end"]
    reason: Text


class HistogramInfo(TypedDict):
    """See `HistogramInfo` in the schema."""

    kind: Literal["activation", "activation_gradient", "gradient", "parameter"]
    tensor: Name
    dtype: Name
    numel: int
    zeros: int
    nonfinite: int
    low: float | None
    high: float | None


class UnitsInfo(TypedDict):
    """See `UnitsInfo` in the schema."""

    of: Literal["activation", "gradient"]
    samples: int


class PictureInfo(TypedDict):
    """See `PictureInfo` in the schema."""

    kind: Literal["filters", "heads", "matrix"]
    tensor: Name
    caption: Text


class Header(TypedDict):
    """See `Header` in the schema."""

    state: Literal["running", "paused", "closed", "interrupted"]
    step: int
    observed: int
    steps_per_second: float | None
    overhead: OverheadInfo | None
    dropped: int
    scalar: Scalar | None


class OverheadInfo(TypedDict):
    """See `OverheadInfo` in the schema."""

    share: float | None
    low: float | None
    high: float | None
    method: Literal["interleaved", "self-timed"]


class Scalar(TypedDict):
    """Newest logged value; text when it is not finite."""

    name: Name
    value: float | str


class Layer(TypedDict):
    """See `Layer` in the schema."""

    name: Name
    type: Name


class MetricInfo(TypedDict):
    """See `MetricInfo` in the schema."""

    name: Key
    title: Name
    scale: Literal["log", "linear"]
    worst: Literal["max", "min"]
    description: Text


class MetricRows(TypedDict):
    """Which layers the rows of a metric's array stand for."""

    name: Key
    rows: list[int]


class FlowSite(TypedDict):
    """See `FlowSite` in the schema."""

    site: Name
    type: Name
    layer: int


class TensorLayout(TypedDict):
    """See `TensorLayout` in the schema."""

    dtype: Name
    shape: list[int]
    bytes: int


class Gate(TypedDict):
    """A sparse gate, and how often its blocks were open in its newest window; 0 samples before the first."""

    layer: int
    samples: int
    blocks: int
    open: list[float]
    constant: bool


class Precision(TypedDict):
    """Decisions on the precision of layers; arrays: decisions (revision, layer, texts) and evidence."""

    layers: list[Name]
    texts: list[Name]
    earlier: int
    skipped_before: int
    revisions: list[Revision]


class Revision(TypedDict):
    """See `Revision` in the schema."""

    step: int
    epoch: int
    policy: Name
    half: Name
    loss_scale: float | None
    skipped: int


class FindingInfo(TypedDict):
    """See `FindingInfo` in the schema."""

    rule: Name
    severity: Literal["info", "warning", "error"]
    site: Name
    step: int
    message: Text
    evidence: list[Fact]
    cause: Text
    fix: Text


class Fact(TypedDict):
    """See `Fact` in the schema."""

    name: Name
    value: Text


class Chart(TypedDict):
    """A Bokeh document as made by bokeh.embed.json_item."""

    name: Name
    item: dict[str, Any]


class ArrayInfo(TypedDict):
    """One array of the payload; arrays lie one after the other, little endian, row by row."""

    name: str
    dtype: Literal["float32", "int32"]
    shape: list[int]


Message = Setup | Charts | Snapshot | Increment | Graph | Detail | End
