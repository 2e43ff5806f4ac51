"""Notices that a step was cut short, by Ctrl-C or an error, so that its rows do not mix with those of the next try."""

import threading
from contextlib import suppress
from typing import Any, Literal

import torch
from torch import nn
from torch._C import _current_graph_task_id as current_graph_task_id

from deepseek.inspector.frames import calling_frames

Stage = Literal["forward", "backward", "update"]


class Interruption:
    """What a step has begun and not finished."""

    def __init__(self) -> None:
        self._unfinished: Stage | None = None
        self._thread = 0
        self._task = -1
        self._in_closure = False
        self._nested = 0

    def forward_runs(self) -> None:
        """A forward of the whole model begins."""
        self._unfinished = "forward"
        self._thread = threading.get_ident()

    def forward_ended(self) -> None:
        """The forward has returned."""
        if self._unfinished == "forward":
            self._unfinished = None

    def backward_runs(self) -> None:
        """A gradient arrives; the engine tells when this backward pass is over."""
        task = current_graph_task_id()
        if task not in (-1, self._task):
            self._task = task
            with suppress(RuntimeError):  # compiled autograd takes no callbacks
                torch.autograd.Variable._execution_engine.queue_callback(self._backward_ended)
                self._unfinished = "backward"
                self._thread = threading.get_ident()

    def update_runs(self, *, closure: bool) -> None:
        """An optimizer step begins; its closure, if any, runs forwards and backwards."""
        self._unfinished = "update"
        self._in_closure = closure

    def update_is_nested(self, optimizer: torch.optim.Optimizer) -> bool:
        """Whether the step that begins now is called by a step of the same optimizer, as in a derived class."""
        nested = self._unfinished == "update" and _is_stepping(optimizer)
        self._nested += nested
        return nested

    def update_ended(self) -> bool:
        """The optimizer has stepped; return whether it was the whole step, not a nested one."""
        if self._nested:
            self._nested -= 1
            return False
        self._unfinished = None
        self._in_closure = False
        return True

    def happened(self, model: nn.Module) -> bool:
        """Whether the forward that begins now is a new try after something that never ended."""
        if self._unfinished is None or self._in_closure:
            return False
        if self._unfinished == "forward":
            return self._thread == threading.get_ident() and not _is_recursive(model)
        return True

    def update_was_interrupted(self) -> bool:
        """Whether the optimizer step that begins now follows on one that never ended."""
        return self._unfinished == "update"

    def clear(self) -> Stage:
        """Forget what was unfinished and return it."""
        stage, self._unfinished = self._unfinished or "forward", None
        self._in_closure = False
        self._nested = 0
        return stage

    def _backward_ended(self) -> None:
        if self._unfinished == "backward":
            self._unfinished = None


def _is_recursive(model: nn.Module) -> bool:
    """Whether the model is calling itself."""
    return _calls(nn.Module._call_impl, model) > 1


def _is_stepping(optimizer: torch.optim.Optimizer) -> bool:
    """Whether a step of the optimizer calls another one; torch runs the hooks of both."""
    return _calls(type(optimizer).step, optimizer) > 1


def _calls(method: Any, owner: object) -> int:
    """How many calls of a method of ``owner`` are in progress in this thread."""
    code = getattr(method, "__code__", None)
    return sum(frame.f_code is code and frame.f_locals.get("self") is owner for frame in calling_frames())
