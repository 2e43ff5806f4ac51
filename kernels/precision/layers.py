"""The layers of a model whose precision is decided one by one."""

from collections.abc import Iterator

import torch
from torch import nn

from deepseek.errors import DeepseekError


def layers_of(model: nn.Module) -> dict[str, nn.Module]:
    """Return the layers that multiply matrices, by name.

    These are modules with a parameter of two or more dimensions that hold no other modules with parameters, such as
    linear, convolution and recurrent layers, and ``nn.MultiheadAttention`` as a whole. Embeddings and normalisations
    are none: autocast leaves them in float32.

    Raises:
        DeepseekError: There is no such layer, or one has no parameters yet.
    """
    layers = dict(_layers(model))
    if not layers:
        raise DeepseekError(
            f"Expected a model with layers that multiply matrices (linear, convolution, recurrent, attention), got "
            f"{type(model).__name__} without any: there is no precision to choose."
        )
    for name, layer in layers.items():
        if any(nn.parameter.is_lazy(parameter) for parameter in layer.parameters()):
            raise DeepseekError(f"Layer {name!r} has no parameters yet: call the model with one batch first.")
    return layers


def _layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    inside: set[nn.Module] = set()
    for name, module in model.named_modules():
        if module in inside or isinstance(
            module, (nn.Embedding, nn.EmbeddingBag, nn.LayerNorm, torch.jit.ScriptModule)
        ):
            continue
        if isinstance(module, nn.MultiheadAttention):
            inside.update(module.modules())
        elif not _has_matrix(module) or any(next(child.parameters(), None) is not None for child in module.children()):
            continue
        yield name, module


def _has_matrix(module: nn.Module) -> bool:
    own = module.parameters(recurse=False)
    return any(nn.parameter.is_lazy(parameter) or parameter.ndim > 1 for parameter in own)
