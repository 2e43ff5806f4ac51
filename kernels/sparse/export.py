"""A gated network of one width as a plain one: to fine-tune, to compile, for ``torch.export`` and ONNX."""

import copy
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from deepseek.errors import DeepseekError
from deepseek.kernels.evaluating import evaluating
from deepseek.kernels.sparse.control import call, forced_share, gates_of
from deepseek.kernels.sparse.conv import SparseConv2d
from deepseek.kernels.sparse.feed_forward import SparseFeedForward
from deepseek.kernels.sparse.gate import GateDecision, SparseGate
from deepseek.kernels.sparse.masking import masked
from deepseek.text import printable

ACTIVATIONS: dict[str, nn.Module] = {
    "gelu": nn.GELU(),
    "gelu_tanh": nn.GELU("tanh"),
    "relu": nn.ReLU(),
    "silu": nn.SiLU(),
    "tanh": nn.Tanh(),
}


@torch.no_grad()
def extract_width(model: nn.Module, share: float | None = None, *, inputs: Iterable[Any] | None = None) -> nn.Module:
    """Copy a model without its gates: of each gated layer the open blocks stay, as plain layers with their weights cut.

    The copy computes for every input what the model computes with these blocks open. A layer with no open block keeps
    one unit of weight zero.

    Args:
        model: A model with gates; it is not changed.
        share: From 0 to 1: of each gate the first so many blocks are open, as in ``forced_share``. If None, the
            decisions of the gates must not depend on the input.
        inputs: Instead of ``share``, batches of inputs, each as ``gate_decisions`` takes them: all of them must get the
            same decisions. Without either, only gates whose weights are zero are known to decide alike.

    Returns:
        The copy, its parts in the modes of the model's. ``torch.export.export`` and ``torch.onnx.export`` take it in
        evaluation.

    Raises:
        DeepseekError: There is no gate, a gate belongs to neither ``SparseFeedForward`` nor ``SparseConv2d``, the share
            is out of range, or the decision of a gate depends on the input.
    """
    gates = gates_of(model)
    layers = [module for module in model.modules() if isinstance(module, SparseFeedForward | SparseConv2d)]
    _check(gates, {id(layer.gate) for layer in layers}, share, inputs)
    if share is not None:
        with forced_share(model, share):
            masks = _without_input(gates)
    else:
        masks = _without_input(gates) if inputs is None else _seen(model, gates, inputs)
    plain = {id(layer): _plain(layer, masks[id(layer.gate)]).train(layer.training) for layer in layers}
    return copy.deepcopy(model, cast("dict[int, Any]", plain))  # as if these layers had been copied already


def _check(gates: dict[str, SparseGate], known: set[int], share: float | None, inputs: Iterable[Any] | None) -> None:
    if share is not None and inputs is not None:
        raise DeepseekError("Expected a share or inputs, got both: a share is the same for every input.")
    strange = [name for name, gate in gates.items() if id(gate) not in known]
    if strange:
        raise DeepseekError(
            f"Expected gates of SparseFeedForward or SparseConv2d, got {_listed(strange)} in another module, whose "
            "weights nobody knows how to cut. Take that module out of the model first."
        )


def _without_input(gates: dict[str, SparseGate]) -> dict[int, Tensor]:
    """Which blocks each gate opens for whatever input, ``[blocks]``, by the identity of the gate."""
    varying = [name for name, gate in gates.items() if gate.forced is None and gate.weight.any()]
    if varying:
        raise _depends(varying)
    return {id(gate): _mask(gate) for gate in gates.values()}


def _mask(gate: SparseGate) -> Tensor:
    nothing = gate.weight.new_zeros(1, gate.weight.shape[1])
    if gate.forced is None:
        return GateDecision(gate.gates(nothing), gate.threshold).active[0]
    return cast("Tensor", gate(nothing))[0]


