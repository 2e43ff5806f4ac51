"""Sets gates by the kinds of inputs there are, for models that then learn as dense ones do."""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from deepseek.errors import DeepseekError
from deepseek.kernels.evaluating import evaluating
from deepseek.kernels.sparse.control import call, gates_of
from deepseek.kernels.sparse.gate import SparseGate

MAX_ROWS = 10_000
"""At most so many rows are grouped, evenly spread over the inputs."""


def cluster_gates(model: nn.Module, inputs: Iterable[Any], *, target: float | None = None) -> None:
    """Have each block compute for inputs of one kind, before the model learns.

    The rows that reach each gate are grouped by k-means, as many groups as there are blocks; a block is then active for
    the rows around the centre of its group, which a linear gate can tell: ``-|x - c|^2`` differs from ``2 c x - |c|^2``
    only by what is the same for all blocks. The gates stay as they are (``requires_grad`` is off), so the model is
    trained as a dense one, without ``fit_gates``. What reaches later gates moves while it learns: call
    ``calibrate_gates`` with the same target after each epoch.

    This is for inputs of several kinds, such as languages, sensors or sites, of which each needs units of its own; at
    best there are as many blocks as kinds. The kinds have to stand out: where what varies within them is as large as
    what tells them apart, the model is worse than a narrower dense one. Where inputs differ in difficulty, use
    ``fit_gates``.

    Args:
        model: A model with gates that are not ordered; their weights and thresholds are changed.
        inputs: Batches of inputs, each as ``gate_decisions`` takes them; gone through once.
        target: Wanted mean share of active blocks, from 0 to 1; more becomes active where many rows are equal. If None,
            so many that a row opens one block on average.

    Raises:
        DeepseekError: There are no gates or no inputs, a gate is ordered or gets fewer different rows than it has
            blocks, the target is out of range, or scikit-learn is not installed. The gates are then as before.

    Source:
        Gururangan et al. 2023, Scaling Expert Language Models with Unsupervised Domain Discovery, section 2.
    """
    try:
        from sklearn.cluster import KMeans
    except ImportError as error:
        raise DeepseekError("`cluster_gates` needs scikit-learn: pip install scikit-learn") from error
    gates, batches = gates_of(model), list(inputs)
    if not batches or not 0 < (1 if target is None else target) <= 1:
        raise DeepseekError(
            f"Expected at least one batch and a target above 0, at most 1, got {len(batches)}, {target}."
        )
    for name, gate in gates.items():
        if gate.ordered:
            raise DeepseekError(f"The blocks of {name!r} are ordered, so none can be for one kind of inputs alone.")
    before = [deepcopy(gate.state_dict()) for gate in gates.values()]
    try:
        for name, gate in gates.items():
            rows = _rows(model, gate, batches)
            if not bool(rows.isfinite().all()) or len(rows.unique(dim=0)) < max(gate.blocks, 2):
                raise DeepseekError(f"{name!r} gets fewer different finite rows than its {gate.blocks} blocks.")
            found = KMeans(gate.blocks, n_init=10, random_state=0).fit(rows.numpy())
            _set(gate, rows, torch.from_numpy(found.cluster_centers_), 1 / gate.blocks if target is None else target)
    except BaseException:
        for gate, state in zip(gates.values(), before, strict=True):
            gate.load_state_dict(state)
        raise
    for gate in gates.values():
        gate.requires_grad_(requires_grad=False)


def _rows(model: nn.Module, gate: SparseGate, batches: list[Any]) -> Tensor:
    """What reaches a gate in evaluation, with the gates before it as they are: ``[rows, features]`` float64, CPU."""
    seen = [torch.zeros(0, gate.weight.shape[1], dtype=torch.float64)]
    handle = gate.register_forward_pre_hook(lambda _gate, inputs: seen.append(inputs[0].flatten(0, -2).double().cpu()))
    try:
        with evaluating(model), torch.no_grad():
            for batch in batches:
                call(model, batch)
    finally:
        handle.remove()
    rows = torch.cat(seen)
    return rows[:: len(rows) // MAX_ROWS + 1]


@torch.no_grad()
def _set(gate: SparseGate, rows: Tensor, centres: Tensor, target: float) -> None:
    """Open the blocks for the rows nearest to their centres, so many that ``target`` of the pairs is open."""
    bias = -centres.square().sum(1) / 2
    nearness = rows @ centres.t() + bias
    unit = nearness.std()
    ordered = nearness.flatten().sort(descending=True).values
    ordered = torch.cat([ordered, ordered[-1:] - unit])
    last = ordered[max(round(target * nearness.numel()), 1) - 1]
    cut = (last + ordered[ordered < last][0]) / 2
    gate.weight.copy_(centres / unit)
    gate.bias.copy_((bias - cut) / unit)
    gate.threshold = torch.full_like(gate.threshold, 0.5)
