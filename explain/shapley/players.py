"""Features, or groups of features, that are present or absent together."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepseek.errors import DeepseekError
from deepseek.explain.call import Call

FROZEN = -1
"""In place of a group's number: the feature is always present, as special tokens are."""

Groups = Any
"""None for single features, or for those that the inputs bring along; whole numbers in the shape of a row, or of all
rows where these differ: equal ones for features that belong together and -1 for those that are always present; for
several inputs a mapping of such arrays."""

Numbers = NDArray[np.float64]


class Players:
    """The ``M`` players of the game between features.

    Args:
        call: The model with its inputs.
        groups: See ``Groups``.

    Attributes:
        count: How many there are at most, ``M``.
        counts: How many each row has, ``[B]``: they are the first ones.
        grouped: Whether features are joined.
        frozen: Whether some features are always present.
        labels: What an attribution says of them: their names, and what each was in each row.

    Raises:
        DeepseekError: The groups do not fit the inputs.
    """

    def __init__(self, call: Call, groups: Groups = None) -> None:
        known = call.features
        self.labels: dict[str, Any] = {} if groups is not None else {"feature_names": known.names, "shown": known.shown}
        groups = known.groups if groups is None else groups
        self.grouped = groups is not None
        self._rows = call.rows
        self._shapes = {name: tuple(call.tensors[name].shape[1:]) for name in call.explained}
        members = _consecutive(self._single() if groups is None else self._given(groups))
        self._alike = all(member.dim() == len(self._shapes[name]) for name, member in members.items())
        self.frozen = any(bool((member == FROZEN).any()) for member in members.values())
        self.counts = self._counted(members)
        self.count = max(self.counts)
        self._members = {name: member.expand(self._rows, *self._shapes[name]) for name, member in members.items()}
        if 0 in self.counts:
            raise DeepseekError(f"Every feature of row {self.counts.index(0)} is frozen: there is nothing to explain.")

    def presence(self, coalitions: Tensor, row: int) -> dict[str, Tensor]:
        """Tell which features of a row are present.

        Args:
            coalitions: Which players are, ``[N, M]`` bool.
            row: Which row.

        Returns:
            By name of the input ``[N, *row shape]`` bool.
        """
        always = torch.ones(len(coalitions), 1, dtype=torch.bool)
        extended = torch.cat([coalitions, always], dim=1)
        return {name: extended[:, member[row]] for name, member in self._members.items()}

    def absent(self, call: Call, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the inputs with everybody absent, whose features are those of other rows ``[B, ...]``."""
        always = {name: (member == FROZEN).to(rows[name].device) for name, member in self._members.items()}
        return {name: torch.where(frozen, call.tensors[name], rows[name]) for name, frozen in always.items()}

    def shaped(self, values: Sequence[Numbers] | Numbers) -> dict[str, Numbers]:
        """Bring numbers of players, for each row ``[M, ...]`` or of those that it has, into the shape of the inputs.

        Those of groups stay as they are, ``[B, M, ...]``; where a row has no such player, they are 0.
        """
        stacked = np.zeros((len(values), self.count, *values[0].shape[1:]))
        for row, own in enumerate(values):
            stacked[row, : len(own)] = own
        if self.grouped:
            return {next(iter(self._members)) if len(self._members) == 1 else "groups": stacked}
        rest = stacked.shape[2:]
        return {
            name: stacked[:, member[0].numpy().reshape(-1)].reshape(len(stacked), *self._shapes[name], *rest)
            for name, member in self._members.items()
        }

    def gathered(self, values: Mapping[str, Numbers], row: int) -> Numbers:
        """Sum ``[*row shape, K]`` numbers of a row's features over each player, ``[M, K]``."""
        outputs = next(iter(values.values())).shape[-1]
        total = np.zeros((self.count + 1, outputs))
        for name, member in self._members.items():
            np.add.at(total, member[row].numpy().reshape(-1), values[name].reshape(-1, outputs))
        return total[: self.count]

    def collected(self, values: Mapping[str, Numbers]) -> dict[str, Numbers]:
        """Sum ``[B, *row shape, K]`` numbers of features over each player, in the shape that ``shaped`` gives."""
        if not self.grouped:
            return dict(values)
        rows = [{name: part[row] for name, part in values.items()} for row in range(self._rows)]
        return self.shaped([self.gathered(own, row) for row, own in enumerate(rows)])

    def shares(self, name: str) -> tuple[Tensor, Tensor]:
        """Return the player of each feature of an input, from 1, 0 for those always present; and its share in that.

        Returns:
            Both ``[B, *row shape]``; the shares of a player's features, of all inputs, add up to 1.
        """
        sizes = [
            np.bincount(np.concatenate([member[row].numpy().reshape(-1) + 1 for member in self._members.values()]))
            for row in range(self._rows)
        ]
        players = self._members[name] + 1
        shares = [1 / torch.from_numpy(size)[own] for size, own in zip(sizes, players, strict=True)]
        return players, torch.stack(shares)

    @property
    def groups(self) -> Numbers | None:
        """The group of every element of a row of the only input, or of all rows where these differ.

        None for single features and several inputs.
        """
        if not self.grouped or len(self._members) > 1:
            return None
        (member,) = self._members.values()
        return (member[0] if self._alike else member).double().numpy()

    def data(self, call: Call) -> dict[str, Numbers]:
        """Give the inputs that are explained, or their means over groups that span several, as float64."""
        rows = {name: call.tensors[name].detach().cpu().double().numpy() for name in self._members}
        if not self.grouped or len(rows) == 1:
            return rows
        means = []
        for row in range(self._rows):
            total = self.gathered({name: each[row, ..., None] for name, each in rows.items()}, row)
            size = self.gathered({name: np.ones((*shape, 1)) for name, shape in self._shapes.items()}, row)
            means.append((total / np.maximum(size, 1))[:, 0])
        return self.shaped(means)

    def _single(self) -> dict[str, Tensor]:
        members, start = {}, 0
        for name, shape in self._shapes.items():
            size = math.prod(shape)
            members[name] = torch.arange(start, start + size).reshape(shape)
            start += size
        return members

    def _given(self, groups: Groups) -> dict[str, Tensor]:
        given = dict(groups) if isinstance(groups, Mapping) else dict.fromkeys(self._shapes, groups)
        if not isinstance(groups, Mapping) and len(self._shapes) > 1:
            raise DeepseekError(
                f"The inputs {', '.join(self._shapes)} need `groups` each: pass a dict with an array for every one."
            )
        if unknown := set(given) - set(self._shapes):
            raise DeepseekError(f"`groups` names {sorted(unknown)[0]!r}, and explained are {', '.join(self._shapes)}.")
        return {
            name: self._fitting(name, given[name]) if name in given else torch.full(shape, FROZEN)
            for name, shape in self._shapes.items()
        }

    def _fitting(self, name: str, groups: Any) -> Tensor:
        member, shape = _on_cpu(groups), self._shapes[name]
        fits = tuple(member.shape) in (shape, (self._rows, *shape))
        if member.is_floating_point() or not fits or bool((member < FROZEN).any()):
            raise DeepseekError(
                f"`groups` of {name} must be whole numbers from -1 in the shape of a row, {shape}, or of all rows, "
                f"{(self._rows, *shape)}; they are {member.dtype} of shape {tuple(member.shape)}."
            )
        return member.long()

    def _counted(self, members: Mapping[str, Tensor]) -> list[int]:
        """How many players each row has."""
        tops = torch.zeros(self._rows, dtype=torch.long)
        for name, member in members.items():
            if member.numel():
                alike = member.dim() == len(self._shapes[name])
                tops = torch.maximum(tops, member.max() + 1 if alike else member.flatten(1).amax(1) + 1)
        counts: list[int] = tops.tolist()
        return counts


def _on_cpu(groups: Any) -> Tensor:
    return groups.detach().cpu() if isinstance(groups, Tensor) else torch.as_tensor(np.asarray(groups))


def _consecutive(members: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Number the groups from 0 without gaps."""
    ids = sorted({number for member in members.values() for number in member.unique().tolist()} - {FROZEN})
    if not ids:
        raise DeepseekError("There is nothing to explain: every feature is frozen, or the inputs have none.")
    places = torch.full((max(ids) + 2,), FROZEN)
    places[torch.tensor(ids)] = torch.arange(len(ids))
    return {name: places[member] for name, member in members.items()}
