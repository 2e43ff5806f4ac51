"""Which modules and parameters of a model are observed, and under which names."""

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Literal

import torch
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.inspector.record import Site

SiteFilter = str | Callable[[str, nn.Module], bool] | None

_CALLS_NO_CHILDREN = (nn.MultiheadAttention,)
"""Modules that compute with their children's parameters without ever calling the children."""


class SiteTable:
    """The sites of one session; ids count from 0 in the order of registration."""

    def __init__(self) -> None:
        self._sites: list[Site] = []
        self._ids: dict[tuple[str, str], int] = {}
        self._delivered = 0

    def __len__(self) -> int:
        return len(self._sites)

    @property
    def sites(self) -> tuple[Site, ...]:
        """All sites so far."""
        return tuple(self._sites)

    def add_module(self, name: str, module: nn.Module, order: int, aliases: tuple[str, ...]) -> int:
        """Register a module and return its site id; one that took the place of another keeps that site."""
        kind = type(module).__name__
        shown = name or kind
        return self._add("module", shown, kind, shown, order, aliases)

    def add_parameter(self, name: str, owner: Site, aliases: tuple[str, ...]) -> int:
        """Register a parameter of the module of ``owner`` and return its site id."""
        return self._add("parameter", name, owner.type, owner.module, owner.order, aliases)

    def output(self, site: int, path: str) -> int:
        """Return the site of a further tensor that the module of ``site`` returned at ``path``."""
        first = self._sites[site]
        return self._add("module", f"{first.name}:{path}", first.type, first.module, first.order)

    def function(self, site: int, kind: str) -> int:
        """Return the site of the activation functions of one kind that the module of ``site`` calls."""
        owner = self._sites[site]
        return self._add("module", f"{owner.name}:{kind}", kind, owner.module, owner.order)

    def take_new(self) -> tuple[Site, ...]:
        """Return the sites that were added since the last call."""
        new = tuple(self._sites[self._delivered :])
        self._delivered += len(new)
        return new

    def _add(
        self,
        role: Literal["module", "parameter"],
        name: str,
        kind: str,
        module: str,
        order: int,
        aliases: tuple[str, ...] = (),
    ) -> int:
        key = (role, name)
        if key not in self._ids:
            self._ids[key] = len(self._sites)
            self._sites.append(Site(len(self._sites), name, role, kind, module, order, aliases))
        return self._ids[key]


def select(model: nn.Module, sites: SiteFilter) -> Iterator[tuple[int, str, nn.Module, bool]]:
    """Yield (order, name, module, outputs) for each module of interest.

    ``outputs`` says whether the module's outputs are observed; the parameters of each yielded module are. Without a
    filter these are the outputs of leaf modules, and all parameters.

    Raises:
        DeepseekError: The filter matches no module.
    """
    matched = False
    for order, (name, module) in enumerate(model.named_modules()):
        chosen = _matches(sites, name, module)
        matched |= chosen
        if chosen:
            yield order, name, module, sites is not None or is_leaf(module)
    if not matched:
        raise DeepseekError(_no_match(model, sites))


def is_leaf(module: nn.Module) -> bool:
    """Whether the module computes by itself instead of calling submodules."""
    children = (name for name, _ in module.named_children() if name != "parametrizations")
    return isinstance(module, _CALLS_NO_CHILDREN) or next(children, None) is None


def aliases(model: nn.Module) -> dict[int, tuple[str, ...]]:
    """Map ``id`` of each shared module and tied parameter to its names after the first."""
    names: dict[int, list[str]] = {}
    for name, thing in [
        *model.named_modules(remove_duplicate=False),
        *model.named_parameters(remove_duplicate=False),
    ]:
        names.setdefault(id(thing), []).append(name)
    return {key: tuple(found[1:]) for key, found in names.items()}


def own_parameters(name: str, module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the qualified name of each parameter that belongs to the module itself, or to one it never calls."""
    recurse = isinstance(module, _CALLS_NO_CHILDREN)
    for own, parameter in module.named_parameters(recurse=recurse):
        yield f"{name}.{own}" if name else own, parameter


def is_unit_weight(module: nn.Module, parameter: torch.Tensor) -> bool:
    """Whether each row of the parameter produces one unit (a neuron or a channel) of the module's output."""
    convolutions = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    # Reading the attribute of a parametrised weight would compute it, and a spectral norm moves when it is computed.
    return isinstance(module, (nn.Linear, *convolutions)) and parameter is module._parameters.get("weight")


def _matches(sites: SiteFilter, name: str, module: nn.Module) -> bool:
    if sites is None:
        return True
    if isinstance(sites, str):
        return fnmatchcase(name, sites)
    return bool(sites(name, module))


def _no_match(model: nn.Module, sites: SiteFilter) -> str:
    names = [name for name, _ in model.named_modules() if name]
    if not isinstance(sites, str):
        return "`sites` returned False for every module; it must select at least one."
    near = get_close_matches(sites, names, n=3, cutoff=0.3) or names[:3]
    return f"`sites={sites!r}` matches no module of the model. Module names look like {', '.join(near) or '(none)'}."
