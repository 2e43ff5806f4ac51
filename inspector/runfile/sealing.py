"""Checksums: what makes a row of a run file trustworthy."""

import math
import zlib
from collections.abc import Sequence
from typing import Any

from deepseek.inspector.runfile.schema import MAX_JSON, Table

Value = int | float | str | bytes | None
"""What SQLite can hold."""


def seal(table: Table, values: Sequence[Value]) -> list[Value]:
    """Make a row fit for storing: NaN becomes NULL, and the checksum is added."""
    row = list(values)
    missing = [position for position in table.floats if row[position] != row[position]]
    for position in missing:
        # There are many NaN; the checksum knows one.
        row[position] = math.nan
    crc = checksum(table, row)
    for position in missing:
        row[position] = None
    row.append(crc)
    return row


def unseal(table: Table, row: Sequence[Value]) -> tuple[Any, ...]:
    """Check a stored row's checksum and types and give back its values; NULL becomes NaN in float columns.

    Raises:
        ValueError: The row is not as it was written.
    """
    *values, crc = row
    for position, (value, (name, kind)) in enumerate(zip(values, table.columns.items(), strict=True)):
        if type(value) is kind:
            if kind is str and len(value) > MAX_JSON:  # type: ignore[arg-type]
                raise ValueError(f"its {name} is longer than {MAX_JSON} characters")
        elif value is None and kind is float:
            values[position] = math.nan
        else:
            raise ValueError(f"its {name} is of type {type(value).__name__}, not {kind.__name__}")
    if crc != checksum(table, values):
        raise ValueError("its checksum is wrong")
    return tuple(values)


def checksum(table: Table, values: Sequence[Any]) -> int:
    """CRC-32 over the table's name and every value, so that rows cannot be changed or exchanged."""
    numbers, crc = list(values), table.seed
    for position in table.texts:
        text = values[position].encode("utf-8", "replace")
        crc, numbers[position] = zlib.crc32(text, crc), len(text)
    for position in table.blobs:
        crc, numbers[position] = zlib.crc32(values[position], crc), len(values[position])
    return zlib.crc32(table.numbers.pack(*numbers), crc)
