"""What stands in for ``forward`` of a module while its precision is controlled: no hook, and gone afterwards."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from deepseek.kernels.precision.exponents import HALVES
from deepseek.kernels.precision.plan import Plan
from deepseek.kernels.precision.rounding import emulate, map_floats
from deepseek.kernels.precision.survey import Survey


class Forward:
    """Replaces ``module.forward`` until ``remove``; copies and pickles of the module have the original again."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self._before = vars(module).get("forward")
        self.original: Callable[..., Any] = module.forward
        functools.update_wrapper(self, self.original, updated=())
        vars(module)["forward"] = self

    def remove(self) -> None:
        """Give the module its own ``forward`` back, unless somebody else has replaced this one since."""
        attributes = vars(self.module)
        if attributes.get("forward") is self:
            del attributes["forward"]
            if self._before is not None:
                attributes["forward"] = self._before

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the module."""
        raise NotImplementedError

    def __reduce__(self) -> tuple[Any, ...]:
        # While a copy of the module is made it has no `forward` of its own yet: this finds that of its class.
        return getattr, (self.module, "forward")


class LayerForward(Forward):
    """A layer in the precision that was decided for it.

    Attributes:
        dtype: What the layer computes in.
        survey: Measures the layer, which computes in float32 meanwhile; None otherwise.
    """

    def __init__(self, name: str, module: nn.Module, *, emulated: bool) -> None:
        super().__init__(module)
        self.name = name
        self.dtype = torch.float32
        self.survey: Survey | None = None
        self._emulated = emulated

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the layer."""
        if self.survey is not None:
            self.survey.entering(self.name, (args, kwargs))
            output = self._in_float32(args, kwargs)
            self.survey.leaving(self.name, output)
            return output
        if self.dtype is torch.float32:
            return self._in_float32(args, kwargs)
        if self._emulated:
            return emulate(self.module, self.original, self.dtype, args, kwargs)
        return self.original(*args, **kwargs)

    def _in_float32(self, args: Any, kwargs: dict[str, Any]) -> Any:
        device_type = device_type_of(self.module)
        if not torch.is_autocast_enabled(device_type):
            return self.original(*args, **kwargs)
        args, kwargs = map_floats((args, kwargs), _widened)
        with torch.autocast(device_type, enabled=False):
            return self.original(*args, **kwargs)


class ModelForward(Forward):
    """The whole model: one autocast around the layers, which float32 layers leave.

    Args:
        module: The model.
        begin: Called when a forward begins.

    Attributes:
        dtype: What the operations of autocast compute in; float32 for no autocast.
        plans: What was decided on the layers so far.
    """

    def __init__(self, module: nn.Module, begin: Callable[[], None]) -> None:
        super().__init__(module)
        self.dtype = torch.float32
        self.plans: list[Plan] = []
        self._begin = begin

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the model; its outputs are float32, so that a loss outside of it is computed in float32."""
        self._begin()
        if self.dtype is torch.float32:
            return self.original(*args, **kwargs)
        with torch.autocast(device_type_of(self.module), dtype=self.dtype):
            output = self.original(*args, **kwargs)
        return map_floats(output, _widened)


def device_type_of(module: nn.Module) -> str:
    """Such as ``cpu`` or ``cuda``: where the parameters of a module lie."""
    return next(module.parameters()).device.type


def _widened(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.dtype in HALVES else tensor
