"""Teaches the gates of a model to spend much on hard inputs and little on easy ones."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepseek.errors import DeepseekError
from deepseek.kernels.sparse.calibrate import calibrate_gates
from deepseek.kernels.sparse.control import call, forced_share, gates_of
from deepseek.kernels.sparse.gate import SparseGate
from deepseek.kernels.sparse.settling import momentum, norms_of, settle_statistics

Batches = Iterable[tuple[Any, Tensor]]
"""Gone through once an epoch: inputs as ``gate_decisions`` takes them, and labels."""

Loss = Callable[[Any, Tensor], Tensor]

BUDGET_WEIGHT = 40.0
"""Weight of the budget loss: a share that is off by 0.1 costs as much as 0.4 nats."""

GATE_SPEED = 3.0
"""Learning rate of the gates, relative to that of the weights."""

FAR = (0.1, 0.9)
"""A threshold beyond these is no correction of what the gates have learned at 0.5."""


@dataclass(frozen=True, slots=True)
class GateFit:
    """How fitting went, a value for each epoch.

    Attributes:
        loss: Mean loss of the gated network.
        dense_loss: Mean loss with every gate open.
        active_frac: Mean share of the active blocks.
        threshold: What the threshold was calibrated to in the end. If far from that in training, the network may be
            much worse than ``loss`` says; ``fit_gates`` then warns.
    """

    loss: list[float]
    dense_loss: list[float]
    active_frac: list[float]
    threshold: float


def fit_gates(
    model: nn.Module,
    batches: Batches,
    *,
    target: float = 0.5,
    spread: float = 0.6,
    epochs: int = 10,
    lr: float = 1e-3,
    optimizer: torch.optim.Optimizer | None = None,
    loss: Loss | None = None,
    progress: bool = True,
) -> GateFit:
    """Train a model with gates, and its gates to a mean activation.

    Each batch is computed three times: with all gates open, with few (``target - spread / 2`` of the blocks, for each
    sample those that its gates open widest), and gated. All three learn the labels (the sandwich of Yu & Huang 2019,
    section 3.1), the gated one also what the open one says. How hard a sample is, is told by the loss of the narrow
    network. A single loss is a noisy witness, which would draw all shares to the middle; so the samples of a batch are
    ranked by it and by what their gates open already, and the rank sets the share of blocks that a sample is to
    activate, from ``target - spread / 2`` for the easiest to ``target + spread / 2`` for the hardest. The wanted shares
    start at what is active and are reached half-way. Gates learn straight-through. In the end the threshold is
    calibrated on the same batches, and batch norm gets their statistics with the gates as they are then (section 3.3).

    Args:
        model: A model with gates, trained or not; it is left in evaluation.
        batches: Inputs and labels, such as a ``DataLoader``; gone through once an epoch, the first dimension of all
            outputs of gates being the samples.
        target: Wanted mean share of active blocks.
        spread: Difference between the hardest and the easiest sample.
        epochs: How often to go through the batches.
        lr: Learning rate of the AdamW that is made if there is no ``optimizer``; gates learn three times as fast. It
            falls from epoch to epoch, along half a cosine.
        optimizer: Steps on whatever parameters shall learn; its learning rate is yours.
        loss: Of an output and labels, ``[B]``; the cross entropy of logits if None.
        progress: Show a bar.

    Returns:
        How it went.

    Raises:
        DeepseekError: There are no gates or no batches, the shares are out of range, or the loss is not ``[B]``.
    """
    if not 0 <= target - spread / 2 <= target + spread / 2 <= 1 or spread < 0:
        raise DeepseekError(
            f"Expected target plus and minus spread / 2 within 0 and 1, got {target} and {spread}; lessen spread."
        )
    from tqdm.auto import tqdm

    gates = list(gates_of(model).values())
    fitting = _Fitting(model, gates, target, spread, loss or _cross_entropy)
    slower = None
    if optimizer is None:
        optimizer = _optimizer(model, gates, lr)
        slower = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    rows = []
    for epoch in tqdm(range(epochs), desc="fitting gates", disable=not progress):
        model.train()
        seen = [fitting.step(optimizer, *batch, min(2 * epoch / max(epochs - 1, 1), 1.0)) for batch in batches]
        if not seen:
            raise DeepseekError("There are no batches; an iterator can be gone through only once: give a list.")
        rows.append(torch.tensor(seen, dtype=torch.float64).mean(0).tolist())
        if slower:
            slower.step()
    settle_statistics(model, batches)
    threshold = calibrate_gates(model, (inputs for inputs, _ in batches), target=target)
    settle_statistics(model, batches)
    model.eval()
    if not FAR[0] < threshold < FAR[1]:
        warnings.warn(
            f"The gates did not learn to open {target:.0%} of the blocks: that takes a threshold of {threshold:.3f}, "
            "with which the network was not trained. Check its accuracy; a higher target or a wider spread may help.",
            stacklevel=2,
        )
    gated, dense, active = ([row[place] for row in rows] for place in range(3))
    return GateFit(gated, dense, active, threshold)


class _Fitting:
    def __init__(self, model: nn.Module, gates: list[SparseGate], target: float, spread: float, loss: Loss) -> None:
        self.model, self.gates, self.loss = model, gates, loss
        self.low, self.spread = target - spread / 2, spread
        self.start: float | None = None

    def step(
        self, optimizer: torch.optim.Optimizer, inputs: Any, labels: Tensor, ramp: float
    ) -> tuple[float, float, float]:
        """Learn from one batch: the gated and the dense loss, and the share of active blocks."""
        with momentum(norms_of(self.model), 0.0):
            with forced_share(self.model, 1.0):
                dense_output = call(self.model, inputs)
            with _narrowed(self.gates, self.low):
                narrow = self._losses(call(self.model, inputs), labels)
        dense = self._losses(dense_output, labels)
        with _collected(self.gates) as (masks, margins):
            output = call(self.model, inputs)
        gated = self._losses(output, labels)
        share, margin = _by_sample(masks), _by_sample(margins)
        self.start = float(share.detach().mean()) if self.start is None else self.start
        hard = _rank(_rank(narrow.detach()) + _rank(margin))
        wanted = self.start + ramp * (self.low + self.spread * hard - self.start)
        budget = (share - wanted).square().mean()
        total = gated.mean() + dense.mean() + narrow.mean() + _distance(output, dense_output) + BUDGET_WEIGHT * budget
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        return float(gated.detach().mean()), float(dense.detach().mean()), float(share.detach().mean())

    def _losses(self, output: Any, labels: Tensor) -> Tensor:
        losses = self.loss(output, labels)
        if losses.ndim != 1:
            raise DeepseekError(
                f"Expected a loss for each sample, [B], got {list(losses.shape)}; use reduction='none' and average "
                "over everything but the samples."
            )
        return losses


def _optimizer(model: nn.Module, gates: list[SparseGate], lr: float) -> torch.optim.Optimizer:
    own = [parameter for gate in gates for parameter in gate.parameters()]
    known = set(map(id, own))
    others = [parameter for parameter in model.parameters() if id(parameter) not in known]
    groups: list[dict[str, Any]] = [{"params": others}, {"params": own, "lr": GATE_SPEED * lr, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=lr)


def _cross_entropy(output: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(output, labels, reduction="none")


def _distance(output: Any, dense: Any) -> Tensor | float:
    """How far what the gated network says is from what the dense one says; logits only."""
    if not isinstance(output, Tensor) or output.ndim != 2 or output.shape[1] < 2:
        return 0.0
    return functional.kl_div(
        output.log_softmax(1), dense.detach().log_softmax(1), reduction="batchmean", log_target=True
    )


def _rank(values: Tensor) -> Tensor:
    """Rank of each value, from 0 for the smallest to 1 for the largest."""
    return values.argsort().argsort().to(values.dtype) / max(len(values) - 1, 1)


def _by_sample(values: list[Tensor]) -> Tensor:
    """Mean over blocks, positions and gates: ``[B]``."""
    return torch.stack([value.flatten(1).mean(1) for value in values]).mean(0)


@contextmanager
def _collected(gates: list[SparseGate]) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
    """Collect what the gates return, and by how much they exceed the threshold."""
    masks: list[Tensor] = []
    margins: list[Tensor] = []

    def collect(gate: SparseGate, inputs: tuple[Tensor], mask: Tensor) -> None:
        masks.append(mask)
        margins.append(gate.gates(inputs[0]).detach() - gate.threshold)

    with _hooked(gates, collect):
        yield masks, margins


@contextmanager
def _narrowed(gates: list[SparseGate], share: float) -> Iterator[None]:
    """Have every gate open for each row the same number of blocks, those it opens widest; at least one."""

    def widest(gate: SparseGate, inputs: tuple[Tensor], mask: Tensor) -> Tensor:
        values = gate.gates(inputs[0].detach())
        chosen = values.topk(max(round(share * gate.blocks), 1), -1).indices
        return (torch.zeros_like(values).scatter(-1, chosen, 1.0) + (values - values.detach())).to(mask.dtype)

    with _hooked(gates, widest):
        yield


@contextmanager
def _hooked(gates: list[SparseGate], hook: Callable[..., Tensor | None]) -> Iterator[None]:
    handles = [gate.register_forward_hook(hook) for gate in gates]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
