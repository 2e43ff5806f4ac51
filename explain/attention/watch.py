"""Sees the attention calls of a forward pass as they are made, and hands every result on untouched."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from deepseek.errors import DeepseekError
from deepseek.explain.attention.by_head import ByHead
from deepseek.explain.attention.eager import Eager, SoftmaxTracker
from deepseek.explain.attention.multihead import MultiHead
from deepseek.explain.attention.naming import Names
from deepseek.explain.attention.scaled import Scaled
from deepseek.kernels.evaluating import evaluating
from deepseek.text import printable


@dataclass(frozen=True)
class Seen:
    """An attention call that was just made.

    Attributes:
        name: Its name.
        place: How many came before it.
        module: The module that made it.
        by_head: What it computed.
    """

    name: str
    place: int
    module: nn.Module | None
    by_head: ByHead


class Watcher(TorchFunctionMode):
    """While active, calls ``see`` for every attention call.

    Args:
        model: The model, for the names.
        rows: Number of rows that it is called with.
        see: What is done with a call; what it raises ends the forward pass.

    Attributes:
        names: Of all calls, in their order.
        softmaxes: What has become of softmaxes.
    """

    def __init__(self, model: nn.Module, rows: int, see: Callable[[Seen], None]) -> None:
        super().__init__()
        self.names: list[str] = []
        self.softmaxes = SoftmaxTracker()
        self._modules = Names(model)
        self._rows, self._see = rows, see

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run ``func`` as it would have been run, and look at what it did."""
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if func is functional.scaled_dot_product_attention:
            output = self._followed(output)
            self._note(lambda module: Scaled(args, kwargs, output, self._rows, module))
        elif func is functional.multi_head_attention_forward:
            output = (self._followed(output[0]), *output[1:])
            self._note(lambda _module: MultiHead(func, args, kwargs, output[0]))
        else:
            name = getattr(func, "__name__", "")
            product = self.softmaxes.saw(name, args, kwargs, output, lambda: self._modules.of(self._modules.module()))
            if product is not None:
                self._followed(output)
                self._note(lambda _module: Eager(product, self._rows))
        return output

    def _followed(self, output: Tensor) -> Tensor:
        """Have gradients reach an output also where all before it is frozen."""
        if torch.is_grad_enabled() and not output.requires_grad:
            output.requires_grad_()
        return output

    def _note(self, read: Callable[[nn.Module | None], ByHead]) -> None:
        module = self._modules.module()
        name = self._modules.next(module)
        self.names.append(name)
        with torch.no_grad(), torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            try:
                by_head = read(module)
                self._see(Seen(name, len(self.names) - 1, module, by_head))
            except DeepseekError:
                raise
            except (RuntimeError, TypeError, IndexError, KeyError) as error:
                raise DeepseekError(printable(f"The attention call {name} could not be read: {error}")) from error


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Have a model in evaluation mode, run eagerly; random state and modes are then as they were before."""
    devices = {tensor.device for tensor in (*model.parameters(), *model.buffers()) if tensor.device.type == "cuda"}
    with evaluating(model), torch.random.fork_rng([device.index for device in devices]), _eagerly(model):
        yield


@contextmanager
def _eagerly(model: nn.Module) -> Iterator[None]:
    """Run what torch.compile has compiled as it was written: compiled code shows no functions."""
    compiled = any(
        hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) for module in model.modules()
    )
    if not compiled:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield
