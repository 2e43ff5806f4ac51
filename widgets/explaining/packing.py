"""Explanations on their way to the browser: validated, with their arrays as one payload."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepseek.widgets.explanation_types import ArrayInfo, AttentionMessage, AttributionMessage
from deepseek.widgets.messages import validator

SCHEMA = Path(__file__).parents[1] / "schema" / "explanations.schema.json"

LIMIT_BYTES = 3_500_000
"""Numbers of an explanation that are sent: as text, in a page or a saved notebook, they take 4.7 MB."""

MOST_NOTES = 31
"""Notes that are sent; one more says what was left out."""

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Packed:
    """An explanation as a message, and the arrays that it names, one after the other as little-endian bytes."""

    message: AttributionMessage | AttentionMessage
    payload: bytes

    def as_text(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {"message": self.message, "payload": base64.b64encode(self.payload).decode()}


def pack(message: Mapping[str, Any], arrays: Arrays) -> Packed:
    """Name the arrays ``[N, M]`` in a message, validate it, and join the arrays into one payload.

    Raises:
        fastjsonschema.JsonSchemaException: The message does not follow the schema.
    """
    plain = {name: np.ascontiguousarray(array, _dtype(array)) for name, array in arrays.items()}
    infos: list[ArrayInfo] = [
        {"name": name, "dtype": array.dtype.name, "shape": list(array.shape)}  # type: ignore[typeddict-item]
        for name, array in plain.items()
    ]
    checked = validator(SCHEMA, f"{message['type'].capitalize()}Message")({**message, "arrays": infos})
    return Packed(checked, b"".join(array.tobytes() for array in plain.values()))


def _dtype(array: NDArray[Any]) -> str:
    return {"u": "|u1", "i": "<i4"}.get(array.dtype.kind, "<f4")
