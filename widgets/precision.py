"""What an ``AdaptivePrecision`` decided, as views show it: layers x revisions, each decision with its evidence."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepseek.inspector.precision import PRECISION
from deepseek.inspector.record import StepRecord
from deepseek.inspector.rules.harmful_precision import is_harmful
from deepseek.widgets.message_types import Precision, Revision
from deepseek.widgets.messages import finite, name_text

MAX_DECISIONS = 1000
MAX_REVISIONS = 60
"""What is kept of the newest decisions: a message holds 150 kB of them at most."""

TEXTS = ("dtype", "reason", "underflow_in", "subnormal_in", "overflow_in", "noise_in")
NUMBERS = ("numel", "gradient_norm", "underflow_frac", "subnormal_frac", "overflow_frac", "noise_frac")

SKIPPED = "step_skipped"
"""Kind of the events that tell of steps which a gradient scaler left out."""

Arrays = dict[str, NDArray[np.float32] | NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on one layer, whatever a run file held.

    Attributes:
        layer: Name of the layer.
        texts: ``TEXTS`` by name.
        numbers: ``NUMBERS`` by name; NaN for what is not there.
    """

    layer: str
    texts: Mapping[str, str]
    numbers: Mapping[str, float]

    @property
    def harmful(self) -> bool:
        """Whether the layer loses more in half precision than it should."""
        return is_harmful({**self.texts, **self.numbers})


class PrecisionTable:
    """Keeps the newest revisions: the decisions that were made in one step.

    Attributes:
        count: Number of revisions so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._revisions: list[Revision] = []
        self._decisions: list[list[Decision]] = []
        self._skipped_before = 0

    def update(self, record: StepRecord) -> None:
        """Take what happened in a step; a step that was skipped counts for the decisions in force."""
        skipped = sum(event.kind == SKIPPED for event in record.events)
        if self._revisions:
            self._revisions[-1]["skipped"] += skipped
        else:
            self._skipped_before += skipped
        rows = [event.data for event in record.events if event.kind == PRECISION][:MAX_DECISIONS]
        if rows:
            self._revisions.append(_revision(record.step, rows[0]))
            self._decisions.append([_decision(row) for row in rows])
            self.count += 1
            self._trim()

    @property
    def newest(self) -> list[Decision]:
        """The decisions in force, none before the first."""
        return self._decisions[-1] if self._decisions else []

    def described(self) -> tuple[Precision, Arrays] | None:
        """Return the revisions as a part of a message, and its arrays; None before the first one."""
        if not self._revisions:
            return None
        layers, texts = _Numbered(), _Numbered()
        decisions = [(place, each) for place, revision in enumerate(self._decisions) for each in revision]
        places = [
            (place, layers[each.layer], each.harmful, *(texts[text] for text in each.texts.values()))
            for place, each in decisions
        ]
        info: Precision = {
            "layers": list(layers),
            "texts": list(texts),
            "earlier": self.count - len(self._revisions),
            "skipped_before": self._skipped_before,
            "revisions": [revision.copy() for revision in self._revisions],
        }
        numbers = np.array([tuple(each.numbers.values()) for _, each in decisions])
        with np.errstate(over="ignore"):
            return info, {"decisions": np.array(places, np.int32).T, "evidence": numbers.astype(np.float32).T}

    def _trim(self) -> None:
        while len(self._revisions) > MAX_REVISIONS or sum(map(len, self._decisions)) > MAX_DECISIONS:
            self._skipped_before += self._revisions.pop(0)["skipped"]
            del self._decisions[0]


class _Numbered(dict[str, int]):
    """Texts with their numbers, which they get when they are first asked for."""

    def __missing__(self, text: str) -> int:
        self[text] = len(self)
        return self[text]


def _revision(step: int, row: Mapping[str, float | str]) -> Revision:
    epoch = finite(_number(row, "epoch"))
    return {
        "step": int(step),
        "epoch": 0 if epoch is None else int(epoch),
        "policy": _text(row, "policy"),
        "half": _text(row, "half"),
        "loss_scale": finite(_number(row, "loss_scale")),
        "skipped": 0,
    }


def _decision(row: Mapping[str, float | str]) -> Decision:
    texts = {name: _text(row, name) for name in TEXTS}
    return Decision(_text(row, "layer") or "(model)", texts, {name: _number(row, name) for name in NUMBERS})


def _text(row: Mapping[str, float | str], name: str) -> str:
    return name_text(str(row.get(name, "")))


def _number(row: Mapping[str, float | str], name: str) -> float:
    value = row.get(name)
    return float(value) if isinstance(value, (int, float)) else np.nan
