"""What the gates of a model make of some inputs: who opens how much, does that follow the difficulty, what is lost."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepseek.errors import DeepseekError
from deepseek.kernels.evaluating import evaluating
from deepseek.kernels.sparse.control import gate_decisions, gates_of
from deepseek.kernels.sparse.conv import SparseConv2d
from deepseek.kernels.sparse.feed_forward import SparseFeedForward
from deepseek.kernels.sparse.gate import GateDecision
from deepseek.text import printable

if TYPE_CHECKING:
    import pandas as pd

    from deepseek.picture import Picture

GatedLayer = SparseFeedForward | SparseConv2d
Loss = Callable[[Any, Tensor], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class GateSummary:
    """What gates did with a batch of samples.

    Attributes:
        decisions: By the name of each gate, what it decided.
        active_frac: Share of the blocks that each sample activates at each gate, ``[B, gates]``.
        loss: Loss of each sample, ``[B]``.
        entropy: Entropy of each predicted distribution in nats, ``[B]``; NaN where the model returns no logits.
        targets: As given.
        added_frac: By gate, what the skipped blocks would have added: how far the output of the layer moves when a
            block opens as well, relative to the output, in the rows that skip it (norm over norm), ``[blocks]``. NaN
            for a block that no row skips. Missing for gates that are in neither of the two layers of this package.
    """

    decisions: Mapping[str, GateDecision]
    active_frac: Tensor
    loss: Tensor
    entropy: Tensor
    targets: Tensor
    added_frac: Mapping[str, Tensor]

    def samples(self) -> "pd.DataFrame":
        """Return one row per sample: its class (if targets are classes), mean ratio, loss, entropy, and each gate's."""
        import pandas as pd

        about = {"active_frac": self.active_frac.mean(1), "loss": self.loss, "entropy": self.entropy}
        gates = dict(zip(self.decisions, self.active_frac.T, strict=True))
        table = {name: values.tolist() for name, values in (self._classes() | about).items()}
        return pd.DataFrame(table | {printable(name): values.tolist() for name, values in gates.items()})

    def classes(self) -> "pd.DataFrame":
        """Return one row per class: its samples, and the means of their ratio, loss and entropy.

        Raises:
            DeepseekError: The targets are no classes.
        """
        if not self._classes():
            raise DeepseekError(
                f"Expected targets that are classes, whole numbers [B], got {self.targets.dtype} "
                f"{list(self.targets.shape)}; samples() takes any."
            )
        groups = self.samples().groupby("class")
        table = groups[["active_frac", "loss", "entropy"]].mean()
        table.insert(0, "samples", groups.size())
        return table

    def difficulty(self) -> dict[str, float]:
        """Return Spearman's rank correlation of the ratio with ``loss`` and with ``entropy``; NaN for constants."""
        ranked = self.samples()[["active_frac", "loss", "entropy"]].corr(method="spearman").to_numpy()
        return {"loss": float(ranked[0, 1]), "entropy": float(ranked[0, 2])}

    def blocks(self) -> "pd.DataFrame":
        """Return one row per gate and block: how often it is open, its mean margin, what it would add where skipped."""
        import pandas as pd

        rows = []
        for name, decision in self.decisions.items():
            open_, margin = _by_block(decision.active.double()).mean(0), _by_block(decision.margin).mean(0)
            added = self.added_frac.get(name, torch.full_like(open_, torch.nan))
            columns = (open_.tolist(), margin.tolist(), added.tolist())
            rows += [(printable(name), block, *each) for block, each in enumerate(zip(*columns, strict=True))]
        return pd.DataFrame(rows, columns=["gate", "block", "open_frac", "mean_margin", "added_frac"])

    def path(self, sample: int) -> "pd.DataFrame":
        """Return the way of one sample, a row per gate and block: is it open, and by what margin.

        Of a gate that decides for each position (token), the share of positions and their mean margin.

        Raises:
            DeepseekError: There is no such sample.
        """
        import pandas as pd

        if not -len(self.loss) <= sample < len(self.loss):
            raise DeepseekError(f"There is no sample {sample}; there are {len(self.loss)}.")
        rows = []
        for name, decision in self.decisions.items():
            open_ = _by_block(decision.active[sample].double()).mean(0).tolist()
            margin = _by_block(decision.margin[sample]).mean(0).tolist()
            rows += [(printable(name), block, *each) for block, each in enumerate(zip(open_, margin, strict=True))]
        return pd.DataFrame(rows, columns=["gate", "block", "active_frac", "margin"])

    def plot(self, sample: int = 0) -> "Picture":
        """Draw the ratio by class and against the loss, the path of one sample, and what skipped blocks would add.

        Raises:
            DeepseekError: There is no such sample.
        """
        from deepseek.kernels.sparse.inspecting_picture import draw

        return draw(self, sample)

    def __str__(self) -> str:
        found = self.difficulty()
        lines = [
            f"{len(self.loss)} samples activate {float(self.active_frac.mean()):.0%} of the blocks of "
            f"{len(self.decisions)} gates; with the loss the ratio correlates by {found['loss']:.2f} (Spearman)."
        ]
        width = max(map(len, self.decisions))
        lines += [f"  {name:{width}}  {ratio:.0%}" for name, ratio in zip(self.decisions, self._means(), strict=True)]
        return printable("\n".join(lines))

    def _means(self) -> list[float]:
        return [float(mean) for mean in self.active_frac.mean(0)]

    def _classes(self) -> dict[str, Tensor]:
        whole = not self.targets.is_floating_point() and self.targets.shape == self.loss.shape
        return {"class": self.targets} if whole else {}


