"""Features, or groups of features, that are present or absent together."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepseek.errors import DeepseekError
from deepseek.explain.call import Call

FROZEN = -1
"""In place of a group's number: the feature is always present, as special tokens are."""

Groups = Any
"""None for single features; whole numbers in the shape of a row, equal ones for features that belong together and -1
for those that are always present; for several inputs a mapping of such arrays."""


class Players:
    """The ``M`` players of the game between features.

    Args:
        call: The model with its inputs.
        groups: See ``Groups``.

    Attributes:
        count: How many there are, ``M``.
        grouped: Whether groups were given.
        frozen: Whether some features are always present.

    Raises:
        DeepseekError: The groups do not fit the inputs.
    """

    def __init__(self, call: Call, groups: Groups = None) -> None:
        self.grouped = groups is not None
        self._shapes = {name: tuple(call.tensors[name].shape[1:]) for name in call.explained}
        members = self._single() if groups is None else self._given(groups)
        ids = sorted({int(number) for member in members.values() for number in member.unique()} - {FROZEN})
        if not ids:
            raise DeepseekError("There is nothing to explain: every feature is frozen, or the inputs have none.")
        place = torch.full((max(ids) + 2,), FROZEN)
        place[torch.tensor(ids)] = torch.arange(len(ids))
        self._members = {name: place[member] for name, member in members.items()}
        self.count = len(ids)
        self.frozen = any(bool((member == FROZEN).any()) for member in members.values())

    def presence(self, coalitions: Tensor) -> dict[str, Tensor]:
        """Tell which features are present.

        Args:
            coalitions: Which players are, ``[N, M]`` bool.

        Returns:
            By name of the input ``[N, *row shape]`` bool.
        """
        always = torch.ones(len(coalitions), 1, dtype=torch.bool)
        extended = torch.cat([coalitions, always], dim=1)
        return {name: extended[:, member] for name, member in self._members.items()}

    def shaped(self, values: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
        """Bring ``[B, M, ...]`` numbers of players into the shape of the inputs; those of groups stay as they are."""
        if self.grouped:
            name = next(iter(self._members)) if len(self._members) == 1 else "groups"
            return {name: values}
        rest = values.shape[2:]
        return {
            name: values[:, member.numpy().reshape(-1)].reshape(len(values), *self._shapes[name], *rest)
            for name, member in self._members.items()
        }

    def gathered(self, values: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """Sum ``[*row shape, K]`` numbers of features over each player, ``[M, K]``."""
        outputs = next(iter(values.values())).shape[-1]
        total = np.zeros((self.count + 1, outputs))
        for name, member in self._members.items():
            np.add.at(total, member.numpy().reshape(-1), values[name].reshape(-1, outputs))
        return total[: self.count]

    @property
    def groups(self) -> np.ndarray[Any, Any] | None:
        """The group of every element of a row of the only input; None for single features and several inputs."""
        if not self.grouped or len(self._members) > 1:
            return None
        (member,) = self._members.values()
        return member.double().numpy()

    def data(self, call: Call) -> dict[str, np.ndarray[Any, Any]]:
        """Give the inputs that are explained, or their means over groups that span several, as float64."""
        rows = {name: call.tensors[name].detach().cpu().double().numpy() for name in self._members}
        if not self.grouped or len(rows) == 1:
            return rows
        sizes = self.gathered({name: np.ones((*shape, 1)) for name, shape in self._shapes.items()})
        total = self.gathered({name: np.moveaxis(row, 0, -1) for name, row in rows.items()})
        return self.shaped((total / sizes).T)

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
        members = {}
        for name, shape in self._shapes.items():
            member = torch.as_tensor(np.asarray(given.get(name, FROZEN)))
            if name not in given:
                member = torch.full(shape, FROZEN)
            if member.is_floating_point() or tuple(member.shape) != shape or bool((member < FROZEN).any()):
                raise DeepseekError(
                    f"`groups` of {name} must be whole numbers from -1 in the shape of a row, {shape}; they are "
                    f"{member.dtype} of shape {tuple(member.shape)}."
                )
            members[name] = member.long()
        if unknown := set(given) - set(self._shapes):
            raise DeepseekError(f"`groups` names {sorted(unknown)[0]!r}, and explained are {', '.join(self._shapes)}.")
        return members
