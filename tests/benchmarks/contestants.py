"""Copies of a model that take turns: what tools cost is told from their times.

Where a copy lies in memory makes a few percent of its time: so each runs bare as well, and is related to that.
"""

import random
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import torch

Times = dict[str, list[float]]

BARE = "bare"
"""The contestant that the others are related to."""


class Copy:
    """A contestant's own copy of the model and its optimizer."""

    def __init__(self, make: Callable[[], Any]) -> None:
        torch.manual_seed(0)
        self.model, self._loss = make()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3)

    def step(self) -> None:
        """Train for one step."""
        self.optimizer.zero_grad()
        self._loss(self.model).backward()
        self.optimizer.step()


def take_turns(turns: Mapping[str, Callable[[], float]], rounds: int) -> Times:
    """What each turn returned, by round; the order changes from round to round."""
    times: Times = {name: [] for name in turns}
    order = random.Random(0)
    for _ in range(rounds):
        for name in order.sample(list(turns), len(turns)):
            times[name].append(turns[name]())
    return times


def places(bare: Times) -> dict[str, float]:
    """How much longer each copy takes for bare steps, because of its place in memory."""
    return {name: median(a / b for a, b in zip(own, bare[BARE], strict=True)) for name, own in bare.items()}
