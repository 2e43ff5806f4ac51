"""Removes from a growing run file what its budgets leave no room for."""

import math
import sqlite3
from collections import Counter

from deepseek.inspector.runfile import thinning
from deepseek.inspector.runfile.rows import DETAIL, PINS, Rows, size
from deepseek.inspector.runfile.schema import EVENT, REMOVED, SCALAR, STEP, Table
from deepseek.inspector.runfile.sealing import checksum
from deepseek.inspector.runfile.thinning import Entry, Thinning

_PLAIN = (STEP, SCALAR, EVENT)
_REDUCE = "UPDATE step SET parts = ?, crc = ? WHERE step = ?"


class Thinner:
    """Follows what is written; first a step loses its frames and unit counts, later it goes itself.

    Args:
        db: The run file; every method is called inside a transaction.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._detailed = Thinning(thinning.DETAIL_BYTES)
        self._plain = Thinning(thinning.STEP_BYTES)

    def make_room(self, rows: Rows, added: Counter[str]) -> None:
        """Take the rows of a step that was just written, and remove others from file and tally."""
        step = int(rows[STEP][0][0])  # type: ignore[arg-type]
        detail = size(rows, DETAIL)
        rest = 0 if any(table in rows for table in PINS) else size(rows, _PLAIN)
        if detail:
            for entry in self._detailed.add(step, detail, rest):
                self._drop_detail(entry, added)
        elif rest:
            self._add_plain(step, rest, added)

    def _add_plain(self, step: int, bytes_: int, added: Counter[str]) -> None:
        for entry in self._plain.add(step, bytes_):
            for table in (SCALAR, EVENT):
                self._delete(table, entry.step, added)
            added[REMOVED] += self._delete(STEP, entry.step, added)

    def _drop_detail(self, entry: Entry, added: Counter[str]) -> None:
        lost = sum(self._delete(table, entry.step, added) for table in DETAIL)
        found = self._db.execute(f"{STEP.select} WHERE step = ?", (entry.step,)).fetchone()
        if found is None:  # written in a transaction that failed
            return
        *values, parts, _ = found
        row = (*(math.nan if value is None else value for value in values), parts - lost)
        self._db.execute(_REDUCE, (row[-1], checksum(STEP, row), entry.step))
        if entry.rest:
            self._add_plain(entry.step, entry.rest, added)

    def _delete(self, table: Table, step: int, added: Counter[str]) -> int:
        deleted = self._db.execute(table.delete_step, (step,)).rowcount
        added[table.name] -= deleted
        return deleted
