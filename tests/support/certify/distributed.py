"""Ways of training in two processes."""

from functools import cache

import torch
from certify.case import Case
from certify.modes import plain, prepare
from certify.trial import Mode, Training
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

RANKS = 2

NAMES = ("MLP", "CNN", "LSTM", "Transformer encoder", "U-Net", "module called three times", "in-place operations")
NAMES += ("frozen parts", "siamese", "moving average inside", "float64", "BERT", "GPT-2", "Llama")


def replicated(case: Case) -> Training:
    """Every process holds the whole model; gradients are averaged."""
    training = prepare(case)
    training.model = DistributedDataParallel(training.model)
    return training


def sharded(case: Case) -> Training:
    """Every process holds half of each parameter."""
    model = case.build()
    for module in (model.get_submodule(case.part), model):
        fully_shard(module, mesh=_mesh())
    return Training(case, model, [case.optimizer(model.parameters())])


def clipped(training: Training, _step: int) -> torch.Tensor:
    """Clip by the norm over all processes."""
    (optimizer,) = training.optimizers
    optimizer.zero_grad()
    loss = training.loss()
    loss.backward()
    nn.utils.clip_grad_norm_(training.model.parameters(), 0.1)
    optimizer.step()
    return loss


@cache
def _mesh() -> DeviceMesh:
    return init_device_mesh("cpu", (RANKS,))


def _is_chosen(name: str, _case: Case) -> bool:
    return name in NAMES


MODES: dict[str, Mode] = {
    "DDP": Mode(plain, replicated, fits=_is_chosen, ranks=RANKS),
    "FSDP2": Mode(clipped, sharded, fits=_is_chosen, ranks=RANKS),
}
"""Every mode by its name."""
