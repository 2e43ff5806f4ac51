"""Which numbers of a model's output are explained."""

import math
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from deepseek.errors import DeepseekError
from deepseek.explain.output import main_output

Target = int | tuple[int, ...] | Sequence[int] | Tensor | Callable[[Any], Tensor] | None
"""None for all outputs; the index of one (a tuple where the output has more than one dimension beside the rows); a list
or tensor with an index for each row; or a function of what the model returns that gives ``[B]`` or ``[B, K]``."""


class Chooser:
    """Takes the ``K`` numbers that are to be explained out of each row of an output.

    Args:
        target: See ``Target``.
        output: What the model returned for all ``B`` rows.
        rows: How many these are.

    Attributes:
        description: The target in words.
        single: Whether there is one number a row, so that results have no axis of outputs.
        count: How many numbers a row has, ``K``.
        initial: The numbers of the given output, ``[B, K]``.

    Raises:
        DeepseekError: The target does not fit the output.
    """

    def __init__(self, target: Target, output: Any, rows: int) -> None:
        self._rows = rows
        self._pick, self.description, self.single = self._choose(target, output)
        self.initial = self(output, torch.arange(rows))
        self.count = self.initial.shape[1]

    def __call__(self, output: Any, rows: Tensor) -> Tensor:
        """Take the numbers out of another output.

        Args:
            output: What the model returned for some rows.
            rows: Which of the ``B`` rows these were, ``[N]``.

        Returns:
            ``[N, K]``, differentiable where the output is.
        """
        picked = self._pick(output, rows)
        return picked.reshape(len(rows), -1)

    def _choose(self, target: Target, output: Any) -> tuple[Callable[[Any, Tensor], Tensor], str, bool]:
        if callable(target) and not isinstance(target, Tensor):
            return self._function(target, output)
        tensor = main_output(output)
        if tensor.dim() == 0 or len(tensor) != self._rows:
            raise DeepseekError(
                f"The model returned a tensor of shape {tuple(tensor.shape)} for {self._rows} rows: one row each was "
                "expected. Pass `target=lambda output: ...` that gives a number for each row."
            )
        if target is None:
            single = tensor.dim() == 1
            return (lambda out, _rows: main_output(out)), "the output" if single else "all outputs", single
        if isinstance(target, (Integral, tuple)):
            return self._index(target if isinstance(target, tuple) else (int(target),), tensor)
        return self._per_row(target, tensor)

    def _function(
        self, target: Callable[[Any], Tensor], output: Any
    ) -> tuple[Callable[[Any, Tensor], Tensor], str, bool]:
        made = target(output)
        if not isinstance(made, Tensor) or made.dim() not in (1, 2) or len(made) != self._rows:
            shape = f"a tensor of shape {tuple(made.shape)}" if isinstance(made, Tensor) else type(made).__name__
            raise DeepseekError(
                f"`target` must give a tensor of shape [B] or [B, K] for the {self._rows} rows, not {shape}."
            )
        name = getattr(target, "__name__", "<")
        return (lambda out, _rows: target(out)), "a function" if name.startswith("<") else name, made.dim() == 1

    def _index(self, index: tuple[int, ...], tensor: Tensor) -> tuple[Callable[[Any, Tensor], Tensor], str, bool]:
        sizes = tuple(tensor.shape[1:])
        fits = len(index) == len(sizes) and all(-size <= i < size for i, size in zip(index, sizes, strict=True))
        if not fits:
            raise DeepseekError(
                f"`target` {index if len(index) != 1 else index[0]} is no index into the outputs of a row, "
                f"whose shape is {sizes}: pass {len(sizes)} whole number{'s' * (len(sizes) != 1)} within it."
            )
        place: Any = (slice(None), *index)
        return (lambda out, _rows: main_output(out)[place]), f"output {', '.join(map(str, index))}", True

    def _per_row(self, target: Any, tensor: Tensor) -> tuple[Callable[[Any, Tensor], Tensor], str, bool]:
        indices = torch.as_tensor(target).cpu()
        sizes = tuple(tensor.shape[1:])
        fits = tensor.dim() == 2 and indices.shape == (self._rows,) and not indices.is_floating_point()
        if not fits or not math.prod(sizes) or bool(((indices < 0) | (indices >= sizes[0])).any()):
            raise DeepseekError(
                f"`target` with an index for each row must be {self._rows} whole numbers below "
                f"{sizes[0] if len(sizes) == 1 else 'the number of outputs'}, for an output of shape [B, K]; it is "
                f"{tuple(indices.shape)} for outputs of shape {tuple(tensor.shape)}."
            )

        def pick(out: Any, rows: Tensor) -> Tensor:
            chosen = main_output(out)
            return chosen.gather(1, indices[rows.cpu()].to(chosen.device)[:, None])

        return pick, "an output for each row", True
