"""What is known about the tokens that look and are looked at."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from deepseek.errors import DeepseekError
from deepseek.explain.call import TOKEN_IDS, Call

Flags = NDArray[np.bool_]

_SOURCE = (TOKEN_IDS, "attention_mask")
_DECODER = ("decoder_input_ids", "decoder_attention_mask")


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens of one sequence.

    Attributes:
        texts: A text for each token of each of the ``B`` rows; empty where they are not known.
        special: Which of them a tokenizer has put there, ``[B, S]``; None where that is not known.
        real: Which are no padding, ``[B, S]``; None for all.
        fill: Id and text of the token that can stand for any other: the tokenizer's mask, unknown or padding token.
    """

    texts: tuple[tuple[str, ...], ...] = ()
    special: Flags | None = None
    real: Flags | None = None
    fill: tuple[int, str] | None = None

    def fits(self, count: int) -> bool:
        """Whether rows have this many tokens, as far as is known."""
        known = (self.special, self.real, self.texts)
        return all(each is None or not len(each) or len(each[0]) == count for each in known)

    def label(self, row: int, place: int) -> str:
        """Return the text of a token, or its number."""
        return self.texts[row][place] if self.texts else str(place)

    def with_texts(self, texts: Sequence[Sequence[str]], special: Sequence[str] | None) -> "Tokens":
        """Return the same with other texts.

        Args:
            texts: A text for each token of each row.
            special: Texts of the special ones; None for leaving open which these are.

        Raises:
            DeepseekError: Rows differ in length.
        """
        made = tuple(tuple(map(str, row)) for row in texts)
        if len({len(row) for row in made}) > 1:
            raise DeepseekError(
                f"The texts must be as many in each row, padding included, not {sorted({len(row) for row in made})}."
            )
        flags = None if special is None else np.array([[text in set(special) for text in row] for row in made], bool)
        return replace(self, texts=made, special=flags)


UNKNOWN = Tokens()
"""Tokens of which nothing is known."""


def source_tokens(call: Call, tokenizer: Any) -> Tokens:
    """Return the tokens of the inputs.

    Args:
        call: What the model is called with.
        tokenizer: A tokenizer of transformers, or None.
    """
    return _tokens(call, tokenizer, *_SOURCE)


def decoder_tokens(call: Call, tokenizer: Any) -> Tokens | None:
    """Return the tokens that are given to a decoder beside the inputs; None without."""
    return _tokens(call, tokenizer, *_DECODER) if _DECODER[0] in call.tensors else None


def _tokens(call: Call, tokenizer: Any, ids_name: str, mask_name: str) -> Tokens:
    ids, mask = call.tensors.get(ids_name), call.tensors.get(mask_name)
    real = mask.bool().cpu().numpy() if isinstance(mask, Tensor) and mask.dim() == 2 else None
    if tokenizer is None:
        return Tokens(real=real)
    if ids is None or ids.dim() != 2 or not hasattr(tokenizer, "convert_ids_to_tokens"):
        raise DeepseekError(
            f"`tokenizer` needs inputs with `{ids_name}` of shape [B, T] and a tokenizer with "
            f"`convert_ids_to_tokens`, not {type(tokenizer).__name__}."
        )
    rows = ids.cpu().tolist()
    texts = tuple(tuple(map(str, tokenizer.convert_ids_to_tokens(row))) for row in rows)
    special = np.isin(np.array(rows), list(getattr(tokenizer, "all_special_ids", ())))
    return Tokens(texts, special, real, fill_token(tokenizer))


def fill_token(tokenizer: Any) -> tuple[int, str] | None:
    """Return id and text of the token that can stand for any other: the mask, unknown or padding token."""
    for kind in ("mask", "unk", "pad"):
        if getattr(tokenizer, f"{kind}_token_id", None) is not None:
            return int(getattr(tokenizer, f"{kind}_token_id")), str(getattr(tokenizer, f"{kind}_token"))
    return None
