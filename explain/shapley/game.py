"""What a model gives when only some features of a row are present."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepseek.errors import DeepseekError
from deepseek.explain.call import Call
from deepseek.explain.features import Features
from deepseek.explain.out_of_memory import is_out_of_memory
from deepseek.explain.shapley.players import Players
from deepseek.explain.tables import is_frame
from deepseek.explain.target import Chooser

TOLERANCE = 0.002
"""Sampling ends when every standard error is below this share of the largest value of its output."""

BATCH_BYTES = 64 << 20
MOST_ROWS = 2048
"""Rows of the model's input that are evaluated at once: as many as these allow, fewer where memory ends."""


class Game:
    """The value of a coalition: the output's mean over the background, whose rows stand for the absent features.

    Args:
        call: The model with its inputs; in evaluation mode while the game is played.
        players: Who may be absent.
        background: Rows that absent features are taken from, by name of the input ``[R, ...]``.
        chooser: Which ``K`` numbers of the output.

    Attributes:
        call: The model with its inputs.
        players: Who may be absent.
        chooser: Which outputs.
        background: Rows that absent features are taken from, by name of the input.
        background_rows: How many these are, ``R``.
        evaluations: Rows that the model has computed.

    Raises:
        DeepseekError: The background does not fit the inputs.
    """

    def __init__(self, call: Call, players: Players, background: Mapping[str, Tensor], chooser: Chooser) -> None:
        self.evaluations = 0
        self.players = players
        self.call = call
        self.chooser = chooser
        self.background = background
        self._ends: dict[int, NDArray[np.float64]] = {}
        self.background_rows = len(next(iter(background.values())))
        row_bytes = sum(call.tensors[name][0].numel() * call.tensors[name].element_size() for name in background)
        self._most_rows = max(1, min(MOST_ROWS, BATCH_BYTES // max(row_bytes, 1)))

    def __call__(self, row: int, coalitions: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Evaluate coalitions of the features of one row.

        Args:
            row: Which row of the inputs.
            coalitions: Who is present, ``[N, M]``.

        Returns:
            ``[N, K]``.
        """
        values = [np.zeros((0, self.chooser.count))]
        start = 0
        while start < len(coalitions):
            size = max(1, self._most_rows // self.background_rows)
            try:
                values.append(self._evaluate(row, torch.from_numpy(coalitions[start : start + size])))
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or self._most_rows <= 1:
                    raise
                self._most_rows //= 2
                continue
            start += size
        return np.concatenate(values)

    @property
    def background_text(self) -> str:
        """The background in words."""
        known = self.call.features
        if known.background is not None and _same(self.background, known.background):
            return known.absent
        return f"{self.background_rows} background row{'s' * (self.background_rows != 1)}"

    def ends(self, row: int) -> NDArray[np.float64]:
        """Return the values of the empty and of the full coalition of one row, ``[2, K]``."""
        if row not in self._ends:
            count = self.players.counts[row]
            self._ends[row] = self(row, np.array([[False] * count, [True] * count]))
        return self._ends[row]

    def starts(self, row: int, chosen: Tensor) -> dict[str, Tensor]:
        """Return the features of one row with everybody absent, taken from background rows ``[N]``."""
        nobody = self.players.presence(torch.zeros(1, self.players.count, dtype=torch.bool), row)
        return {
            name: torch.where(nobody[name].to(own.device), own[row].detach(), own_background[chosen.to(own.device)])
            for name, own_background in self.background.items()
            for own in [self.call.tensors[name]]
        }

    def _evaluate(self, row: int, coalitions: Tensor) -> NDArray[np.float64]:
        replaced = {}
        for name, present in self.players.presence(coalitions, row).items():
            background = self.background[name]
            own = self.call.tensors[name][row]
            mixed = torch.where(present[:, None].to(own.device), own, background)
            replaced[name] = mixed.flatten(0, 1)
        rows = torch.full((len(coalitions) * self.background_rows,), row)
        with torch.no_grad():
            chosen = self.chooser(self.call(rows, replaced), rows)
        self.evaluations += len(rows)
        means = chosen.double().reshape(len(coalitions), self.background_rows, -1).mean(1)
        return means.cpu().numpy()


def checked_background(call: Call, background: object) -> dict[str, Tensor]:
    """Return the background of every explained input, as rows of its shape, dtype and device.

    Args:
        call: The model with its inputs.
        background: A tensor or array ``[R, ...]``, or a mapping or tuple of them, as the inputs are; a frame; features;
            None for what the inputs bring along.

    Raises:
        DeepseekError: A part is missing or does not fit.
    """
    given = _by_name(call, _plain(call, background))
    rows: dict[str, Tensor] = {}
    for name in call.explained:
        own = call.tensors[name]
        if name not in given:
            raise DeepseekError(f"`background` needs rows for the input {name}: it has {', '.join(given) or 'none'}.")
        tensor = torch.as_tensor(given[name]).detach().to(own.device, own.dtype)
        if tensor.dim() != own.dim() or tensor.shape[1:] != own.shape[1:] or len(tensor) == 0:
            raise DeepseekError(
                f"`background` for {name} must hold rows of shape {tuple(own.shape[1:])}, as the inputs do, and at "
                f"least one; its shape is {tuple(tensor.shape)}."
            )
        rows[name] = tensor
    if len({len(tensor) for tensor in rows.values()}) > 1:
        raise DeepseekError("`background` must have the same number of rows for every input.")
    return rows


def _same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return all(name in other and torch.equal(rows.cpu(), other[name].cpu()) for name, rows in one.items())


def _plain(call: Call, background: object) -> object:
    """Return a background as tensors: that of frames is encoded as the inputs were."""
    known = call.features
    if background is None and known.background is not None:
        return known.background
    if isinstance(background, Features):
        if background.names != known.names:
            raise DeepseekError(
                f"`background` has the features {', '.join(background.names)}, and the inputs have "
                f"{', '.join(known.names)}: make both by the same table."
            )
        return background.inputs
    if is_frame(background):
        if known.encode is None:
            raise DeepseekError("`background` is a frame, and `inputs` are none: pass both as frames, or as tensors.")
        return known.encode(background)
    return background


def _by_name(call: Call, background: object) -> dict[str, object]:
    if isinstance(background, Mapping):
        return {str(name): value for name, value in background.items()}
    if isinstance(background, tuple):
        return {str(place): value for place, value in enumerate(background)}
    if background is None:
        raise DeepseekError(
            "`background` is missing: pass rows that stand for absent features, such as 100 training samples."
        )
    return dict.fromkeys(call.explained[:1], background)


def shapley_weights(count: int) -> NDArray[np.float64]:
    """Weight of a marginal contribution to a coalition of each size, ``[M]``: ``s! (M - s - 1)! / M!``."""
    return np.array([1 / (count * math.comb(count - 1, size)) for size in range(count)])
