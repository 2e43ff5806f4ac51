"""What an attention call is called: the module it was made in, and of which kind it is."""

import re
import sys
from collections import Counter
from typing import Literal

import torch
from torch import Tensor, nn

Kind = Literal["self", "cross", "decoder"]
"""``self``: the tokens of a sequence look at all of it; ``decoder``: at those before them and themselves; ``cross``: at
another sequence."""

_CROSS = re.compile(r"cross|encdec|enc_dec|encoder_attn|multihead_attn|encoder_decoder", re.IGNORECASE)


class Names:
    """Names the attention calls of a model.

    Args:
        model: The model; modules are found on the stack of Python calls, so that none of them needs a hook.
    """

    def __init__(self, model: nn.Module) -> None:
        self._names = {module: name or type(model).__name__ for name, module in model.named_modules()}
        self._calls: Counter[str] = Counter()

    def module(self) -> nn.Module | None:
        """Return the innermost module of the model whose code runs."""
        frame = sys._getframe(1)
        while frame is not None:
            owner = frame.f_locals.get("self")
            if isinstance(owner, nn.Module) and owner in self._names:
                return owner
            frame = frame.f_back  # type: ignore[assignment]
        return None

    def of(self, module: nn.Module | None) -> str:
        """Return the name of a module."""
        return "(outside of modules)" if module is None else self._names[module]

    def next(self, module: nn.Module | None) -> str:
        """Return the name of the next call that a module makes: its own; ``#2`` follows at the second one."""
        name = self.of(module)
        self._calls[name] += 1
        return name if self._calls[name] == 1 else f"{name}#{self._calls[name]}"


def kind_of(name: str, module: nn.Module | None, weights: Tensor, queries: Tensor, *, tokens: int) -> Kind:
    """Return the kind of a call: by the module's name and attributes, and by where no query looks.

    Args:
        name: The module's name.
        module: The module.
        weights: ``[N, h, t, S]``.
        queries: Which of the ``tokens`` queries the weights are of, ``[t]``.
        tokens: Number of queries, ``T``; fewer than keys where earlier ones lie in a cache.
    """
    if getattr(module, "is_cross_attention", False) or _CROSS.search(name):
        return "cross"
    keys = weights.shape[-1]
    later = torch.arange(keys, device=weights.device) > queries[:, None] + keys - tokens
    if bool(later.any()):
        hidden = not bool((weights != 0).logical_and(later).any())
        return "decoder" if hidden else "self" if tokens == keys else "cross"
    causal = getattr(module, "is_causal", False) is True or "decoder" in name.lower()
    return "decoder" if causal else "self" if tokens == keys else "cross"
