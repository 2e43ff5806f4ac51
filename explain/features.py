"""Inputs together with the features that people know: columns, categories, words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Features:
    """What a model is called with, and what its parts mean.

    ``Table.features`` and ``words`` make them; by hand they describe an encoding of your own. They go wherever inputs
    or a background do.

    Attributes:
        inputs: What the model is called with: a tensor ``[B, ...]``, or a mapping of keyword arguments.
        groups: Which elements are one feature, see ``explain.shap``; None where each is one.
        names: Names of the features; empty where these differ from row to row, as words do.
        shown: What each feature was in each row, in words; empty where the numbers say it.
        background: Rows that stand for absent features where no others are given; None without.
        absent: What these are, in words.
        encode: Turns further rows of a frame into what ``inputs`` holds; None where rows are no frames.
    """

    inputs: Any
    groups: Any = None
    names: tuple[str, ...] = ()
    shown: tuple[tuple[str, ...], ...] = ()
    background: Mapping[str, Tensor] | None = None
    absent: str = ""
    encode: "Callable[[pd.DataFrame], Tensor] | None" = None
