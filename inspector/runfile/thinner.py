"""Removes from a growing run file what its budgets leave no room for."""

import math
import sqlite3
from collections import Counter
from collections.abc import Sequence

from deepseek.inspector.runfile import thinning
from deepseek.inspector.runfile.rows import DETAIL, PINS, Rows, size
from deepseek.inspector.runfile.schema import EVENT, REMOVED, ROWS_PER_STATEMENT, SCALAR, STEP, Table
from deepseek.inspector.runfile.sealing import checksum
from deepseek.inspector.runfile.thinning import Thinning

_PLAIN = (STEP, SCALAR, EVENT)
_SET_PARTS = "UPDATE step SET parts = ?, crc = ? WHERE step = ?"


class Thinner:
    """Follows what is written; first a step loses its frames and unit counts, later it goes itself.

    Args:
        db: The run file; every method is called inside a transaction.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._detailed = Thinning(thinning.DETAIL_BYTES)
        self._plain = Thinning(thinning.STEP_BYTES)

    def make_room(self, batch: Sequence[Rows], added: Counter[str]) -> None:
        """Take the rows of steps that were just written, and remove others from file and tally."""
        removed: list[int] = []
        for rows in batch:
            step = int(rows[STEP][0][0])  # type: ignore[arg-type]
            rest = size(rows, _PLAIN) if rows.keys().isdisjoint(PINS) else 0
            if rows.keys().isdisjoint(DETAIL):
                removed += self._add_plain(step, rest)
                continue
            for entry in self._detailed.add(step, size(rows, DETAIL), rest):
                self._drop_detail(entry.step, added)
                removed += self._add_plain(entry.step, entry.rest)
        self._remove(removed, added)

    def _add_plain(self, step: int, bytes_: int) -> list[int]:
        return [gone.step for gone in self._plain.add(step, bytes_)] if bytes_ else []

    def _drop_detail(self, step: int, added: Counter[str]) -> None:
        lost = sum(self._delete(table, [step], added) for table in DETAIL)
        change_parts(self._db, step, -lost)

    def _remove(self, steps: list[int], added: Counter[str]) -> None:
        for start in range(0, len(steps), ROWS_PER_STATEMENT):
            part = steps[start : start + ROWS_PER_STATEMENT]
            added[REMOVED] += self._delete(STEP, part, added)
            self._delete(SCALAR, part, added)
            self._delete(EVENT, part, added)

    def _delete(self, table: Table, steps: list[int], added: Counter[str]) -> int:
        deleted = self._db.execute(table.delete("step", len(steps)), steps).rowcount
        added[table.name] -= deleted
        return deleted


def change_parts(db: sqlite3.Connection, step: int, change: int) -> bool:
    """Tell a step that it has more or fewer rows in other tables; return whether it is there."""
    found = db.execute(f"{STEP.select} WHERE step = ?", (step,)).fetchone()
    if found is None:  # written in a transaction that failed
        return False
    *values, parts, _ = found
    row = (*(math.nan if value is None else value for value in values), parts + change)
    db.execute(_SET_PARTS, (row[-1], checksum(STEP, row), step))
    return True
