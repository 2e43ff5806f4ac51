"""Switching blocks of hidden values off."""

from torch import Tensor


def masked(hidden: Tensor, mask: Tensor, *, in_place: bool = False) -> Tensor:
    """Set blocks of hidden values to zero.

    Args:
        hidden: ``[N, blocks * K, ...]``.
        mask: ``[N, blocks]``, 1 or 0; if it requires a gradient, it gets one.
        in_place: Change ``hidden`` itself, where no gradient is wanted: memory that is new costs more than the zeros.

    Returns:
        As ``hidden``. Without a gradient for the mask, values that are not finite vanish where it is 0.
    """
    parts: Tensor = hidden.unflatten(1, (mask.shape[1], -1))
    mask = mask.reshape(*mask.shape, *[1] * (parts.ndim - 2))
    if in_place and not mask.requires_grad:
        parts.masked_fill_(mask == 0, 0)
        return hidden
    parts = parts * mask if mask.requires_grad else parts.masked_fill(mask == 0, 0)
    return parts.flatten(1, 2)
