"""How a run file stays small however long the run is.

The rule: the first 16 and the newest 64 steps keep everything; of those in between, every 2**k-th keeps its frames and
unit counts, with k growing so that these take at most 128 MiB; and of the steps without frames, every 2**k-th stays,
so that these take at most 32 MiB. Steps that brought a site, a layout or a finding always stay.

Nothing is thinned at once: each new step pushes out as many bytes as it brings, so that no transaction is long.
"""

from array import array
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

DETAIL_BYTES = 128 * 2**20
"""Budget for frames and unit counts."""

STEP_BYTES = 32 * 2**20
"""Budget for steps that hold neither, with their scalars and events."""

FIRST_STEPS = 16
NEWEST_STEPS = 64


class Entry(NamedTuple):
    """A step: which one it was of all that were added, its number, and the bytes that go when it must.

    ``rest`` are the bytes that it takes elsewhere, which the budget does not count.
    """

    ordinal: int
    step: int
    size: int
    rest: int


class Thinning:
    """Chooses the steps that a budget leaves no room for, evenly over the whole run.

    Args:
        budget: Bytes that the steps may take together.

    Attributes:
        stride: Between the first and the newest steps, one of so many is kept from now on.
        total: Bytes of all the steps that are kept.
    """

    def __init__(self, budget: int) -> None:
        self.stride = 1
        self.total = 0
        self._budget = budget
        self._count = 0
        self._first: list[Entry] = []
        self._newest: deque[Entry] = deque()
        self._between = _Entries()
        self._sweep = self._swept()

    def add(self, step: int, size: int, rest: int = 0) -> list[Entry]:
        """Take a new step and give those that must go for it, in the extreme the new one itself."""
        entry = Entry(self._count, step, size, rest)
        self._count += 1
        self.total += size
        (self._first if entry.ordinal < FIRST_STEPS else self._newest).append(entry)
        gone = []
        if len(self._newest) > NEWEST_STEPS:
            aged = self._newest.popleft()
            if aged.ordinal % self.stride:
                gone.append(self._gone(aged))
            else:
                self._between.append(aged)
        while self.total > self._budget:
            gone.append(self._gone(self._least()))
        return gone

    def _gone(self, entry: Entry) -> Entry:
        self.total -= entry.size
        return entry

    def _least(self) -> Entry:
        """Give the step that matters least: in between, then the oldest of the newest, then the last of the first."""
        if (entry := next(self._sweep, None)) is not None:
            return entry
        self._sweep = self._swept()
        if self._between:
            return self._least()
        return self._newest.popleft() if self._newest else self._first.pop()

    def _swept(self) -> Iterator[Entry]:
        """Double the stride and yield the steps that no longer fit it, from the oldest on."""
        if not self._between:
            return
        self.stride *= 2
        old, self._between = self._between, _Entries()
        for entry in old:
            if entry.ordinal % self.stride:
                yield entry
            else:
                self._between.append(entry)


class _Entries:
    """A list of entries in 32 bytes each: there may be hundreds of thousands."""

    def __init__(self) -> None:
        self._numbers = array("q")
        self.append = self._numbers.extend

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def __iter__(self) -> Iterator[Entry]:
        numbers = iter(self._numbers)
        return map(Entry, numbers, numbers, numbers, numbers)
