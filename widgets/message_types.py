"""Types of the messages to the browser; generated from the schema by ``npm run generate``."""

# schema sha256: 23aa32486d83081d1a72f1cd87addeb258c02d8dcb690f959d0be164fa3114fb

from __future__ import annotations

from typing import Any, Literal, TypedDict

Key = str
Name = str
Text = str


class Setup(TypedDict):
    """Sent once: what does not change during a run."""

    type: Literal["setup"]
    title: Name
    meta: list[Fact]
    metrics: list[MetricInfo]
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
    arrays: list[ArrayInfo]


class Increment(TypedDict):
    """What changed since the message before; columns and points replace those from their first step on."""

    type: Literal["increment"]
    sequence: int
    header: Header
    layouts: list[TensorLayout]
    findings: list[FindingInfo]
    arrays: list[ArrayInfo]


class Header(TypedDict):
    """See `Header` in messages.schema.json."""

    state: Literal["running", "closed", "interrupted"]
    step: int
    observed: int
    steps_per_second: float | None
    overhead: OverheadInfo | None
    dropped: int
    scalar: Scalar | None


class OverheadInfo(TypedDict):
    """See `OverheadInfo` in messages.schema.json."""

    share: float | None
    low: float | None
    high: float | None
    method: Literal["interleaved", "self-timed"]


class Scalar(TypedDict):
    """Newest logged value; text when it is not finite."""

    name: Name
    value: float | str


class Layer(TypedDict):
    """See `Layer` in messages.schema.json."""

    name: Name
    type: Name


class MetricInfo(TypedDict):
    """See `MetricInfo` in messages.schema.json."""

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
    """See `FlowSite` in messages.schema.json."""

    site: Name
    type: Name
    layer: int


class TensorLayout(TypedDict):
    """See `TensorLayout` in messages.schema.json."""

    dtype: Name
    shape: list[int]
    bytes: int


class FindingInfo(TypedDict):
    """See `FindingInfo` in messages.schema.json."""

    rule: Name
    severity: Literal["info", "warning", "error"]
    site: Name
    step: int
    message: Text
    evidence: list[Fact]
    cause: Text
    fix: Text


class Fact(TypedDict):
    """See `Fact` in messages.schema.json."""

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


Message = Setup | Snapshot | Increment
