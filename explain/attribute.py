"""``explain.attribute``: attributions against one baseline or to the output of a layer, by captum where it is right."""

import time
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from deepseek.errors import DeepseekError
from deepseek.explain.attribution import Arrays, Attribution
from deepseek.explain.call import Call, Inputs, evaluating
from deepseek.explain.shapley.game import checked_background
from deepseek.explain.target import Chooser, Target

Method = Literal["integrated_gradients", "input_x_gradient", "feature_ablation"]

FIRST_STEPS, MOST_STEPS = 32, 1024
"""Points of the path: doubled from the first number until the gap is small, at most up to the second."""

SMALL_GAP = 1e-3
"""Share of the outputs' distance from their base values that the gap of a path may be."""

ROWS_AT_ONCE = 512


def attribute(
    model: nn.Module,
    inputs: Inputs,
    *,
    method: Method = "integrated_gradients",
    baseline: Any = None,
    target: Target = None,
    layer: str | None = None,
) -> Attribution:
    """Attribute outputs to the elements of the inputs, or of a layer's output, against one baseline.

    Args:
        model: Any module; it is evaluated in evaluation mode, and left as it was.
        inputs: A tensor ``[B, ...]``, a tuple (positional arguments), or a dict (keyword arguments).
        method: ``integrated_gradients`` (the path gets as many points as its gap needs), ``input_x_gradient``, or
            ``feature_ablation`` (each element alone is replaced by its baseline). ``explain.shap`` averages over many
            baselines and should be preferred where a single one would be arbitrary.
        baseline: One row as the inputs are, or as many as they have; zeros by default, which is noted in the result.
        target: None for all outputs; an index, an index for each row, or a function of what the model returns.
        layer: Name of a module whose output gets the attributions, instead of the inputs; with integrated gradients.

    Returns:
        Values, base values and completeness gap. The gap of methods other than integrated gradients is no error: their
        values need not add up.

    Raises:
        DeepseekError: An argument does not fit, an input holds whole numbers, or captum is not installed.

    Source: https://captum.ai
    """
    if method not in get_args(Method):
        raise DeepseekError(f"`method` must be one of {', '.join(get_args(Method))}, not {method!r}.")
    if layer is not None and method != "integrated_gradients":
        raise DeepseekError("`layer` goes with method='integrated_gradients' only.")
    began = time.perf_counter()
    call = Call(model, inputs)
    baselines, notes = _baselines(call, baseline, method)
    with evaluating(model), torch.no_grad():
        chooser = Chooser(target, call(), call.rows)
        base = chooser(call(None, baselines), torch.arange(call.rows))
        with torch.enable_grad():
            work = _Work(call, chooser, baselines, base, layer)
            values = work.values(method)
    if work.steps == MOST_STEPS and work.gap > SMALL_GAP:
        notes.append(
            f"The path's gap is {work.gap:.1e} of the effect even with {MOST_STEPS} points: not smooth enough."
        )
    single = chooser.single
    numbers = [tensor.detach().cpu().double().numpy() for tensor in (base, chooser.initial)]
    return Attribution(
        values_by_input={name: part[..., 0] if single else part for name, part in values.items()},
        data_by_input=_data(call, model, layer),
        base_values=numbers[0][:, 0] if single else numbers[0],
        outputs=numbers[1][:, 0] if single else numbers[1],
        method=method if layer is None else f"{method} to {layer}",
        target=chooser.description,
        background="zeros" if baseline is None else "a baseline",
        evaluations=work.evaluations,
        seconds=time.perf_counter() - began,
        notes=tuple(notes),
    )


class _Work:
    """Runs captum, output by output."""

    def __init__(
        self, call: Call, chooser: Chooser, baselines: dict[str, Tensor], base: Tensor, layer: str | None
    ) -> None:
        self.evaluations = 0
        self.steps = 0
        self.gap = 0.0
        self._call, self._chooser, self._layer = call, chooser, layer
        self._names = call.explained
        self._inputs = tuple(call.tensors[name].detach() for name in self._names)
        self._baselines = tuple(baselines[name] for name in self._names)
        self._reach = max(float((chooser.initial - base).abs().max()), 1e-30)

    def values(self, method: Method) -> Arrays:
        """Return the attributions by name, ``[B, ..., K]``."""
        try:
            from captum import attr
        except ImportError as error:
            raise DeepseekError("`attribute` needs captum: pip install captum") from error
        parts = []
        for output in range(self._chooser.count):
            forward = self._forward(output)
            if method == "integrated_gradients":
                parts.append(self._integrated(attr, forward))
            elif method == "input_x_gradient":
                parts.append(attr.InputXGradient(forward).attribute(self._moving(), **self._rows()))
            else:
                ablation = attr.FeatureAblation(forward)
                parts.append(ablation.attribute(self._inputs, baselines=self._baselines, **self._rows()))
        names = self._names if self._layer is None else (self._layer,)
        return {
            name: torch.stack([part[place].detach().double() for part in parts], -1).cpu().numpy()
            for place, name in enumerate(names)
        }

    def _integrated(self, attr: Any, forward: Any) -> tuple[Tensor, ...]:
        method = attr.IntegratedGradients(forward)
        if self._layer is not None:
            method = attr.LayerIntegratedGradients(forward, _module(self._call.model, self._layer))
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


def _baselines(call: Call, baseline: Any, method: str) -> tuple[dict[str, Tensor], list[str]]:
    for name in call.explained:
        if not call.tensors[name].is_floating_point():
            raise DeepseekError(
                f"{method} needs floating-point inputs, and {name} holds {call.tensors[name].dtype}: use explain.shap."
            )
    if baseline is None:
        zeros = {name: torch.zeros_like(call.tensors[name]) for name in call.explained}
        return zeros, ["The baseline is zeros, for want of a better one: another may change the answer."]
    rows = checked_background(call, baseline)
    counts = {len(row) for row in rows.values()}
    if not counts <= {1, call.rows}:
        raise DeepseekError(f"`baseline` must hold one row, or {call.rows} as the inputs do, not {max(counts)}.")
    return {name: row.expand_as(call.tensors[name]).contiguous() for name, row in rows.items()}, []


def _data(call: Call, model: nn.Module, layer: str | None) -> Arrays:
    """What gets the attributions: the inputs, or what a layer gives for them, ``[B, ...]``."""
    if layer is not None:
        seen: list[Tensor] = []
        handle = _module(model, layer).register_forward_hook(lambda _module, _args, output: seen.append(output))
        try:
            with evaluating(model), torch.no_grad():
                call()
        finally:
            handle.remove()
        return {layer: seen[0].detach().cpu().double().numpy()}
    return {name: call.tensors[name].detach().cpu().double().numpy() for name in call.explained}


def _module(model: nn.Module, name: str) -> nn.Module:
    modules: dict[str, nn.Module] = dict(model.named_modules())
    if name not in modules:
        raise DeepseekError(f"There is no layer {name!r}: there are {', '.join(list(modules)[1:20])}.")
    return modules[name]
