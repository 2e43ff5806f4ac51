"""Takes tokens out of a model's inputs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepseek.errors import DeepseekError
from deepseek.explain.attention.tokens import Tokens
from deepseek.explain.call import Call


@dataclass(frozen=True, eq=False)
class Eraser:
    """Erases tokens.

    Attributes:
        erase: Takes rows ``[N]`` and the tokens to be erased ``[N, S]``, and returns the inputs that change.
        first: Number of tokens that the model adds before those of the input.
        words: What stands in the place of erased tokens.
    """

    erase: Callable[[Tensor, Tensor], Mapping[str, Tensor]]
    first: int
    words: str

    def erasable(self, tokens: Tokens, rows: int, count: int) -> NDArray[np.bool_]:
        """Return which tokens are neither special nor padding, ``[B, S]``."""
        able = np.ones((rows, count), bool)
        able[:, : self.first] = False
        for flags in (tokens.real, None if tokens.special is None else ~tokens.special):
            able &= True if flags is None else flags
        return able


def eraser(call: Call, tokens: Tokens, count: int) -> Eraser:
    """Find out how tokens are taken out of the inputs of a call.

    Args:
        call: The call.
        tokens: What is known about its tokens.
        count: How many there are, ``S``.

    Raises:
        DeepseekError: The inputs have no part for each token.
    """
    name = _sequence(call, count)
    if name is not None:
        tensor = call.tensors[name]
        return _of_vectors(tensor, name) if tensor.is_floating_point() else _of_ids(call, name, tokens)
    found = patches(call, count)
    if found:
        return _of_patches(call.tensors[found[0]], *found, count)
    raise DeepseekError(f"no input has a part for each of the {count} tokens")


def _of_ids(call: Call, name: str, tokens: Tokens) -> Eraser:
    ids, mask = call.tensors[name], call.tensors.get("attention_mask")
    if tokens.fill is None and mask is not None and mask.shape == ids.shape:
        return Eraser(
            lambda rows, gone: {"attention_mask": mask[rows].masked_fill(gone, 0)}, 0, "hidden by the attention mask"
        )
    fill, words = tokens.fill or (0, "the token with id 0")
    return Eraser(lambda rows, gone: {name: ids[rows].masked_fill(gone, fill)}, 0, words)


def _of_vectors(tensor: Tensor, name: str) -> Eraser:
    def erase(rows: Tensor, gone: Tensor) -> Mapping[str, Tensor]:
        chosen = tensor[rows]
        return {name: torch.where(gone[..., None], chosen.mean(1, keepdim=True), chosen)}

    return Eraser(erase, 0, "the mean over the row's tokens")


def _sequence(call: Call, count: int) -> str | None:
    """Return the input that has an id or a vector for each token."""
    for name in call.explained:
        tensor = call.tensors[name]
        if tensor.shape[1:2] == (count,) and tensor.dim() == 2 + tensor.is_floating_point():
            return name
    return None


def patches(call: Call, count: int) -> tuple[str, tuple[int, int]] | None:
    """Return the input that is a picture of square patches, a token each, and the rows and columns of them.

    A few tokens may come before those of the patches; None without such an input, or where tokens are given one by one.
    """
    if _sequence(call, count) is not None:
        return None
    for name in call.explained:
        tensor = call.tensors[name]
        if tensor.is_floating_point() and tensor.dim() == 4:
            height, width = tensor.shape[2:]
            for others in (1, 0, 2, 5):
                for side in range(1, min(height, width) + 1):
                    grid = (height // side, width // side)
                    if height % side == width % side == 0 and grid[0] * grid[1] == count - others:
                        return name, grid
    return None


def _of_patches(tensor: Tensor, name: str, grid: tuple[int, int], count: int) -> Eraser:
    first = count - grid[0] * grid[1]
    side = tensor.shape[2] // grid[0]

    def erase(rows: Tensor, gone: Tensor) -> Mapping[str, Tensor]:
        pixels = gone[:, first:].unflatten(1, grid).repeat_interleave(side, 1).repeat_interleave(side, 2)
        chosen = tensor[rows]
        return {name: torch.where(pixels[:, None], chosen.mean((2, 3), keepdim=True), chosen)}

    return Eraser(erase, first, "the picture's mean colour")
