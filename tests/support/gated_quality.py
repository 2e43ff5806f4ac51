"""What gates cost in accuracy and what they know about their inputs, on one task with one seed."""

from collections.abc import Callable
from copy import deepcopy
from itertools import islice

import torch
from gated_tasks import SENSORS, SENSORS_TASK, TASKS, Data, Task
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn import functional

from deepseek.kernels import active_frac, calibrate_gates, cluster_gates, fit_gates, forced_share, gates_of


def trial(task: Task, seed: int, narrower: int | None = None) -> dict[str, float]:
    """Train a gated network, its dense twin and, if wanted, a narrower dense one.

    Args:
        task: What is learned.
        seed: Of data, initial weights and the order of the batches.
        narrower: Hidden units of the narrower one.

    Returns:
        Accuracies on the test samples, in percent (``shuffled``: each sample with the blocks of another); mean shares
        of active blocks: of all, of the easiest and of the hardest tenth; and ``spearman`` of share and difficulty.
    """
    torch.manual_seed(seed)
    data = task.make(seed)
    model = task.net()
    dense = deepcopy(model)
    with forced_share(dense, 1.0):
        found = {"dense": accuracy(train(dense, task, data), data)}
    fit_gates(model, data.batches, epochs=task.epochs, lr=task.lr, progress=False)
    if narrower:
        found["narrower"] = accuracy(train(task.net(narrower, gated=False), task, data), data)
    shares = active_frac(model, data.x)
    low, high = data.difficulty.quantile(torch.tensor([0.1, 0.9], dtype=data.difficulty.dtype))
    return found | {
        "gated": accuracy(model, data),
        "shuffled": shuffled(model, data),
        "share": float(shares.mean()),
        "easy": float(shares[data.difficulty <= low].mean()),
        "hard": float(shares[data.difficulty >= high].mean()),
        "spearman": float(spearmanr(shares, data.difficulty)[0]),
    }


def trial_of(name: str, seed: int, narrower: int | None) -> dict[str, float]:
    """Do it for a task of ``TASKS``."""
    return trial(TASKS[name], seed, narrower)


def trial_of_kinds(seed: int, narrower: int) -> dict[str, float]:
    """Do the like for inputs of several kinds, with a gated network whose blocks each compute for one kind."""
    torch.manual_seed(seed)
    task = SENSORS_TASK
    data = task.make(seed)
    model = task.net()
    dense = deepcopy(model)
    with forced_share(dense, 1.0):
        found = {"dense": accuracy(train(dense, task, data), data)}
    found["narrower"] = accuracy(train(task.net(narrower, gated=False), task, data), data)
    some = [inputs for inputs, _ in islice(data.batches, 12)]
    share = 1 / SENSORS
    cluster_gates(model, some, target=share)
    train(model, task, data, lambda: calibrate_gates(model, some, target=share))
    return found | {
        "gated": accuracy(model, data),
        "shuffled": shuffled(model, data),
        "share": float(active_frac(model, data.x).mean()),
    }


def train(model: nn.Module, task: Task, data: Data, after_epoch: Callable[[], object] | None = None) -> nn.Module:
    """Train a network the usual way, with a learning rate that falls as that of ``fit_gates`` does."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=task.lr)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, task.epochs)
    for _ in range(task.epochs):
        for inputs, labels in data.batches:
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
        slower.step()
        if after_epoch:
            after_epoch()
    return model.eval()


def accuracy(model: nn.Module, data: Data) -> float:
    """Percent of the test samples that are classified rightly."""
    with torch.no_grad():
        return 100 * float((model(data.x).argmax(1) == data.y).double().mean())


def shuffled(model: nn.Module, data: Data) -> float:
    """Accuracy when each sample is computed with the blocks of another."""
    order = torch.randperm(len(data.x))

    def swap(_gate: nn.Module, _inputs: object, mask: Tensor) -> Tensor:
        return mask[order]

    handles = [gate.register_forward_hook(swap) for gate in gates_of(model).values()]
    try:
        return accuracy(model, data)
    finally:
        for handle in handles:
            handle.remove()
