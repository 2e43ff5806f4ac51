"""Attributions by captum, for ``explain.attribute``."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from deepseek.errors import DeepseekError
from deepseek.explain.attribution import Arrays
from deepseek.explain.call import Call
from deepseek.explain.captum_deeplift import as_module, refuse_where_wrong
from deepseek.explain.shapley.players import Players
from deepseek.explain.target import Chooser

Method = Literal["integrated_gradients", "input_x_gradient", "feature_ablation", "deep_lift"]

FIRST_STEPS, MOST_STEPS = 32, 1024
"""Points of the path: doubled from the first number until the gap is small, at most up to the second."""

SMALL_GAP = 1e-3
"""Share of the outputs' distance from their base values that the gap may be."""

ROWS_AT_ONCE = 512
"""Rows that the model computes at once."""


class Captum:
    """Runs captum, output by output.

    Args:
        call: The model with its inputs, in evaluation mode.
        players: Which features are replaced together where they are ablated.
        chooser: Which outputs.
        baselines: By name of the explained input, ``[B, ...]``.
        base: Outputs for the baselines, ``[B, K]``.
        layer: Name of the module whose output gets the attributions; None for the inputs.

    Attributes:
        evaluations: Rows that the model has computed.
        steps: Most points that a path had.
        gap: Largest gap of a path, relative to the largest distance of an output from its base value.
    """

    def __init__(
        self,
        call: Call,
        players: Players,
        chooser: Chooser,
        baselines: dict[str, Tensor],
        base: Tensor,
        layer: str | None,
    ) -> None:
        self.evaluations = 0
        self.steps = 0
        self.gap = 0.0
        self._call, self._players, self._chooser, self._layer = call, players, chooser, layer
        self._names = call.explained
        self._inputs = tuple(call.points(name, call.tensors[name].detach()) for name in self._names)
        self._by_name = baselines
        self._baselines = tuple(call.points(name, baselines[name]) for name in self._names)
        self._reach = max(float((chooser.initial - base).abs().max()), 1e-30)

    def values(self, method: Method) -> Arrays:
        """Return the attributions by name, ``[B, ..., K]``.

        Raises:
            DeepseekError: captum is not installed, or known to be wrong for this model.
        """
        try:
            from captum import attr
        except ImportError as error:
            raise DeepseekError("`attribute` needs captum: pip install captum") from error
        if method == "deep_lift":
            refuse_where_wrong(self._call, self._chooser, self._by_name)
        compute = {
            "integrated_gradients": self._integrated,
            "input_x_gradient": self._gradient,
            "feature_ablation": self._ablated,
            "deep_lift": self._lifted,
        }[method]
        parts = [compute(attr, self._forward(output)) for output in range(self._chooser.count)]
        names = self._names if self._layer is None else (self._layer,)
        return {
            name: torch.stack([self._own(name, part[place]) for part in parts], -1).cpu().numpy()
            for place, name in enumerate(names)
        }

    def _own(self, name: str, values: Tensor) -> Tensor:
        """Attributions in the shape of the input: a token gets what all of its vector gets."""
        values = values.detach().double()
        embedded = self._layer is None and values.dim() > self._call.tensors[name].dim()
        return values.sum(-1) if embedded else values

    def _integrated(self, attr: Any, forward: Any) -> tuple[Tensor, ...]:
        method = attr.IntegratedGradients(forward)
        if self._layer is not None:
            method = attr.LayerIntegratedGradients(forward, module(self._call.model, self._layer))
        steps = FIRST_STEPS
        while True:
            values, gaps = method.attribute(
                self._moving(),
                baselines=self._baselines,
                n_steps=steps,
                internal_batch_size=ROWS_AT_ONCE,
                return_convergence_delta=True,
                **self._rows(),
            )
            self.steps = max(self.steps, steps)
            gap = float(gaps.abs().max()) / self._reach
            if gap <= SMALL_GAP or steps == MOST_STEPS:
                self.gap = max(self.gap, gap)
                return values if isinstance(values, tuple) else (values,)
            steps *= 2

    def _gradient(self, attr: Any, forward: Any) -> tuple[Tensor, ...]:
        found: tuple[Tensor, ...] = attr.InputXGradient(forward).attribute(self._moving(), **self._rows())
        return found

    def _ablated(self, attr: Any, forward: Any) -> tuple[Tensor, ...]:
        """Each of a group's features gets its share of what replacing all of them does."""
        parts = [self._players.shares(name) for name in self._names]
        devices = [tensor.device for tensor in self._inputs]
        found = attr.FeatureAblation(forward).attribute(
            self._inputs,
            baselines=self._baselines,
            feature_mask=tuple(players.to(device) for (players, _), device in zip(parts, devices, strict=True)),
            perturbations_per_eval=max(1, ROWS_AT_ONCE // self._call.rows),
            **self._rows(),
        )
        return tuple(values.cpu() * shares for values, (_, shares) in zip(found, parts, strict=True))

    def _lifted(self, attr: Any, forward: Any) -> tuple[Tensor, ...]:
        import warnings

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Setting forward, backward hooks", category=UserWarning)
            found: tuple[Tensor, ...] = attr.DeepLift(as_module(self._call.model, forward)).attribute(
                self._moving(), baselines=self._baselines, **self._rows()
            )
        return found

    def _forward(self, output: int) -> Any:
        def forward(*given: Tensor) -> Tensor:
            *tensors, rows = given
            self.evaluations += len(rows)
            replaced = dict(zip(self._names, tensors, strict=True))
            return self._chooser(self._call(rows, replaced), rows)[:, output]

        return forward

    def _moving(self) -> tuple[Tensor, ...]:
        return tuple(tensor.clone().requires_grad_() for tensor in self._inputs)

    def _rows(self) -> dict[str, Any]:
        return {"additional_forward_args": (torch.arange(self._call.rows),)}


def module(model: nn.Module, name: str) -> nn.Module:
    """Return the module of a name.

    Raises:
        DeepseekError: There is none.
    """
    modules: dict[str, nn.Module] = dict(model.named_modules())
    if name not in modules:
        raise DeepseekError(f"There is no layer {name!r}: there are {', '.join(list(modules)[1:20])}.")
    return modules[name]
