"""Which functions are nodes of the module graph, and which let edges pass through."""

from types import BuiltinFunctionType, FunctionType
from typing import Any

from torch.nn import functional

LAYERS = frozenset(
    name
    for name, function in vars(functional).items()
    if isinstance(function, (FunctionType, BuiltinFunctionType)) and not name.startswith("_")
)
"""Names of ``torch.nn.functional``: what could be a module. ``torch.softmax`` and ``x.softmax(-1)`` count as well."""

THROUGH = frozenset(
    {
        *("expand_as", "reshape_as", "view_as", "type_as", "to"),
        *("getitem", "gather", "index_select", "masked_select", "take", "take_along_dim"),
        *("pad", "unfold"),
    }
)
"""Functions that move the elements of one tensor, whatever other tensors tell them."""

_SPELLINGS = {
    f"{prefix}{operator}": name
    for name, operators in {
        "add": ("add",),
        "sub": ("sub",),
        "mul": ("mul",),
        "div": ("div", "truediv"),
        "matmul": ("matmul",),
        "pow": ("pow",),
    }.items()
    for operator in operators
    for prefix in ("", "i", "r")
}


def name_of(function: Any) -> str:
    """Name of a torch function, the same for ``a + b``, ``a += b``, ``a.add_(b)`` and ``torch.add(a, b)``."""
    name = str(getattr(function, "__name__", "function")).partition(".")[0].strip("_")
    return _SPELLINGS.get(name, name)


def is_visible(name: str, sources: int) -> bool:
    """Whether a function of so many tensors, each made by something in the graph, is a node.

    It is when it joins several tensors, parameters included, or when it could be a module. Other functions of one
    tensor (views, casts, sums, multiplication by a number) change nothing about where data comes from.
    """
    return name not in THROUGH and (sources > 1 or name in LAYERS)


def makes_anew(name: str) -> bool:
    """Whether a function takes from its tensors only what its own should look like."""
    return name.endswith("_like") or name.startswith("new_")
