"""Weights as a picture: the filters of a convolution, the heads of an attention, or a matrix."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import adaptive_max_pool2d
from torch.nn.parameter import is_lazy

from deepseek.inspector.detail.data import MAX_PICTURE, Picture
from deepseek.inspector.tensors import local

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def picture(module: nn.Module) -> Picture | None:
    """Draw the weights of a module; None where they make no picture.

    Read from ``module._parameters``: the attribute of a parametrised weight would compute it.
    """
    with torch._C.DisableTorchFunction(), torch.no_grad():
        if isinstance(module, nn.MultiheadAttention):
            return _heads(module)
        weight = _values(module._parameters.get("weight"))
        if weight is None:
            return None
        if isinstance(module, _CONVOLUTIONS + _TRANSPOSED) and weight.ndim > 2:
            return _filters(weight.transpose(0, 1) if isinstance(module, _TRANSPOSED) else weight)
        return _matrix(weight) if weight.ndim == 2 else None


def _values(parameter: torch.Tensor | None) -> torch.Tensor | None:
    if parameter is None or is_lazy(parameter) or not parameter.numel():
        return None
    values = local(parameter.detach())
    dense = values.is_floating_point() and values.layout is torch.strided and values.device.type != "meta"
    return values.to("cpu", torch.float32) if dense else None


def _filters(weight: torch.Tensor) -> Picture:
    """Lay out filters ``[O, I, ...]``, each a strip of its input channels."""
    outputs, inputs = weight.shape[:2]
    kernels = weight.reshape(outputs, inputs, -1, weight.shape[-1])[:, :, :MAX_PICTURE, :MAX_PICTURE]
    height, width = kernels.shape[2:]
    shown_inputs = min(inputs, max(1, MAX_PICTURE // width))
    strips = kernels[:, :shown_inputs].permute(0, 2, 1, 3).reshape(outputs, height, shown_inputs * width)
    across = min(max(1, round(math.sqrt(outputs * height / strips.shape[2]))), _fitting(strips.shape[2]))
    shown = min(outputs, across * _fitting(height))
    values = _grid(list(strips[:shown].numpy()), across)
    caption = f"{shown} of {outputs} filters, each with {shown_inputs} of {inputs} input channels side by side"
    return Picture("filters", "weight", caption, values)


def _heads(module: nn.MultiheadAttention) -> Picture | None:
    """Lay out the projections: a row for each head, its query, key and value side by side."""
    packed = _values(module._parameters.get("in_proj_weight"))
    apart = [_values(module._parameters.get(f"{name}_proj_weight")) for name in "qkv"]
    projections = [each for each in apart if each is not None] if packed is None else list(packed.chunk(3))
    if len(projections) != 3:
        return None
    heads = min(module.num_heads, MAX_PICTURE // 4)
    height, width = MAX_PICTURE // heads - 1, MAX_PICTURE // 3 - 1
    blocks = [each.chunk(module.num_heads)[head] for head in range(heads) for each in projections]
    values = _grid([_reduced(block, height, width) for block in blocks], 3)
    rows, columns = blocks[0].shape
    caption = f"{heads} of {module.num_heads} heads from top to bottom; query, key and value from left to right"
    return Picture(
        "heads",
        "in_proj_weight" if packed is not None else "q, k, v",
        caption + _note(rows, columns, height, width),
        values,
    )


def _matrix(weight: torch.Tensor) -> Picture:
    rows, columns = weight.shape
    caption = f"{rows} outputs from top to bottom, {columns} inputs from left to right"
    values = _reduced(weight, MAX_PICTURE, MAX_PICTURE)
    return Picture("matrix", "weight", caption + _note(rows, columns, MAX_PICTURE, MAX_PICTURE), values)


def _note(rows: int, columns: int, most_rows: int, most_columns: int) -> str:
    if rows <= most_rows and columns <= most_columns:
        return ""
    return "; reduced: a cell shows the weight of largest magnitude among those that it stands for"


def _reduced(matrix: torch.Tensor, rows: int, columns: int) -> NDArray[np.float32]:
    """Shrink a matrix; each cell gets the value of largest magnitude in its part of the matrix."""
    size = (min(rows, matrix.shape[0]), min(columns, matrix.shape[1]))
    if size == tuple(matrix.shape):
        return matrix.numpy().copy()
    high, low = adaptive_max_pool2d(matrix[None], size)[0], -adaptive_max_pool2d(-matrix[None], size)[0]
    return torch.where(high >= -low, high, low).numpy()


def _fitting(size: int) -> int:
    """How many parts of a size fit, with a line between them."""
    return max(1, (MAX_PICTURE + 1) // (size + 1))


def _grid(parts: Sequence[NDArray[np.float32]], across: int) -> NDArray[np.float32]:
    """Put parts side by side, ``across`` in a row, each in the corner of its place, with a line of NaN between them."""
    height, width = np.max([part.shape for part in parts], axis=0)
    down, across = math.ceil(len(parts) / across), min(across, len(parts))
    values = np.full((down * (height + 1) - 1, across * (width + 1) - 1), np.nan, np.float32)
    for index, part in enumerate(parts):
        top, left = index // across * (height + 1), index % across * (width + 1)
        values[top : top + part.shape[0], left : left + part.shape[1]] = part
    return values
