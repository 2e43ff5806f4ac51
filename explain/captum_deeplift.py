"""captum's DeepLIFT, for the models for which it is right; the others are refused.

It hooks modules, so that it sees nothing of what is computed between them, and has rules for some modules only.
Whatever else a model does gets its derivative, and the attributions no longer add up, without a word. Which operations
are really computed tells whether a model is one of those.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from deepseek.errors import DeepseekError
from deepseek.explain.call import Call
from deepseek.explain.deeplift.deeplift import programs
from deepseek.explain.deeplift.operation import Operation
from deepseek.explain.deeplift.program import Program, Tensors, item
from deepseek.explain.deeplift.rules import FIXED
from deepseek.explain.target import Chooser

KNOWN = (nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
"""Modules for which it has a right rule; that for ``nn.Softmax`` makes rows depend on each other."""

POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)


def refuse_where_wrong(call: Call, chooser: Chooser, baselines: Tensors) -> None:
    """Raise where captum's DeepLIFT would be wrong.

    Args:
        call: The model with its inputs.
        chooser: Which outputs.
        baselines: By name of the explained inputs.

    Raises:
        DeepseekError: It would be; the sentence says why, and what is right.
    """
    try:
        followed = [program for _, program in programs(call, baselines, chooser)]
    except DeepseekError as error:
        raise _refusal(f"what the model computes could not be followed: {error}") from error
    modules = dict(call.model.named_modules())
    for program in followed:
        reasons = _reasons(program, modules)
        if reasons:
            raise _refusal(reasons[0])


def as_module(model: nn.Module, forward: Callable[..., Tensor]) -> nn.Module:
    """Return a module that computes a function and has the model within it, as captum wants to hook it."""
    return _Module(model, forward)


class _Module(nn.Module):
    def __init__(self, model: nn.Module, forward: Callable[..., Tensor]) -> None:
        super().__init__()
        self.model = model
        self._forward = forward
        self.training = model.training

    def forward(self, *given: Any) -> Tensor:
        return self._forward(*given)


def _refusal(reason: str) -> DeepseekError:
    return DeepseekError(
        f"captum's DeepLift would be wrong for this model, because {reason}. Use "
        "explain.shap(model, inputs, background, method='deeplift'), which follows the operations themselves."
    )


def _reasons(program: Program, modules: dict[str, nn.Module]) -> list[str]:
    """What it does that captum's rules do not cover."""
    found, seen = [], set()
    for operation, rule in program.operations:
        if rule is item or rule in FIXED:
            continue
        name = operation.node.meta["module"]
        found += _wrong_at(operation, modules.get(name))
        if name in seen:
            found.append(f"the module `{name}` is used more than once")
        seen.add(name)
    return found


def _wrong_at(operation: Operation, module: nn.Module | None) -> list[str]:
    if isinstance(module, nn.Softmax):
        return [f"its rule for the softmax `{operation.place}` makes rows depend on each other: explain the logits"]
    if type(module) not in KNOWN:
        return [f"it has no rule for {operation.place}"]
    if getattr(module, "inplace", False):
        return [f"{operation.place} works in place"]
    if isinstance(module, POOLS) and _overlaps(module):
        return [f"the windows of {operation.place} overlap"]
    return []


def _overlaps(pool: Any) -> bool:
    sizes, strides = (value if isinstance(value, tuple) else (value,) * 3 for value in (pool.kernel_size, pool.stride))
    return any(stride < size for size, stride in zip(sizes, strides, strict=False))
