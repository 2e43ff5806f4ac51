"""Whether an explanation depends on what the model has learned: it must change when the weights are random."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deepseek.errors import DeepseekError
from deepseek.explain.call import Inputs
from deepseek.explain.explaining import Explain, copied
from deepseek.explain.sanity.ranks import rank_correlations, table
from deepseek.text import printable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MOST_ALIKE = 0.5
"""Explanations of the model and of random ones may have this rank correlation on average."""

ALL = "everything"


@dataclass(frozen=True, eq=False, repr=False)
class Randomisation:
    """How much of an explanation is left when layers are randomised.

    Attributes:
        layers: The layers, that next to the output first; in the end ``everything`` where each was randomised alone.
        correlations: Rank correlation with the explanation of the model, a mean over the rows, ``[R, L]`` for ``R``
            draws of random weights.
        magnitudes: The same between absolute values. It may stay high where inputs are mostly zeros, which get no
            attribution from whatever model; the verdict does not look at it.
        cascading: Whether a layer was randomised together with all those before it, or alone.
    """

    layers: tuple[str, ...]
    correlations: NDArray[np.float64]
    magnitudes: NDArray[np.float64]
    cascading: bool

    @property
    def passed(self) -> bool:
        """Whether the explanation of a wholly random model is another one."""
        return bool(self.correlations[:, -1].mean() < MOST_ALIKE)

    def frame(self) -> "pd.DataFrame":
        """Return a row for each layer: means over the draws, and the smallest and largest."""
        import pandas as pd

        return pd.DataFrame(
            {
                "layer": self.layers,
                "correlation": self.correlations.mean(0),
                "low": self.correlations.min(0),
                "high": self.correlations.max(0),
                "magnitude_correlation": self.magnitudes.mean(0),
            }
        )

    def __str__(self) -> str:
        left = self.correlations[:, -1].mean()
        verdict = (
            "it depends on what the model has learned"
            if self.passed
            else "it hardly depends on what the model has learned, and must not be used to explain it"
        )
        how = "with all before it" if self.cascading else "alone"
        lines = [
            f"  {layer}: {mean:.2f} [{low:.2f}, {high:.2f}]"
            for layer, mean, low, high in zip(
                self.layers,
                self.correlations.mean(0),
                self.correlations.min(0),
                self.correlations.max(0),
                strict=True,
            )
        ]
        return printable(
            "\n".join(
                [
                    f"Model randomisation: {verdict} (rank correlation {left:.2f} with a random model's explanation; "
                    f"at most {MOST_ALIKE} was expected)",
                    f"Rank correlation left when a layer is randomised {how}:",
                    *lines,
                ]
            )
        )

    __repr__ = __str__

    def plot(self) -> "Figure":
        """Draw how much is left by layer."""
        from deepseek.explain.picture import DOWN, UP, Picture

        names = ["nothing", *(printable(layer)[:40] for layer in self.layers)]
        figure = Picture(figsize=(8, 1.8 + 0.28 * len(names)), layout="constrained")
        axes, places = figure.subplots(), np.arange(len(names))
        for name, rows, color in (("signed", self.correlations, DOWN), ("magnitudes", self.magnitudes, "0.6")):
            whole = np.concatenate([np.ones((len(rows), 1)), rows], axis=1)
            axes.plot(whole.mean(0), places, color=color, marker="o", label=f"{name}: mean and range of the draws")
            axes.fill_betweenx(places, whole.min(0), whole.max(0), color=color, alpha=0.2)
        axes.axvline(MOST_ALIKE, color=UP, linestyle=":", label="most that a random model may have (signed)")
        axes.set_yticks(places, names, parse_math=False)
        axes.invert_yaxis()
        axes.set_ylabel(f"randomised{', with all above' if self.cascading else ' alone'}")
        axes.set_xlabel("rank correlation with the explanation of the model")
        axes.set_title("What is left of the explanation")
        figure.legend(loc="outside lower center")
        return figure


def model_randomisation(
    model: nn.Module,
    inputs: Inputs,
    explain: Explain,
    *,
    layers: Sequence[str] | None = None,
    cascading: bool = True,
    repeats: int = 3,
    seed: int = 0,
) -> Randomisation:
    """Explain models whose layers are randomised, one after the other from the output on, and compare.

    The numbers of every parameter and buffer of a layer are put in random order: all is left of their distribution, and
    nothing of what was learned. That happens in copies: the model is not touched.

    Args:
        model: The model.
        inputs: What is explained.
        explain: Explains inputs by a model, such as ``lambda model, inputs: explain.shap(model, inputs, background,
            target=1, progress=False)``; the target must not depend on the model.
        layers: Names of the modules with parameters, that next to the output first; by default all, in the reverse
            order of their definition.
        cascading: Whether layers stay random while further ones are randomised; else each is randomised alone.
        repeats: Number of draws of random weights.
        seed: Of these; other random numbers are left alone.

    Returns:
        Rank correlations by layer, with a verdict, a table and a picture.

    Raises:
        DeepseekError: An argument does not fit, or the model cannot be copied.

    Source: Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018, section 4.
    """
    if not isinstance(repeats, int) or repeats < 1:
        raise DeepseekError(f"`repeats` must be a whole number from 1, not {repeats!r}.")
    names = _names(model, layers)
    original = table(explain(model, inputs))
    chance = torch.Generator().manual_seed(seed)
    found = [
        [_compared(original, table(explain(random, inputs))) for random in _randomised(model, names, cascading, chance)]
        for _ in range(repeats)
    ]
    labels = [name or "(the model itself)" for name in names]
    correlations, magnitudes = np.moveaxis(np.array(found), -1, 0)
    return Randomisation(tuple(labels if cascading else [*labels, ALL]), correlations, magnitudes, cascading)


def _names(model: nn.Module, layers: Sequence[str] | None) -> list[str]:
    own = {name: module for name, module in model.named_modules() if _tensors(module)}
    names = list(own)[::-1] if layers is None else list(layers)
    if missing := [name for name in names if name not in own]:
        raise DeepseekError(
            printable(f"There is no layer {missing[0]!r} with parameters of its own: there are {', '.join(own)}.")
        )
    if not names:
        raise DeepseekError("There are no parameters to be randomised: nothing could have been learned.")
    return names


def _tensors(module: nn.Module) -> list[Tensor]:
    """What a module itself has learned."""
    own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    return [tensor for tensor in own if tensor.is_floating_point() and tensor.numel() > 1]


def _randomised(
    model: nn.Module, names: Sequence[str], cascading: bool, chance: torch.Generator
) -> Iterator[nn.Module]:
    """Yield copies of the model with more and more random layers, or with each of them alone and then all."""
    random = copied(model)
    for name in names:
        _shuffle(random, [name], chance)
        yield random
        random = random if cascading else copied(model)
    if not cascading:
        _shuffle(random, names, chance)
        yield random


def _shuffle(model: nn.Module, names: Sequence[str], chance: torch.Generator) -> None:
    with torch.no_grad():
        for tensor in [tensor for name in names for tensor in _tensors(model.get_submodule(name))]:
            order = torch.randperm(tensor.numel(), generator=chance).to(tensor.device)
            tensor.copy_(tensor.flatten()[order].reshape(tensor.shape))


def _compared(one: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[float, float]:
    if one.shape != other.shape:
        raise DeepseekError(
            f"`explain` must give attributions of one shape for every model; it gave {one.shape} and {other.shape}."
        )
    signed, sizes = rank_correlations(one, other), rank_correlations(np.abs(one), np.abs(other))
    return float(signed.mean()), float(sizes.mean())
