"""Token ids as the vectors that a model embeds them as, between which there are gradients."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from deepseek.errors import DeepseekError
from deepseek.text import printable


def reader(model: nn.Module, run: Any, name: str, ids: Tensor) -> nn.Embedding:
    """Find the embedding that reads ids.

    Args:
        model: The model.
        run: Calls it with the ids.
        name: What the input is called.
        ids: The very tensor that the model is called with.

    Raises:
        DeepseekError: None does, or several.
    """
    found: list[nn.Embedding] = []

    def look(module: nn.Embedding, arguments: tuple[Any, ...]) -> None:
        if _is(arguments, ids) and module not in found:
            found.append(module)

    embeddings = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    handles = [module.register_forward_pre_hook(look) for module in embeddings]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    if len(found) != 1:
        raise DeepseekError(
            f"Gradients with regard to `{printable(name)}`, which holds {ids.dtype}, need one nn.Embedding that reads "
            f"it, and {len(found) or 'none'} does: use explain.shap with a sampling method, such as "
            "method='permutation'."
        )
    return found[0]


@contextmanager
def standing_in(embedding: nn.Embedding, ids: Tensor, vectors: Tensor) -> Iterator[None]:
    """Have an embedding give vectors ``[N, ..., D]`` for the very tensor ``ids``, for a while."""

    def give(_module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> Tensor | None:
        return vectors.reshape(output.shape) if _is(arguments, ids) else None

    handle = embedding.register_forward_hook(give)
    try:
        yield
    finally:
        handle.remove()


def _is(arguments: tuple[Any, ...], ids: Tensor) -> bool:
    """Whether these are the ids, be it as another view of them."""
    given = arguments[0] if arguments else None
    return isinstance(given, Tensor) and given.data_ptr() == ids.data_ptr() and given.numel() == ids.numel()
