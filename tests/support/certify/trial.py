"""Trains a model in one mode, with or without a session, and collects everything that came of it."""

import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from certify.case import Case, call, tensors
from certify.listening import listening
from certify.outcome import Outcome, difference
from torch import nn

import deepseek

Log = Callable[[torch.Tensor], None]
Watch = Callable[[nn.Module, list[torch.optim.Optimizer]], AbstractContextManager[Log]]


@dataclass
class Training:
    """A model on its way.

    Attributes:
        model: What is called, and what is watched; perhaps a wrapper of the case's model.
        tools: Helpers with a state, such as a gradient scaler, by name.
        notes: What else must be equal, such as the outputs of evaluation passes.
    """

    case: Case
    model: nn.Module
    optimizers: list[torch.optim.Optimizer]
    tools: dict[str, Any] = field(default_factory=dict)
    notes: list[Any] = field(default_factory=list)

    def loss(self, turn: int = 0) -> torch.Tensor:
        """Draw a batch and compute its loss; ``turn`` counts the optimizers where each has a loss of its own."""
        return self.case.losses[turn % len(self.case.losses)](self.model, self.case.batch())


@dataclass(frozen=True)
class Mode:
    """A way of training.

    Attributes:
        step: Takes one step and returns its loss.
        prepare: Makes the model and the optimizers of a case.
        steps: Number of steps.
        fits: Whether the mode makes sense for a case of this name.
        ranks: Number of processes.
        watches: How the session watches; see ``WATCHES``. None leaves it to the matrix.
    """

    step: Callable[[Training, int], torch.Tensor]
    prepare: Callable[[Case], Training]
    steps: int = 4
    fits: Callable[[str, Case], bool] = lambda name, case: True
    ranks: int = 1
    watches: tuple[str, ...] | None = None


def first_difference(case: Case, mode: Mode, watch: Watch) -> str | None:
    """Train twice from the same seeds, unwatched and watched; say what differs, None when no bit does."""
    return difference(train(case, mode, nobody), train(case, mode, watch))


def train(case: Case, mode: Mode, watch: Watch) -> Outcome:
    """Train, and collect what came of it."""
    outcome = Outcome()
    with listening(outcome.said), _threads(case.threads):
        _seed(0)
        training = mode.prepare(case)
        _seed(1 + (dist.get_rank() if mode.ranks > 1 else 0))
        with watch(training.model, training.optimizers) as log:
            for step in range(mode.steps):
                loss = mode.step(training, step)
                outcome.after_step(step, loss, training.model)
                log(loss)
        training.notes += [tool.state_dict() for tool in training.tools.values()]
        outcome.at_end(training.model, training.optimizers, training.notes)
        outcome.after_training(_outputs(training))
    return outcome


@torch.no_grad()
def _outputs(training: Training) -> list[torch.Tensor]:
    training.model.eval()
    return tensors(call(training.model, training.case.batch()))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _seed(seed: int) -> None:
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the generator that users' code shares


@contextmanager
def nobody(_model: nn.Module, _optimizers: list[torch.optim.Optimizer]) -> Iterator[Log]:
    """Watch nothing."""
    yield lambda loss: None


def session(sessions: int = 1, **settings: Any) -> Watch:
    """Watch with as many sessions at once."""

    @contextmanager
    def watch(model: nn.Module, optimizers: list[torch.optim.Optimizer]) -> Iterator[Log]:
        watched = optimizers if len(optimizers) > 1 else optimizers[0]
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            opened = [
                stack.enter_context(deepseek.inspect(model, watched, run=Path(folder, f"{index}.dsrun"), **settings))
                for index in range(sessions)
            ]
            yield lambda loss: [session.log(loss=loss) for session in opened] and None

    return watch


def closely(layers: int = 12) -> Watch:
    """Look at layers closely in every step, while all else is watched at every second one."""

    @contextmanager
    def watch(model: nn.Module, optimizers: list[torch.optim.Optimizer]) -> Iterator[Log]:
        watched = optimizers if len(optimizers) > 1 else optimizers[0]
        names = [name for name, _ in model.named_modules() if name]
        chosen = names[:: -(-len(names) // layers)]
        with (
            tempfile.TemporaryDirectory() as folder,
            deepseek.inspect(model, watched, run=Path(folder, "0.dsrun"), every=2) as session,
        ):

            def ask(_loss: torch.Tensor | None = None) -> None:
                for name in chosen:
                    session.ask_detail(name)

            ask()
            yield ask
            assert session.details(), "no layer was looked at"

    return watch


WATCHES: dict[str, Watch] = {
    "every step": session(every=1),
    "every third step": session(every=3),
    "default budget": session(),
    "two sessions": session(2, every=1),
    "layers closely": closely(),
}
"""How sessions watch."""
