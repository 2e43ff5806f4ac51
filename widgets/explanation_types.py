"""What travels between Python and the browser about explanations. Arrays follow as one binary payload.

Generated from the schema by ``npm run generate``.
"""

# schema sha256: f8538461b6e3a028df5d722714bdbb2777be8bb2c9a88017690d92f0a1f441f0

from __future__ import annotations

from typing import Literal, TypedDict

First = int
Name = str
Text = str


class AttributionMessage(TypedDict):
    """Attributions of some rows and outputs; the rows of arrays are rows x outputs."""

    type: Literal["attribution"]
    method: Name
    target: Name
    background: Text
    first: First
    rows: int
    outputs: list[Name]
    inputs: list[InputInfo]
    evaluations: int
    seconds: float
    notes: list[Text]
    arrays: list[ArrayInfo]


class InputInfo(TypedDict):
    """What has the attributions of one input: features, or the pixels of a picture."""

    name: Name
    unit: Literal["feature", "group", "pixel"]
    features: list[Name]
    shown: list[list[Name]]
    height: int
    width: int


class AttentionMessage(TypedDict):
    """Where the tokens of some rows look. Rows of weights: rows x heads x queries."""

    type: Literal["attention"]
    model: Name
    first: First
    rows: int
    most: float
    deviation: float
    maps: list[MapInfo]
    scores: list[ScoresInfo]
    sequences: list[Sequence]
    height: int
    width: int
    notes: list[Text]
    arrays: list[ArrayInfo]


class MapInfo(TypedDict):
    """One attention call; looking and seen are places in the sequences, -1 for tokens without texts."""

    name: Name
    kind: Literal["self", "decoder", "cross"]
    heads: list[int]
    queries: list[int]
    looking: int
    seen: int
    patches: Patches | None


class ScoresInfo(TypedDict):
    """A derived map, with how faithful it is; tokens is a place in the sequences, -1 without texts."""

    method: Name
    verdict: Text
    tokens: int
    patches: Patches | None


class Patches(TypedDict):
    """The last tokens are patches of a picture."""

    rows: int
    columns: int


class Sequence(TypedDict):
    """A text for each token of each row."""

    texts: list[list[Name]]


class Choices(TypedDict):
    """What may be asked of a model, and what is asked first."""

    type: Literal["choices"]
    samples: int
    targets: list[Name]
    methods: list[MethodInfo]
    asked: ExplainRequest


class MethodInfo(TypedDict):
    """A method, and what it can compare samples with; nothing where it has no target either."""

    name: Name
    against: list[Name]


class ExplainRequest(TypedDict):
    """Asks for an explanation of one sample."""

    type: Literal["explain"]
    sample: int
    method: Name
    against: Name
    target: Name


class CancelRequest(TypedDict):
    """Asks for an end of the computation."""

    type: Literal["cancel"]


class Progress(TypedDict):
    """Where the computation stands, in a state and a sentence."""

    type: Literal["progress"]
    state: Literal["idle", "waiting", "computing", "failed"]
    said: Text


class ArrayInfo(TypedDict):
    """One array of the payload; arrays lie one after the other, little endian, row by row."""

    name: str
    dtype: Literal["float32", "int32", "uint8"]
    shape: list[int]


ExplanationMessage = AttributionMessage | AttentionMessage | Choices | Progress | ExplainRequest | CancelRequest
