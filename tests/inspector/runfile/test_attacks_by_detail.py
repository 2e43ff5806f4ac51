"""Files with a hostile closer look at a layer: every one is refused, quickly, with one kind of error."""

import json
import math
import sqlite3
import struct

import pytest
from attacks import Attack, in_turn, refused, replaced, row, statement
from recorded_runs import detail, records, with_graph

from deepseek.inspector.runfile import schema


def layer(**changes: object) -> Attack:
    """Change facts of the closer look at a layer."""

    def attack(db: sqlite3.Connection) -> None:
        (text,) = db.execute("SELECT facts FROM detail").fetchone()
        replaced(schema.LAYER, "1", facts=json.dumps(json.loads(text) | changes))(db)

    return attack


def layer_histogram(position: int, value: object) -> Attack:
    """Change a fact of a closer look's histogram: kind, tensor, dtype, numel, zeros, nonfinite, low, high."""

    def attack(db: sqlite3.Connection) -> None:
        (text,) = db.execute("SELECT facts FROM detail").fetchone()
        histograms = json.loads(text)["histograms"]
        histograms[0][position] = value
        layer(histograms=histograms)(db)

    return attack


def layer_number(place: int, value: int) -> Attack:
    """Change one of the counts of the first histogram of a closer look."""

    def attack(db: sqlite3.Connection) -> None:
        (data,) = db.execute("SELECT data FROM detail").fetchone()
        changed = data[: 8 * place] + struct.pack("<q", value) + data[8 * place + 8 :]
        replaced(schema.LAYER, "1", data=changed)(db)

    return attack


ATTACKS: dict[str, Attack] = {
    "detail of no JSON": replaced(schema.LAYER, "1", facts="{"),
    "detail that is a list": replaced(schema.LAYER, "1", facts="[]"),
    "detail with a fact more": layer(more=1),
    "detail of a negative step": replaced(schema.LAYER, "1", step=-1),
    "detail of an endless name": replaced(schema.LAYER, "1", site="x" * (schema.MAX_TEXT + 1)),
    "detail that was removed": statement("DELETE FROM detail"),
    "detail that nobody counted": statement("DELETE FROM tally WHERE name = 'detail'"),
    "detail without a checksum": statement("UPDATE detail SET step = 7"),
    "more details than are kept": in_turn(
        *(row(schema.LAYER, f"x{number}", 0, "{}", b"") for number in range(schema.MAX_DETAILS))
    ),
    "detail with fewer bytes than it announces": replaced(schema.LAYER, "1", data=b"abc"),
    "detail with four billion histograms": layer(histograms=[["activation", "", "", 0, 0, 0, None, None]] * 33),
    "detail with a histogram of a kind that there is not": layer_histogram(0, "kernel"),
    "detail with a histogram of a list": layer_histogram(0, ["activation"]),
    "detail with a tensor of an endless name": layer_histogram(1, "x" * (schema.MAX_TEXT + 1)),
    "detail with more elements than are counted": layer_histogram(3, 13),
    "detail with 2**63 elements": layer_histogram(3, 2**63),
    "detail with zeros that are true": layer_histogram(4, True),
    "detail with negative zeros": layer_histogram(4, -1),
    "detail with more NaN than elements": layer_histogram(5, 13),
    "detail with a range from infinity": layer_histogram(6, 1e999),
    "detail with a range that goes backwards": layer_histogram(6, 5.0),
    "detail with a negative count": layer_number(0, -1),
    "detail with a count of 2**62": layer_number(0, 2**62),
    "detail whose bins lose an element": layer_number(0, 0),
    "detail whose exponents gain an element": layer_number(64, 1),
    "detail whose formats lose more than there is": layer_number(64 + 278, 2**40),
    "detail with units of nothing": layer(units=["weights", 9, 2]),
    "detail with a unit above its samples": layer(units=["activation", 1, 2]),
    "detail with four billion units": layer(units=["activation", 9, 2**32]),
    "detail with minus one unit": layer(units=["activation", 9, -1]),
    "detail with a picture of nothing": layer(picture=["map", "weight", "", 3, 4]),
    "detail with a picture of 2**40 cells": layer(picture=["matrix", "weight", "", 2**20, 2**20]),
    "detail with a picture of minus one row": layer(picture=["matrix", "weight", "", -1, -12]),
    "detail with a picture that is a number": layer(picture=7),
    "detail that took less than no time": layer(times=[-1.0, None]),
    "detail whose time is NaN": layer(times=[math.nan, None]),
    "detail with a time more": layer(times=[1.0, 1.0, 1.0]),
    "detail with negative bytes": layer(bytes=[1, 2, -3]),
    "detail with calls that are a text": layer(calls="many"),
    "detail that may be watched": layer(watched=1),
    "detail with a note that is none": layer(note=None),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_is_refused_within_a_second(write_run, name):
    refused(write_run(with_graph(records(4)), details=[detail()]), ATTACKS[name])
