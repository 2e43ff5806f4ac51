"""One training step in float32 in which the layers are measured, by their forwards and by hooks on tensors."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch._C import _current_autograd_node as current_autograd_node

from deepseek.kernels.precision.evidence import FORWARD, Evidence, Role
from deepseek.kernels.precision.exponents import HALVES, NOTHING, ExponentCounts, count_exponents
from deepseek.kernels.precision.rounding import map_floats, rounded


class Survey:
    """Measures layers until an optimizer steps. What fails here ends the survey and never reaches training.

    Args:
        layers: The layers by name.

    Attributes:
        error: What made the survey fail; None as long as nothing did.
    """

    def __init__(self, layers: Mapping[str, nn.Module]) -> None:
        self.error: Exception | None = None
        self._tallies = {name: _Tally(name, layer) for name, layer in layers.items()}
        self._handles = [
            parameter.register_hook(partial(self._gradient, tally, "weight_gradient"))
            for tally in self._tallies.values()
            for parameter in tally.parameters
            if parameter.requires_grad
        ]

    @property
    def is_complete(self) -> bool:
        """Whether a backward pass was seen, or nothing more will be."""
        return self.error is not None or any("weight_gradient" in tally.counts for tally in self._tallies.values())

    def entering(self, layer: str, args: Any) -> None:
        """Measure the inputs of a layer, unless checkpointing computes it once more."""
        if current_autograd_node() is None:
            tally = self._tallies[layer]
            self._guard(lambda: map_floats(args, partial(tally.add_forward, "input")))

    def leaving(self, layer: str, output: Any) -> None:
        """Measure the outputs of a layer, and have their gradients measured."""
        self._guard(lambda: map_floats(output, partial(self._watch, self._tallies[layer])))

    def finish(self, gradient_scale: float) -> list[Evidence]:
        """End the survey when the optimizer is about to step.

        Args:
            gradient_scale: What the gradients of the parameters are still multiplied with.
        """
        self.close()
        if self.error is not None:
            raise self.error
        return [tally.evidence(gradient_scale) for tally in self._tallies.values()]

    def close(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _watch(self, tally: "_Tally", output: Tensor) -> Tensor:
        if current_autograd_node() is None:
            tally.add_forward("output", output)
        if output.requires_grad:
            self._handles.append(output.register_hook(partial(self._gradient, tally, "output_gradient")))
        return output

    def _gradient(self, tally: "_Tally", role: Role, gradient: Tensor) -> None:
        self._guard(lambda: tally.add(role, gradient))

    def _guard(self, action: Callable[[], object]) -> None:
        if self.error is None:
            try:
                action()
            except Exception as error:  # noqa: BLE001 - whatever fails inside us must not reach training
                self.error = error


class _Tally:
    """What was measured of a layer so far."""

    def __init__(self, name: str, layer: nn.Module) -> None:
        self.name = name
        self.parameters = list(layer.parameters())
        self.counts: dict[Role, ExponentCounts] = {}
        self._signal = dict.fromkeys(FORWARD, 0.0)
        self._noise = {dtype: dict.fromkeys(FORWARD, 0.0) for dtype in HALVES}

    def add(self, role: Role, tensor: Tensor) -> None:
        self.counts[role] = self.counts.get(role, NOTHING) + count_exponents(tensor)

    def add_forward(self, role: Role, tensor: Tensor) -> Tensor:
        """Count the values, and measure what rounding would hide of the variance along the first dimension."""
        self.add(role, tensor)
        if tensor.ndim > 1 and len(tensor) > 1:
            with torch._C.DisableTorchFunction(), torch.no_grad():
                values = tensor.detach().double()
                self._signal[role] += float((values - values.mean(0)).square().sum())
                for dtype in HALVES:
                    # What overflows is counted as such: here it would hide all else.
                    wrong = (values - rounded(tensor.detach(), dtype)).nan_to_num_(0.0, 0.0, 0.0)
                    self._noise[dtype][role] += float(wrong.square().sum())
        return tensor

    def evidence(self, gradient_scale: float) -> Evidence:
        for parameter in self.parameters:
            self.add_forward("weight", parameter)
        numel = sum(parameter.numel() for parameter in self.parameters)
        noise = {dtype: self._shares(found) for dtype, found in self._noise.items()}
        return Evidence(self.name, numel, self.counts, self._norm() / gradient_scale, noise)

    def _shares(self, noise: Mapping[Role, float]) -> dict[Role, float]:
        return {role: noise[role] / self._signal[role] if self._signal[role] else 0.0 for role in FORWARD}

    def _norm(self) -> float:
        norms = [
            float(torch.linalg.vector_norm(p.grad.detach().float())) for p in self.parameters if p.grad is not None
        ]
        return math.hypot(*norms)
