"""Which cells the matrix has, how each is watched, and which belong to the fast third."""

from collections.abc import Iterator
from typing import NamedTuple

from certify import distributed, modes
from certify.models import MODELS
from certify.ranks import Ranks
from certify.trial import WATCHES, Mode, first_difference

MODES: dict[str, Mode] = modes.MODES | distributed.MODES
"""Every mode by its name."""

ROTATION = (
    ("every step", "layers closely"),
    ("every step", "every third step"),
    ("every step",),
    ("every step", "default budget"),
)


class Cell(NamedTuple):
    """A model in a mode.

    Attributes:
        watches: How it is watched, one training each.
        fast: Whether it belongs to the third that continuous integration runs.
    """

    model: str
    mode: str
    watches: tuple[str, ...]
    fast: bool


def cells() -> Iterator[Cell]:
    """All cells, model by model."""
    for row, (name, case) in enumerate(MODELS.items()):
        for column, (title, mode) in enumerate(MODES.items()):
            if mode.fits(name, case) and title not in case.unfit:
                watches = mode.watches or ROTATION[(row + column) % len(ROTATION)]
                yield Cell(name, title, watches, (row + column) % 3 == 2)


def compare(model: str, mode: str, watch: str) -> str | None:
    """Train a cell twice, unwatched and watched; say what differs first, None when no bit does."""
    return first_difference(MODELS[model], MODES[mode], WATCHES[watch])


def differences(cell: Cell, ranks: Ranks) -> list[str]:
    """What differs under each way of watching, errors included; empty when no bit does."""
    run = ranks.first_difference if MODES[cell.mode].ranks > 1 else compare
    return [f"{watch}: {found}" for watch in cell.watches if (found := run(cell.model, cell.mode, watch))]