def gate_summary(model: nn.Module, inputs: Any, targets: Tensor, *, loss: Loss | None = None) -> GateSummary:
    """Tell what the gates of a model make of some samples, in evaluation.

    Each gated layer is computed once more for each of its blocks: take a few hundred samples, not a whole data set.

    Args:
        model: A model with gates; its modes and its gradients are left alone.
        inputs: A tensor, a tuple (positional) or a dict (keyword arguments); the first dimension is the sample.
        targets: What the loss compares with, ``[B, ...]``; whole numbers ``[B]`` are classes.
        loss: Of an output and targets, ``[B]``; the cross entropy of logits if None.

    Raises:
        DeepseekError: There is no gate or none was used, the loss is not ``[B]``, or a gate does not decide by sample.
    """
    layers = _layers_of(model)
    with evaluating(model), torch.no_grad(), _watched(model, layers) as (seen, outputs):
        decisions = gate_decisions(model, inputs)
        if not decisions:
            raise DeepseekError(f"No gate of {type(model).__name__} was used by its forward.")
        output = outputs[-1]
        losses = _cross_entropy(output, targets) if loss is None else loss(output, targets)
        _check(losses, decisions)
        added = {name: _added_frac(layers[name], x, decisions[name]) for name, x in seen.items() if name in decisions}
    shares = torch.stack([decision.active_frac for decision in decisions.values()], 1)
    return GateSummary(decisions, shares, losses.detach(), _entropy(output, losses), targets, added)


def _added_frac(layer: GatedLayer, x: Tensor, decision: GateDecision) -> Tensor:
    active = decision.active
    mask = active.to(x.dtype)
    output = layer.forward_masked(x, mask)
    shares = []
    for block in range(mask.shape[-1]):
        skipped, opened = ~active[..., block], mask.clone()
        opened[..., block] = 1
        change = layer.forward_masked(x, opened) - output
        shares.append(change[skipped].double().norm() / output[skipped].double().norm())
    return torch.stack(shares)


def _layers_of(model: nn.Module) -> dict[str, GatedLayer]:
    """The layers whose blocks can be opened one by one, by the name of their gate."""
    owners = {name: model.get_submodule(name.rpartition(".")[0]) for name in gates_of(model)}
    return {name: layer for name, layer in owners.items() if isinstance(layer, (SparseFeedForward, SparseConv2d))}


@contextmanager
def _watched(model: nn.Module, layers: Mapping[str, GatedLayer]) -> Iterator[tuple[dict[str, Tensor], list[Any]]]:
    """Keep the newest input of each layer, and what the model returns."""
    seen: dict[str, Tensor] = {}
    outputs: list[Any] = []

    def keep(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        return lambda _layer, args: seen.update({name: args[0]})

    handles = [layer.register_forward_pre_hook(keep(name)) for name, layer in layers.items()]
    handles.append(model.register_forward_hook(lambda _model, _inputs, output: outputs.append(output)))
    try:
        yield seen, outputs
    finally:
        for handle in handles:
            handle.remove()


def _by_block(values: Tensor) -> Tensor:
    """All rows of what belongs to blocks, ``[rows, blocks]``."""
    return values.reshape(-1, values.shape[-1])


def _cross_entropy(output: Any, targets: Tensor) -> Tensor:
    if not isinstance(output, Tensor) or output.ndim != 2:
        raise DeepseekError("Expected a model that returns logits [B, classes]; give `loss`, of an output and targets.")
    return functional.cross_entropy(output, targets, reduction="none")


def _entropy(output: Any, losses: Tensor) -> Tensor:
    if not isinstance(output, Tensor) or output.ndim != 2 or output.shape[1] < 2:
        return torch.full_like(losses, torch.nan)
    entropy: Tensor = torch.special.entr(output.softmax(1)).sum(1)
    return entropy


def _check(losses: Tensor, decisions: Mapping[str, GateDecision]) -> None:
    if losses.ndim != 1:
        raise DeepseekError(f"Expected a loss for each sample, [B], got {list(losses.shape)}; use reduction='none'.")
    for name, decision in decisions.items():
        if len(decision.gates) != len(losses):
            raise DeepseekError(
                f"{name} decides for {len(decision.gates)} rows where there are {len(losses)} samples: "
                "the first dimension of what a gate sees must be the sample."
            )