def _seen(model: nn.Module, gates: dict[str, SparseGate], inputs: Iterable[Any]) -> dict[int, Tensor]:
    """Which blocks each gate opens for all of some inputs, ``[blocks]``, by the identity of the gate."""
    masks: dict[int, list[Tensor]] = {id(gate): [] for gate in gates.values()}
    handles = [
        gate.register_forward_hook(lambda own, _inputs, mask: masks[id(own)].append(mask.reshape(-1, own.blocks)))
        for gate in gates.values()
    ]
    try:
        with evaluating(model):
            for batch in inputs:
                call(model, batch)
    finally:
        for handle in handles:
            handle.remove()
    rows = {name: torch.cat([gate.weight.new_empty(0, gate.blocks), *masks[id(gate)]]) for name, gate in gates.items()}
    unused = [name for name, mask in rows.items() if not len(mask)]
    if unused:
        raise DeepseekError(f"No input reached {_listed(unused)}. Give inputs that do, or a share.")
    varying = [name for name, mask in rows.items() if (mask != mask[0]).any()]
    if varying:
        raise _depends(varying)
    return {id(gate): rows[name][0] for name, gate in gates.items()}


def _depends(names: list[str]) -> DeepseekError:
    return DeepseekError(
        f"The decision of {_listed(names)} depends on the input, which a network of one width cannot follow. Choose a "
        "width for all inputs, such as extract_width(model, 0.5), or give inputs for which the decision is the same."
    )


def _listed(names: list[str]) -> str:
    return ", ".join(map(printable, names))


def _plain(layer: SparseFeedForward | SparseConv2d, mask: Tensor) -> nn.Sequential:
    return _feed_forward(layer, mask) if isinstance(layer, SparseFeedForward) else _convolutions(layer, mask)


def _feed_forward(layer: SparseFeedForward, mask: Tensor) -> nn.Sequential:
    units, scale = _open_units(mask, len(layer.up_weight))
    up = _linear(layer.up_weight[units], layer.up_bias[units])
    down = _linear(layer.down_weight[units].t() * scale, layer.down_bias)
    return nn.Sequential(OrderedDict(up=up, activation=copy.deepcopy(ACTIVATIONS[layer.activation]), down=down))


def _convolutions(layer: SparseConv2d, mask: Tensor) -> nn.Sequential:
    convs, norms = cast("list[nn.Conv2d]", [*layer.convs]), cast("list[nn.BatchNorm2d]", [*layer.norms])
    channels, scale = _open_units(mask, convs[0].out_channels)
    everything, last = slice(None), len(convs) - 1
    parts: list[nn.Module] = []
    for place, (conv, norm) in enumerate(zip(convs, norms, strict=True)):
        outputs, inputs = (everything if place == last else channels), (channels if place else everything)
        weight = conv.weight[outputs][:, inputs]
        parts += [_conv(conv, weight * scale if place == last else weight), _norm(norm, outputs), nn.ReLU()]
    return nn.Sequential(*parts[:-1])


def _open_units(mask: Tensor, units: int) -> tuple[Tensor, int]:
    """Places of the units of open blocks, and 1; or one place and 0 if there are none."""
    places = masked(mask.new_ones(1, units), mask[None])[0].nonzero()[:, 0]
    return (places, 1) if len(places) else (places.new_zeros(1), 0)


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    outputs, inputs = weight.shape
    linear: nn.Linear = skip_init(nn.Linear, inputs, outputs, device=weight.device, dtype=weight.dtype)
    linear.load_state_dict({"weight": weight, "bias": bias})
    return linear


def _conv(like: nn.Conv2d, weight: Tensor) -> nn.Conv2d:
    outputs, inputs, *size = weight.shape
    options = {"bias": False, "device": weight.device, "dtype": weight.dtype}
    conv: nn.Conv2d = skip_init(nn.Conv2d, inputs, outputs, size, like.stride, like.padding, **options)
    conv.load_state_dict({"weight": weight})
    return conv


def _norm(like: nn.BatchNorm2d, channels: Tensor | slice) -> nn.BatchNorm2d:
    state = {name: value[channels] if value.ndim else value for name, value in like.state_dict().items()}
    options = {"device": like.weight.device, "dtype": like.weight.dtype}
    norm: nn.BatchNorm2d = skip_init(nn.BatchNorm2d, len(state["weight"]), like.eps, like.momentum, **options)
    norm.load_state_dict(state)
    return norm
