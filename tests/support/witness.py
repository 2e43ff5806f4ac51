"""An independent witness: copies what torch computes by hooks of its own, and says what the rows should be."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from deepseek.kernels.summary import COLUMNS

TOLERANCE = 1e-5


def columns(values: np.ndarray) -> np.ndarray:
    """The columns of a summary by plain numpy in float64."""
    values = values.astype(np.float64).ravel()
    finite = values[np.isfinite(values)]
    some = len(finite) > 0
    squares = float(np.sum(finite**2))
    magnitudes = np.abs(values)
    return np.array(
        [
            finite.mean() if some else math.nan,
            finite.std() if some else math.nan,
            math.sqrt(squares),
            math.sqrt(squares / len(finite)) if some else math.nan,
            finite.min() if some else math.nan,
            finite.max() if some else math.nan,
            np.abs(finite).max() if some else math.nan,
            (values == 0).mean(),
            ((values > 0) & np.isfinite(values)).mean(),
            len(values) - len(finite),
            ((magnitudes > 0) & (magnitudes < 2.0**-14)).mean(),
            ((magnitudes >= 65520.0) & np.isfinite(values)).mean(),
        ]
    )


class Witness:
    """Hooks on leaf modules, parameters and optimizers that clone every tensor. Use as a context manager.

    Args:
        model: The model.
        optimizers: A step ends when each of them has stepped.
        scale: Gives the loss scale that gradients arrive with.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizers: Sequence[torch.optim.Optimizer],
        scale: Callable[[], float] = lambda: 1.0,
        local: Callable[[torch.Tensor], torch.Tensor] = lambda tensor: tensor,
    ) -> None:
        self.rows: dict[tuple[str, int, str, int], np.ndarray] = {}
        self.step = 0
        self._model, self._optimizers, self._scale, self._local = model, optimizers, scale, local
        self._names = {id(parameter): name for name, parameter in model.named_parameters()}
        self._calls: Counter[tuple[str, str]] = Counter()
        self._stepped: set[int] = set()
        self._accumulated: dict[int, torch.Tensor] = {}
        self._before: dict[int, torch.Tensor] = {}
        self._handles: list[Any] = []

    def __enter__(self):
        for name, module in self._model.named_modules():
            if next(module.children(), None) is None:
                self._handles.append(module.register_forward_hook(self._output(name)))
        for parameter in self._model.parameters():
            self._handles.append(parameter.register_post_accumulate_grad_hook(self._gradient))
        for optimizer in self._optimizers:
            self._handles.append(optimizer.register_step_pre_hook(self._before_step))
            self._handles.append(optimizer.register_step_post_hook(self._after_step))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def end_step(self) -> None:
        self.step += 1
        self._calls.clear()
        self._stepped.clear()
        self._accumulated.clear()

    def differences(self, session: Any, kinds: Sequence[str]) -> list[str]:
        """Say what the session recorded otherwise, or did not record, or made up."""
        found = []
        for kind in kinds:
            table = session.frame(kind)
            got = {
                (kind, step, site, call): row
                for step, site, call, row in zip(
                    table["step"], table["site"], table["call"], table[list(COLUMNS)].to_numpy(), strict=True
                )
                if ":" not in site
            }
            expected = {key: row for key, row in self.rows.items() if key[0] == kind}
            found += [f"missing {key}" for key in expected.keys() - got.keys()]
            found += [f"made up {key}" for key in got.keys() - expected.keys()]
            found += [
                f"{key}: {got[key]} is not {expected[key]}"
                for key in got.keys() & expected.keys()
                if not _close(got[key], expected[key])
            ]
        return found

    def _output(self, name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            if torch._C._current_autograd_node() is not None or not isinstance(output, torch.Tensor):
                return
            kind = "activation" if torch.is_grad_enabled() or not self._optimizers else "eval_activation"
            call = self._next(kind, name)
            self._add(kind, name, call, output)
            if output.requires_grad:
                output.register_hook(self._output_gradient(name, call))

        return hook

    def _output_gradient(self, name: str, call: int) -> Callable[[torch.Tensor], None]:
        def hook(gradient: torch.Tensor) -> None:
            self._add("activation_gradient", name, call, gradient, self._scale())

        return hook

    def _gradient(self, parameter: torch.Tensor) -> None:
        name = self._names[id(parameter)]
        self._add("gradient", name, self._next("gradient", name), parameter.grad, self._scale())
        self._accumulated[id(parameter)] = self._local(parameter.grad).detach().clone()

    def _before_step(self, optimizer: torch.optim.Optimizer, args: Any, _kwargs: Any) -> None:
        closure = len(args) > 1 and args[1] is not None
        for parameter in _parameters(optimizer):
            if parameter.grad is not None or closure:
                self._before[id(parameter)] = self._local(parameter.detach()).clone()
            if parameter.grad is not None and not closure:
                self._applied(parameter)

    def _applied(self, parameter: torch.Tensor) -> None:
        name, gradient = self._names[id(parameter)], self._local(parameter.grad)
        before = self._accumulated.get(id(parameter))
        self.rows["applied", self.step, name, 0] = _numpy(gradient)
        if before is None or not torch.equal(before, gradient):
            self._add("applied_gradient", name, 0, gradient)

    def _after_step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        for parameter in _parameters(optimizer):
            name, before = self._names[id(parameter)], self._before.pop(id(parameter), None)
            call = self._next("parameter", name)
            self._add("parameter", name, call, parameter)
            if before is not None:
                moved = self._local(parameter.detach()).double() - before.double()
                self._add("update", name, call, moved)
        self._stepped.add(id(optimizer))
        if self._stepped == {id(each) for each in self._optimizers}:
            self.end_step()

    def _add(self, kind: str, name: str, call: int, tensor: torch.Tensor, scale: float = 1.0) -> None:
        self.rows[kind, self.step, name, call] = columns(_numpy(self._local(tensor)) / scale)

    def _next(self, kind: str, name: str) -> int:
        self._calls[kind, name] += 1
        return self._calls[kind, name] - 1


def _parameters(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().to(torch.float64).numpy().copy()


def _close(got: np.ndarray, expected: np.ndarray) -> bool:
    scale = expected[6] if np.isfinite(expected[6]) else 1.0
    return bool(np.allclose(got, expected, rtol=TOLERANCE, atol=TOLERANCE * scale, equal_nan=True))
