"""Expected gradients: integrated gradients from every background row, averaged.

Source: Erion et al., "Improving performance of deep learning models with axiomatic attribution priors and expected
gradients", Nature Machine Intelligence 3, 2021; the path integral by Gauss-Legendre quadrature.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from deepseek.explain.shapley.game import Game

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_ROWS = 256
"""Rows whose gradients are computed at once."""


class ExpectedGradients:
    """The attributions of one row.

    Args:
        game: The model, its inputs, of floating point or token ids that it embeds, and the background.
        row: Which row of the inputs.
        steps: Points on the way from each background row.

    Attributes:
        values: ``[M, K]``, once it has advanced.
        done: Whether all is known.
    """

    errors = None

    def __init__(self, game: Game, row: int, steps: int) -> None:
        self._game = game
        self._row = row
        self._steps = steps
        self.done = False
        self.values: NDArray[np.float64] | None = None

    def advance(self) -> None:
        """Compute the attributions."""
        nodes, weights = np.polynomial.legendre.leggauss(self._steps)
        places, shares = torch.from_numpy((nodes + 1) / 2), torch.from_numpy(weights / 2)
        rows = self._game.background_rows
        pairs = [(point, start) for point in range(self._steps) for start in range(rows)]
        total: dict[str, Tensor] = {}
        for first in range(0, len(pairs), MOST_ROWS):
            points, starts = map(torch.tensor, zip(*pairs[first : first + MOST_ROWS], strict=True))
            for name, part in self._part(places[points], shares[points] / rows, starts).items():
                total[name] = total[name] + part if name in total else part
        self.values = self._game.players.gathered({name: part.cpu().numpy() for name, part in total.items()}, self._row)
        self._game.evaluations += len(pairs)
        self.done = True

    def _part(self, places: Tensor, shares: Tensor, starts: Tensor) -> dict[str, Tensor]:
        """Sum over some points: share x (input - start) x gradient, ``[*row shape, K]`` float64."""
        call, ways, moved = self._game.call, {}, {}
        for name, start in self._game.starts(self._row, starts).items():
            own = call.points(name, call.tensors[name][self._row : self._row + 1].detach())
            start = call.points(name, start)
            ways[name] = own - start
            place = places.to(start.device, start.dtype).reshape(-1, *[1] * (start.dim() - 1))
            moved[name] = (start + place * ways[name]).requires_grad_()
        rows = torch.full((len(places),), self._row)
        with torch.enable_grad():
            sums = self._game.chooser(call(rows, moved), rows).sum(0)
            gradients = [
                torch.autograd.grad(each, list(moved.values()), retain_graph=True, materialize_grads=True)
                for each in sums
            ]
        result = {}
        for index, (name, way) in enumerate(ways.items()):
            share = shares.to(way.device).reshape(-1, *[1] * (way.dim() - 1))
            parts = [(share * way.double() * own[index].double()).sum(0) for own in gradients]
            embedded = way.dim() > call.tensors[name].dim()  # a token gets what all of its vector gets
            result[name] = torch.stack(parts, -1).sum(-2) if embedded else torch.stack(parts, -1)
        return result
