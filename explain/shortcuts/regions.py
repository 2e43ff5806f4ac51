"""The regions of the inputs that are audited."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepseek.errors import DeepseekError
from deepseek.explain.call import Call

Region = Mapping[str, Tensor]
"""By name of the input, which elements of a row belong to it: bool, in the shape of a row."""

Regions = Mapping[str, Any] | None
"""By name, a bool mask that fits a row, or numbers or names of columns; for several inputs a dict of masks. None for
proposals."""

MOST_COLUMNS = 64
"""Columns of a table that are proposed, each as a region of its own."""

GRID = 4
"""Rows and columns of cells that are proposed for pictures."""


def checked_regions(call: Call, given: Regions) -> dict[str, Region]:
    """Return the masks of every region.

    Raises:
        DeepseekError: A region does not fit, is empty, or there is no proposal for such inputs.
    """
    if given is None:
        return {name: {call.explained[0]: torch.from_numpy(mask)} for name, mask in _proposed(call).items()}
    if not isinstance(given, Mapping) or not given:
        raise DeepseekError(f"`regions` must be a dict with a mask or columns for each name, not {given!r:.80}.")
    return {str(name): _region(call, str(name), value) for name, value in given.items()}


def picture_regions(height: int, width: int) -> dict[str, NDArray[np.bool_]]:
    """Propose regions, which overlap: the border (an eighth of the shorter side), quadrants, 4 x 4 cells."""
    rows, columns = np.indices((height, width))
    edge = max(1, min(height, width) // 8)
    inside = (rows >= edge) & (rows < height - edge) & (columns >= edge) & (columns < width - edge)
    regions = {"border": ~inside}
    for vertical, top in (("top", True), ("bottom", False)):
        for horizontal, left in (("left", True), ("right", False)):
            regions[f"{vertical} {horizontal} quadrant"] = ((2 * rows < height) == top) & (
                (2 * columns < width) == left
            )
    for row in range(GRID):
        for column in range(GRID):
            own = (rows * GRID // height == row) & (columns * GRID // width == column)
            regions[f"cell in row {row + 1}, column {column + 1}"] = own
    return regions


def features_frac(call: Call, regions: Mapping[str, Region]) -> dict[str, float]:
    """Return the share of each region in the features that vary over the rows."""
    names = {*call.explained, *(name for region in regions.values() for name in region)}
    varying = {name: (call.tensors[name] != call.tensors[name][:1]).any(0).cpu() for name in names}
    total = sum(int(each.sum()) for each in varying.values())
    return {
        name: sum(int((varying[own] & mask).sum()) for own, mask in region.items()) / max(total, 1)
        for name, region in regions.items()
    }


def _proposed(call: Call) -> dict[str, NDArray[np.bool_]]:
    sizes = tuple(call.tensors[call.explained[0]].shape[1:])
    if len(call.explained) == 1 and len(sizes) in (2, 3) and min(sizes[-2:]) >= GRID:
        return {name: np.broadcast_to(mask, sizes).copy() for name, mask in picture_regions(*sizes[-2:]).items()}
    columns = _columns(call) if len(call.explained) == 1 and len(sizes) == 1 else {}
    if not 1 < len(columns) <= MOST_COLUMNS:
        raise DeepseekError(
            f"There are no regions to propose for rows of shape {sizes}: pass `regions`, a dict with a bool mask in "
            f"the shape of a row for each name. Proposed are parts of pictures, and up to {MOST_COLUMNS} columns."
        )
    return columns


def _columns(call: Call) -> dict[str, NDArray[np.bool_]]:
    """The columns of a table, under their names where these are known; a category's are together."""
    count = call.tensors[call.explained[0]].shape[1]
    groups = np.arange(count) if call.features.groups is None else np.asarray(call.features.groups)
    names = call.features.names or tuple(f"column {place}" for place in range(groups.max() + 1))
    return {name: groups == place for place, name in enumerate(names)}


def _region(call: Call, name: str, value: Any) -> Region:
    if names := _names(value):
        return _named(call, name, names)
    parts = value if isinstance(value, Mapping) else {call.explained[0]: value}
    if unknown := set(parts) - set(call.tensors):
        raise DeepseekError(f"The region {name!r} names the input {sorted(unknown)[0]!r}: there are {_inputs(call)}.")
    if len(call.explained) > 1 and not isinstance(value, Mapping):
        raise DeepseekError(
            f"With the inputs {_inputs(call)}, the region {name!r} must be a dict with a mask for each."
        )
    region = {own: _mask(name, part, tuple(call.tensors[own].shape[1:])) for own, part in parts.items()}
    if not any(bool(mask.any()) for mask in region.values()):
        raise DeepseekError(f"The region {name!r} is empty: nothing of the inputs belongs to it.")
    return region


def _names(value: Any) -> tuple[str, ...]:
    given = value if isinstance(value, (list, tuple)) else (value,)
    return tuple(given) if given and all(isinstance(each, str) for each in given) else ()


def _named(call: Call, name: str, names: Sequence[str]) -> Region:
    """The columns of these names, for inputs that have any."""
    columns = _columns(call) if call.features.names else {}
    if unknown := set(names) - set(columns):
        raise DeepseekError(
            f"The region {name!r} names the column {sorted(unknown)[0]!r}: there are {', '.join(columns) or 'none'}."
        )
    return {call.explained[0]: torch.from_numpy(np.any([columns[each] for each in names], axis=0))}


def _mask(name: str, value: Any, sizes: tuple[int, ...]) -> Tensor:
    given = torch.as_tensor(value).cpu()
    if given.dtype != torch.bool:
        return _numbered(name, given, sizes)
    try:
        return given.expand(sizes).clone()
    except RuntimeError as error:
        raise DeepseekError(
            f"The mask of the region {name!r} must fit a row of shape {sizes}; its shape is {tuple(given.shape)}."
        ) from error


def _numbered(name: str, given: Tensor, sizes: tuple[int, ...]) -> Tensor:
    places = given.reshape(-1)
    fits = len(sizes) == 1 and not given.is_floating_point() and given.dim() <= 1 and len(places)
    if not fits or bool(((places < -sizes[0]) | (places >= sizes[0])).any()):
        raise DeepseekError(
            f"The region {name!r} must be a bool mask in the shape of a row, {sizes}, or whole numbers of its columns; "
            f"it is {given.dtype} of shape {tuple(given.shape)}."
        )
    mask = torch.zeros(sizes, dtype=torch.bool)
    mask[places.long()] = True
    return mask


def _inputs(call: Call) -> str:
    return ", ".join(call.tensors)
