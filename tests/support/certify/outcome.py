"""Everything that a training leaves behind, as bits, and the comparison of two of them."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.distributed.tensor import DTensor
from torch.nn.modules import module as global_hooks
from torch.optim import optimizer as global_optimizer_hooks


class Outcome:
    """The facts of one training.

    Attributes:
        facts: What must be equal, by name, in the order in which it came to be.
        said: Lines that were printed, logged or warned.
    """

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}
        self.said: list[str] = []

    def after_step(self, step: int, loss: torch.Tensor, model: nn.Module) -> None:
        """Keep the loss of a step and the gradients that it left."""
        self.facts[f"loss of step {step}"] = bits(loss)
        for name, parameter in model.named_parameters():
            self.facts[f"gradient of {name} after step {step}"] = bits(parameter.grad)

    def at_end(self, model: nn.Module, optimizers: list[torch.optim.Optimizer], notes: list[Any]) -> None:
        """Keep the state of everything that training changed."""
        for kind, found in (("parameter", model.named_parameters()), ("buffer", model.named_buffers())):
            self.facts |= {f"{kind} {name}": bits(tensor) for name, tensor in found}
        for index, optimizer in enumerate(optimizers):
            self.facts |= {f"optimizer {index}: {name}": value for name, value in optimizer_state(optimizer).items()}
        self.facts |= random_state()
        self.facts |= traces(model, optimizers)
        self.facts |= {f"note {index}": bits(note) for index, note in enumerate(notes)}

    def after_training(self, outputs: list[torch.Tensor]) -> None:
        """Keep what the trained model answers."""
        self.facts |= {f"output {index} in evaluation": bits(output) for index, output in enumerate(outputs)}


def difference(bare: Outcome, watched: Outcome) -> str | None:
    """Say what differs first and how much else does; None when nothing does."""
    names = list(bare.facts | watched.facts)
    differing = [name for name in names if bare.facts.get(name, "missing") != watched.facts.get(name, "missing")]
    differing += [f"said: {line}" for line in watched.said if line not in bare.said]
    if not differing:
        return None
    return f"{differing[0]} (and {len(differing) - 1} of {len(names)} more)" if len(differing) > 1 else differing[0]


def bits(value: Any) -> Any:
    """Turn a value into something that equals another only when every bit does."""
    if isinstance(value, torch.Tensor):
        return _tensor_bits(value)
    if isinstance(value, Mapping):
        return tuple((key, bits(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(bits(item) for item in value)
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, float):
        return value.hex()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    raise TypeError(f"There is no rule for comparing a {type(value).__name__} to the last bit.")


def _tensor_bits(tensor: torch.Tensor) -> Any:
    tensor = tensor.detach()
    if isinstance(tensor, DTensor):
        return "DTensor", str(tensor.placements), bits(tensor.to_local())
    if tensor.layout is torch.sparse_coo:
        return "sparse", tensor.is_coalesced(), bits(tensor._indices()), bits(tensor._values())
    plain = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    raw = plain.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return str(tensor.dtype), tuple(tensor.shape), tensor.stride(), raw


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """All tensors and numbers that an optimizer holds."""
    facts = {}
    for number, group in enumerate(optimizer.param_groups):
        facts[f"group {number}"] = bits({key: value for key, value in group.items() if key != "params"})
        for index, parameter in enumerate(group["params"]):
            facts[f"state of parameter {number}.{index}"] = bits(optimizer.state.get(parameter, {}))
    return facts


def random_state() -> dict[str, Any]:
    """The states of the three generators that training code draws from."""
    return {
        "random state of torch": bits(torch.get_rng_state()),
        "random state of python": bits(random.getstate()),
        "random state of numpy": bits(np.random.get_state()),  # noqa: NPY002 - the state that users' code shares
    }


def traces(model: nn.Module, optimizers: list[torch.optim.Optimizer]) -> dict[str, Any]:
    """Hooks, attributes and global settings: what a tool could leave behind."""
    owners = {f"module {name}": vars(module) for name, module in model.named_modules()}
    owners |= {f"optimizer {index}": vars(optimizer) for index, optimizer in enumerate(optimizers)}
    owners |= {"all modules": vars(global_hooks), "all optimizers": vars(global_optimizer_hooks)}
    hooks = {
        f"hooks of {owner}": tuple(
            (key, len(table)) for key, table in tables.items() if key.endswith("_hooks") and table
        )
        for owner, tables in owners.items()
    }
    for name, parameter in model.named_parameters():
        hooks[f"hooks of {name}"] = tuple(
            len(table or ()) for table in (parameter._backward_hooks, parameter._post_accumulate_grad_hooks)
        )
    classes = (nn.Module, torch.Tensor, torch.autograd.Function, torch.optim.Optimizer, torch.amp.GradScaler)
    return {
        **hooks,
        **{f"methods of {cls.__name__}": {name: id(value) for name, value in vars(cls).items()} for cls in classes},
        **{f"attributes of {owner}": tuple(sorted(tables)) for owner, tables in owners.items()},
        "settings": (
            torch.is_grad_enabled(),
            torch.is_autocast_enabled("cpu"),
            torch._C._len_torch_function_stack(),
            torch._C._len_torch_dispatch_stack(),
            torch.get_num_threads(),
            str(torch.get_default_dtype()),
        ),
    }
