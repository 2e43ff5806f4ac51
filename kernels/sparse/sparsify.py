"""Gates for the MLPs and residual blocks of a model that is trained already."""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from deepseek.errors import DeepseekError
from deepseek.kernels.evaluating import evaluating
from deepseek.kernels.sparse.arranging import group_units, order_channels
from deepseek.kernels.sparse.conv import SparseConv2d
from deepseek.kernels.sparse.feed_forward import ACTIVATIONS, SparseFeedForward
from deepseek.kernels.sparse.resnet import GatedResidual

Twin = SparseFeedForward | GatedResidual


def sparsify(model: nn.Module, *, blocks: int = 8, conv_blocks: int = 4, threshold: float = 0.5) -> nn.Module:
    """Copy a model, with gates in its MLPs and residual blocks; all gates are open, so that it computes what it did.

    An MLP is a module that computes ``W2 act(W1 x + b1) + b2`` with two linear layers of its own; its hidden units are
    put into groups of similar weights. A residual block has ``conv1``, ``bn1``, ``conv2``, ``bn2`` (and ``conv3``,
    ``bn3``), with ReLUs between and after them; its hidden channels are put into the order of their weight. What a
    module computes is found out by comparing it with its gated twin on random inputs, so other modules stay as they
    are. Dropout inside a converted module is left out. Teach the gates with ``fit_gates``.

    Args:
        model: A trained model; it is not changed.
        blocks: Blocks of an MLP's hidden units; MLPs whose size is no multiple of it stay as they are.
        conv_blocks: Blocks of a residual block's hidden channels, likewise.
        threshold: A block computes where its gate exceeds this.

    Returns:
        The copy. ``gates_of(copy)`` tells where gates were put.

    Raises:
        DeepseekError: There is nothing to convert.
    """
    converted = copy.deepcopy(model)
    found = False
    with evaluating(converted), torch.no_grad():
        for name, module in list(converted.named_modules()):
            if not _is_part(converted, module):
                continue  # of a module that has been replaced
            twin = _feed_forward(module, blocks, threshold) or _residual(module, conv_blocks, threshold)
            if twin is not None:
                found = True
                twin.train(_mode_of(model, name))
                converted = _with(converted, module, twin)
    if not found:
        raise DeepseekError(
            f"{type(model).__name__} has no module that computes W2 act(W1 x + b1) + b2 with {blocks} blocks of units, "
            f"and no residual block (conv1, bn1, conv2, bn2) with {conv_blocks} blocks of channels. Use "
            "SparseFeedForward or SparseConv2d in the model itself."
        )
    return converted


def _mode_of(model: nn.Module, name: str) -> bool:
    return model.get_submodule(name).training


def _is_part(model: nn.Module, module: nn.Module) -> bool:
    return any(part is module for part in model.modules())


def _with(model: nn.Module, module: nn.Module, twin: nn.Module) -> nn.Module:
    """Put a twin in the place of a module, wherever that is used."""
    if model is module:
        return twin
    for parent in list(model.modules()):
        for name, child in parent._modules.items():
            if child is module:
                parent._modules[name] = twin
    return model


def _feed_forward(module: nn.Module, blocks: int, threshold: float) -> SparseFeedForward | None:
    layers = [child for child in module.children() if _matrix(child) is not None]
    others = [child for child in module.children() if _matrix(child) is None]
    if len(layers) != 2 or any(True for child in others for _ in child.parameters()):
        return None
    up, down = (_matrix(layer) for layer in layers)
    if up is None or down is None or len(up) != down.shape[1] or len(up) % blocks:
        return None
    twin = SparseFeedForward(up.shape[1], len(up), blocks=blocks, threshold=threshold, d_out=len(down)).to(up)
    _fill(twin, up, down, layers)
    return next(_that_computes(module, twin, up.new_empty(4, up.shape[1])), None)


def _matrix(layer: nn.Module) -> Tensor | None:
    """Weight of a linear layer, ``[outputs, inputs]``; transformers keeps some transposed."""
    if type(layer) is nn.Linear:
        return layer.weight
    weight = getattr(layer, "weight", None)
    return weight.t() if type(layer).__name__ == "Conv1D" and isinstance(weight, Tensor) and weight.ndim == 2 else None


def _fill(twin: SparseFeedForward, up: Tensor, down: Tensor, layers: list[nn.Module]) -> None:
    order = group_units(up, twin.gate.blocks)
    up_bias, down_bias = (layer._parameters["bias"] for layer in layers)
    twin.up_weight.copy_(up[order])
    twin.down_weight.copy_(down.t()[order])
    twin.up_bias.copy_(up.new_zeros(len(up)) if up_bias is None else up_bias[order])
    twin.down_bias.copy_(up.new_zeros(len(down)) if down_bias is None else down_bias)
    twin.gate.open_all()


def _that_computes(module: nn.Module, twin: SparseFeedForward, x: Tensor) -> Iterator[SparseFeedForward]:
    """Give the twin with the activation that makes it compute what the module does, if any does."""
    for activation in ACTIVATIONS:
        twin.activation = activation
        if _is_equal(module, twin, x):
            yield twin


def _residual(module: nn.Module, blocks: int, threshold: float) -> GatedResidual | None:
    parts = dict(module.named_children())
    found = [parts[name] for name in ("conv1", "conv2", "conv3") if name in parts]
    convs = [conv for conv in found if isinstance(conv, nn.Conv2d) and conv.bias is None and conv.kernel_size[0] % 2]
    norms = [norm for name in ("bn1", "bn2", "bn3") if isinstance(norm := parts.get(name), nn.BatchNorm2d)]
    tracked = all(norm.affine and norm.track_running_stats for norm in norms)
    if not 2 <= len(found) == len(convs) == len(norms) or not tracked or convs[0].out_channels % blocks:
        return None
    skip = next((parts[name] for name in ("downsample", "shortcut") if name in parts), nn.Identity())
    branch = SparseConv2d(
        convs[0].in_channels,
        convs[0].out_channels,
        convs[-1].out_channels,
        kernel_sizes=tuple(conv.kernel_size[0] for conv in convs),
        blocks=blocks,
        threshold=threshold,
    ).to(convs[0].weight)
    convs, norms = copy.deepcopy(convs), copy.deepcopy(norms)
    order_channels(convs, norms)
    branch.convs, branch.norms = nn.ModuleList(convs), nn.ModuleList(norms)
    branch.gate.open_all()
    twin = GatedResidual(branch, skip).eval()
    return twin if _is_equal(module, twin, convs[0].weight.new_empty(2, convs[0].in_channels, 9, 9)) else None


def _is_equal(module: nn.Module, twin: nn.Module, x: Tensor) -> bool:
    """Whether two modules in evaluation compute the same, tried on random numbers shaped as ``x``."""
    x = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(x)
    try:
        expected = module(x)
        found = twin.eval()(x)
    except Exception:  # noqa: BLE001 - a stranger's module that does not take one such tensor is another kind of module
        return False
    tolerance = 100 * torch.finfo(x.dtype).eps
    return (
        isinstance(expected, Tensor)
        and expected.shape == found.shape
        and torch.allclose(expected, found, rtol=tolerance, atol=tolerance * float(expected.abs().max()))
    )
