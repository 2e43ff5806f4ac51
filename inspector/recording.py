"""What a live session and an opened run file have in common: a read-only recording of training steps."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from deepseek.inspector.detail import Detail
from deepseek.inspector.graph import ModuleGraph
from deepseek.inspector.record import Finding, Layout, Site, StepRecord

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Overhead:
    """Measured share of the step time that the inspector costs (0.05 = 5 %).

    Attributes:
        share: Best estimate.
        low: Lower end of its spread (quartiles of the measured steps).
        high: Upper end of its spread.
        method: ``interleaved`` compares observed with unobserved steps of the same run; ``self-timed`` adds up the
            time spent inside the probes, where every step is observed and no bare step exists to compare with.
    """

    share: float
    low: float
    high: float
    method: Literal["interleaved", "self-timed"]


@dataclass(frozen=True, slots=True)
class Status:
    """Where a recording stands right now.

    Attributes:
        state: ``running`` (steps arrive), ``paused`` (training is held at the end of a step), ``closed`` (finished
            properly) or ``interrupted`` (never closed).
        step: Number of steps recorded so far.
        steps_per_second: Over the last steps; NaN before the second one.
        overhead: None before it could be measured.
        dropped: Steps that were lost because the store could not keep up.
    """

    state: Literal["running", "paused", "closed", "interrupted"]
    step: int
    steps_per_second: float
    overhead: Overhead | None
    dropped: int


class Recording(Protocol):
    """The read-only surface that views, reports and the command line work on."""

    @property
    def title(self) -> str:
        """Name to show: the class of the model."""

    @property
    def meta(self) -> Mapping[str, str]:
        """Facts about the run: ``model``, ``created`` (ISO 8601), ``torch``, ``device``, ``optimizer``, ``rate`` ..."""

    @property
    def sites(self) -> Sequence[Site]:
        """All sites seen so far; a site's id is its position."""

    @property
    def layouts(self) -> Sequence[Layout]:
        """All layouts seen so far; a layout's id is its position."""

    @property
    def findings(self) -> list[Finding]:
        """All findings so far, in the order of their steps."""

    @property
    def status(self) -> Status:
        """Where the recording stands."""

    def records(self, start: int = 0) -> Iterator[StepRecord]:
        """Yield every stored step from number ``start`` on, in order; long runs keep the older ones in part."""

    def frame(self, kind: str) -> "pd.DataFrame":
        """Return all rows of one kind as a table."""

    def summary(self) -> "pd.DataFrame":
        """Return the newest row of every site."""

    def graph(self) -> ModuleGraph:
        """Return the newest module graph."""

    def details(self) -> list[Detail]:
        """Return the newest closer look at every layer that has one."""


@runtime_checkable
class LiveRecording(Recording, Protocol):
    """A recording that is still growing."""

    def subscribe(self, listener: Callable[[Sequence[StepRecord]], None]) -> Callable[[], None]:
        """Call ``listener`` with each new batch of steps, at most five times a second, from the store's thread.

        The first batch follows the last step that ``records()`` yields when called inside the listener's first call;
        a batch may repeat steps that the caller has read already: compare step numbers. An empty batch is sent once
        when the recording closes.

        Returns:
            A function that ends the subscription.
        """
