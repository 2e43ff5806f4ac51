"""``explain.attribute``: attributions against one baseline or to the output of a layer, by captum where it is right."""

import time
from dataclasses import replace
from typing import Any, get_args

import torch
from torch import Tensor, nn

from deepseek.errors import DeepseekError
from deepseek.explain.attribution import Arrays, Attribution
from deepseek.explain.by_captum import MOST_STEPS, SMALL_GAP, Captum, Method, module
from deepseek.explain.call import Call, Inputs
from deepseek.explain.shapley.game import checked_background
from deepseek.explain.shapley.players import Groups, Players
from deepseek.explain.target import Chooser, Target
from deepseek.kernels.evaluating import evaluating


def attribute(
    model: nn.Module,
    inputs: Inputs,
    *,
    method: Method = "integrated_gradients",
    baseline: Any = None,
    target: Target = None,
    layer: str | None = None,
    groups: Groups = None,
) -> Attribution:
    """Attribute outputs to the elements of the inputs, or of a layer's output, against one baseline.

    Args:
        model: Any module; it is evaluated in evaluation mode, and left as it was.
        inputs: A tensor ``[B, ...]``, a tuple (positional arguments), or a dict (keyword arguments).
        method: ``integrated_gradients`` (a path of 32 points, doubled until its gap is at most 0.1 % of the effect, up
            to 1,024; a note says when that was not enough), ``input_x_gradient``, ``feature_ablation`` (each feature or
            group alone is replaced by its baseline), or ``deep_lift`` (captum's, refused for models for which it is
            known to be wrong; ``explain.shap`` with ``method="deeplift"`` follows them all). ``explain.shap`` averages
            over many baselines and should be preferred where a single one would be arbitrary.
        baseline: One row as the inputs are, or as many as they have; zeros by default, which is noted in the result.
        target: None for all outputs; an index, an index for each row, or a function of what the model returns.
        layer: Name of a module whose output gets the attributions, instead of the inputs; with integrated gradients.
        groups: Which features count as one, and which stay as they are; see ``explain.shap``.

    Returns:
        Values, base values and completeness gap. The gap of gradients and of ablation is no error: their values need
        not add up.

    Raises:
        DeepseekError: An argument does not fit, an input holds whole numbers, captum is not installed, or its DeepLIFT
            would be wrong for the model.

    Source: https://captum.ai
    """
    if method not in get_args(Method):
        raise DeepseekError(f"`method` must be one of {', '.join(get_args(Method))}, not {method!r}.")
    if layer is not None and method != "integrated_gradients":
        raise DeepseekError("`layer` goes with method='integrated_gradients' only.")
    if layer is not None and groups is not None:
        raise DeepseekError("`groups` are of the inputs, and `layer` asks for the output of a layer: pass one of them.")
    began = time.perf_counter()
    call = Call(model, inputs)
    players = Players(call, groups)
    baselines, notes = _baselines(call, baseline, method)
    baselines = players.absent(call, baselines)
    with evaluating(model), torch.no_grad():
        chooser = Chooser(target, call(), call.rows)
        base = chooser(call(None, baselines), torch.arange(call.rows))
        with torch.enable_grad():
            work = Captum(call, players, chooser, baselines, base, layer)
            values = work.values(method)
    values, data = (
        (players.collected(values), players.data(call)) if layer is None else (values, _data_of(call, model, layer))
    )
    single = chooser.single
    numbers = [tensor.detach().cpu().double().numpy() for tensor in (base, chooser.initial)]
    found = Attribution(
        values_by_input={name: part[..., 0] if single else part for name, part in values.items()},
        data_by_input=data,
        base_values=numbers[0][:, 0] if single else numbers[0],
        outputs=numbers[1][:, 0] if single else numbers[1],
        method=method if layer is None else f"{method} to {layer}",
        target=chooser.description,
        background=_named(call, baseline),
        evaluations=work.evaluations,
        seconds=time.perf_counter() - began,
        groups=None if layer else players.groups,
        **({} if layer else players.labels),
    )
    return replace(found, notes=(*notes, *_doubts(found, method, work)))


def _doubts(found: Attribution, method: Method, work: Captum) -> list[str]:
    """What a gap says that should not be there."""
    if work.steps == MOST_STEPS and work.gap > SMALL_GAP:
        return [f"The path's gap is {work.gap:.1e} of the effect even with {MOST_STEPS} points: not smooth enough."]
    if method == "deep_lift" and found.relative_gap > SMALL_GAP:
        return [
            f"captum's DeepLift leaves {found.relative_gap:.1e} of the effect unexplained: do not rely on it, but on "
            "explain.shap with method='deeplift'."
        ]
    return []


def _baselines(call: Call, baseline: Any, method: str) -> tuple[dict[str, Tensor], list[str]]:
    whole = [name for name in call.explained if not call.tensors[name].is_floating_point()]
    if whole and method == "feature_ablation":
        raise DeepseekError(
            f"{method} needs floating-point inputs, and {whole[0]} holds {call.tensors[whole[0]].dtype}: use "
            "explain.shap."
        )
    if baseline is None and call.features.background is None:
        if whole:
            raise DeepseekError(
                f"`baseline` is missing: {whole[0]} holds whole numbers, so pass those of an absent token."
            )
        zeros = {name: torch.zeros_like(call.tensors[name]) for name in call.explained}
        return zeros, ["The baseline is zeros, for want of a better one: another may change the answer."]
    rows = checked_background(call, baseline)
    counts = {len(row) for row in rows.values()}
    if not counts <= {1, call.rows}:
        raise DeepseekError(f"`baseline` must hold one row, or {call.rows} as the inputs do, not {max(counts)}.")
    return {name: row.expand_as(call.tensors[name]).contiguous() for name, row in rows.items()}, []


def _named(call: Call, baseline: Any) -> str:
    if baseline is None:
        return call.features.absent or "zeros"
    return "a baseline"


def _data_of(call: Call, model: nn.Module, layer: str) -> Arrays:
    """What a layer gives for the inputs, ``[B, ...]``."""
    seen: list[Tensor] = []
    handle = module(model, layer).register_forward_hook(lambda _layer, _args, output: seen.append(output))
    try:
        with evaluating(model), torch.no_grad():
            call()
    finally:
        handle.remove()
    return {layer: seen[0].detach().cpu().double().numpy()}
