"""Messages to the browser: building blocks, validation against the schema, and their one way onto the wire."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import fastjsonschema
import numpy as np
from numpy.typing import NDArray

from deepseek.inspector.record import Finding
from deepseek.inspector.recording import Overhead, Status
from deepseek.text import well_formed
from deepseek.widgets.explanation_types import AttentionMessage, AttributionMessage
from deepseek.widgets.message_types import ArrayInfo, Fact, FindingInfo, Header, Message, OverheadInfo, Scalar

NAME_LENGTH = 400
TEXT_LENGTH = 2000
MAX_EVIDENCE = 32
SCHEMA = Path(__file__).parent / "schema" / "messages.schema.json"


@dataclass(frozen=True, slots=True)
class Packet:
    """A message and the arrays that it names, one after the other as little-endian bytes."""

    message: Message | AttributionMessage | AttentionMessage
    payload: bytes

    @property
    def nbytes(self) -> int:
        """What it takes on the wire, about."""
        return len(self.payload) + len(json.dumps(self.message))


def packet(message: Message, arrays: Mapping[str, NDArray[np.float32] | NDArray[np.int32]]) -> Packet:
    """Name the arrays in the message, validate it and join the arrays into one payload.

    Args:
        message: A snapshot or an increment; its ``arrays`` are filled in here.
        arrays: By name, ``float32`` or ``int32``.

    Raises:
        fastjsonschema.JsonSchemaException: The message does not follow the schema.
    """
    infos: list[ArrayInfo] = [
        {"name": name, "dtype": "int32" if a.dtype.kind == "i" else "float32", "shape": list(a.shape)}
        for name, a in arrays.items()
    ]
    payload = b"".join(a.astype(a.dtype.newbyteorder("<"), copy=False).tobytes() for a in arrays.values())
    return Packet(validated({**message, "arrays": infos}), payload)


def validated(message: Any) -> Message:
    """Return the message if it follows the schema.

    Raises:
        fastjsonschema.JsonSchemaException: It does not.
    """
    result: Message = validator(SCHEMA, message["type"].capitalize())(message)
    return result


@cache
def validator(path: Path, definition: str) -> Callable[[Any], Any]:
    """Return the function that gives back what follows a definition of a schema, and raises for all else."""
    schema = json.loads(path.read_text(encoding="utf-8"))
    del schema["oneOf"]
    check: Callable[[Any], Any] = fastjsonschema.compile({**schema, "$ref": f"#/definitions/{definition}"})
    return check


def prepare() -> None:
    """Make the functions that check messages; it takes a while, and the first message would wait for it."""
    kinds = json.loads(SCHEMA.read_text(encoding="utf-8"))["oneOf"]
    for kind in kinds:
        validator(SCHEMA, kind["$ref"].rpartition("/")[2])


def name_text(text: str) -> str:
    """A name that users chose, cut to what a message may hold."""
    return _cut(text, NAME_LENGTH)


def long_text(text: str) -> str:
    """A sentence, cut to what a message may hold."""
    return _cut(text, TEXT_LENGTH)


def finite(value: float) -> float | None:
    """The number, or None when it is not finite (JSON knows no NaN)."""
    return float(value) if math.isfinite(value) else None


def header(status: Status, observed: int, scalar: tuple[str, float] | None) -> Header:
    """The numbers of the widget's first line."""
    return {
        "state": status.state,
        "step": int(status.step),
        "observed": observed,
        "steps_per_second": finite(status.steps_per_second),
        "overhead": _overhead(status.overhead),
        "dropped": int(status.dropped),
        "scalar": _scalar(scalar),
    }


def finding_info(finding: Finding) -> FindingInfo:
    """A finding as a message holds it: evidence formatted, texts cut."""
    evidence = list(finding.evidence.items())[:MAX_EVIDENCE]
    return {
        "rule": name_text(finding.rule),
        "severity": finding.severity,
        "site": name_text(finding.site),
        "step": int(finding.step),
        "message": _cut(finding.message, TEXT_LENGTH),
        "evidence": [
            {"name": name_text(name), "value": _cut(number_text(value), TEXT_LENGTH)} for name, value in evidence
        ],
        "cause": _cut(finding.cause, TEXT_LENGTH),
        "fix": _cut(finding.fix, TEXT_LENGTH),
    }


def number_text(value: float | str) -> str:
    """A number with four significant digits, a text as it is."""
    return value if isinstance(value, str) else f"{value:.4g}"


def facts(meta: Mapping[str, str], most: int = MAX_EVIDENCE) -> list[Fact]:
    """Name and value pairs as a message holds them."""
    return [
        {"name": name_text(str(name)), "value": _cut(str(value), TEXT_LENGTH)}
        for name, value in list(meta.items())[:most]
    ]


def _scalar(scalar: tuple[str, float] | None) -> Scalar | None:
    if scalar is None:
        return None
    name, value = scalar
    return {"name": name_text(name), "value": float(value) if math.isfinite(value) else str(float(value))}


def _overhead(overhead: Overhead | None) -> OverheadInfo | None:
    if overhead is None:
        return None
    return {
        "share": finite(overhead.share),
        "low": finite(overhead.low),
        "high": finite(overhead.high),
        "method": overhead.method,
    }


def _cut(text: str, length: int) -> str:
    return well_formed(text if len(text) <= length else text[: length - 1] + "…")
