"""A small model, its steps, and what its rows should look like: for the tests of ordinary life."""

import operator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import torch
from torch import nn

from deepseek.inspector import Session, inspect

KINDS = ("activation", "activation_gradient", "gradient", "parameter", "update")
INPUTS = torch.linspace(-1, 1, 32).reshape(8, 4)


def make(*inner: nn.Module) -> tuple[nn.Sequential, torch.optim.Optimizer]:
    """Four inputs, two outputs, eight units between them that go through ``inner``."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), *inner, nn.Linear(8, 2))
    return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def step(model: nn.Module, optimizer: torch.optim.Optimizer, inputs: torch.Tensor = INPUTS) -> float:
    """Train one step and return the loss."""
    optimizer.zero_grad()
    loss = model(inputs).square().mean()
    loss.backward()
    optimizer.step()
    return loss.item()


def watch(model: nn.Module, optimizer: Any, folder: Any, **options: Any) -> Session:
    """Observe every step."""
    return inspect(model, optimizer, **{"every": 1, "run": folder / f"{len(list(folder.iterdir()))}.dsrun", **options})


def counts(session: Session, kind: str = "activation") -> dict[int, dict[str, int]]:
    """How many rows of one kind each site has, by step."""
    rows = session.frame(kind)
    return {number: dict(part["site"].value_counts()) for number, part in rows.groupby("step")}


def repeated(session: Session) -> list[Any]:
    """Rows that a plain step, with one forward and one backward, would have only once."""
    tables = [session.frame(kind).assign(kind=kind) for kind in KINDS]
    return [row for table in tables for row in table.loc[table["call"] > 0, ["kind", "step", "site"]].values.tolist()]


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of all parameters and buffers."""
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether two states are equal to the last bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def hooks(model: nn.Module) -> int:
    """The number of hooks on modules and parameters."""
    on_modules = sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())
    return on_modules + sum(len(parameter._post_accumulate_grad_hooks or ()) for parameter in model.parameters())


def call_in_spawned_process(model: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Send the model to a new process, call it there and return its output."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(operator.call, model, inputs).result(timeout=120)
