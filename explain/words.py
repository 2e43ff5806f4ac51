"""Texts as inputs: words, sentences or tokens that are present or absent."""

import re
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from deepseek.errors import DeepseekError
from deepseek.explain.attention.tokens import fill_token
from deepseek.explain.call import TOKEN_IDS
from deepseek.explain.features import Features
from deepseek.explain.shapley.players import FROZEN

By = Literal["word", "sentence", "token"]

_PIECES = {
    "word": re.compile(r"\w+(?:['\u2019-]\w+)*|[^\w\s]+"),
    "sentence": re.compile(r"\S.*?(?:[.!?\u2026]+[\"'\u201d\u2019)\]]*(?=\s|$)|[\u3002\uff01\uff1f]+|$)", re.DOTALL),
}
"""Where a text is divided: words keep their apostrophes and hyphens, sentences also end as in Chinese and Japanese."""

Span = tuple[int, int]


def words(
    tokenizer: Any, texts: str | Sequence[str], *, by: By = "word", absent: str | None = None, **others: Any
) -> Features:
    """Make texts ready for ``explain.shap`` and its kin, whose features are then their words, sentences or tokens.

    Special tokens and padding are always present. An absent word becomes as many absent tokens as it had tokens, so
    that the others keep their places.

    Args:
        tokenizer: A fast tokenizer of transformers.
        texts: One or several.
        by: What counts as one feature. Languages without spaces need ``token``.
        absent: The token that stands for absent ones: by default the tokenizer's mask, else its unknown, else its
            padding token. The model should have seen it; another one may change the answer.
        others: What else the model is called with, such as ``decoder_input_ids``.

    Returns:
        The inputs, what stands for absent words, and what the words are: ``explain.shap(model, words(...))``.

    Raises:
        DeepseekError: An argument does not fit, or a text has nothing to explain.
    """
    given = [texts] if isinstance(texts, str) else list(texts)
    if by not in get_args(By):
        raise DeepseekError(f"`by` must be one of {', '.join(get_args(By))}, not {by!r}.")
    if not given or not all(isinstance(text, str) for text in given):
        raise DeepseekError("`texts` must be a text or a list of at least one.")
    batch = _encoded(tokenizer, given)
    token, name = _absent(tokenizer, absent)
    offsets, special = batch.pop("offset_mapping").tolist(), batch.pop("special_tokens_mask").bool().numpy()
    rows = [_pieces(*parts, by) for parts in zip(given, offsets, special, strict=True)]
    ids = batch[TOKEN_IDS]
    return Features(
        inputs={**batch, **others},
        groups={TOKEN_IDS: np.stack([groups for groups, _ in rows])},
        shown=tuple(shown for _, shown in rows),
        background={TOKEN_IDS: torch.full_like(ids[:1], token)},
        absent=f"{name} in place of absent {by}s",
    )


def _encoded(tokenizer: Any, texts: list[str]) -> Any:
    if not getattr(tokenizer, "is_fast", False):
        raise DeepseekError(
            "`tokenizer` must be a fast tokenizer of transformers, which knows the places of its tokens in the text, "
            f"not {type(tokenizer).__name__}: load it by AutoTokenizer."
        )
    if len(texts) > 1 and tokenizer.pad_token is None:
        raise DeepseekError(
            "The tokenizer has no padding token: set tokenizer.pad_token, or explain one text at a time."
        )
    return tokenizer(
        texts,
        padding=len(texts) > 1,
        truncation=True,
        return_tensors="pt",
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
    )


def _absent(tokenizer: Any, text: str | None) -> tuple[int, str]:
    """Id and text of the token that stands for absent ones."""
    if text is not None:
        number = tokenizer.convert_tokens_to_ids(text)
        if number is None or (number == tokenizer.unk_token_id and text != tokenizer.unk_token):
            raise DeepseekError(f"`absent` must be a token of the tokenizer's, such as its mask token, not {text!r}.")
        return int(number), text
    if (found := fill_token(tokenizer)) is not None:
        return found
    raise DeepseekError("The tokenizer has no mask, unknown or padding token: name a token by `absent=`.")


def _pieces(
    text: str, offsets: Sequence[Span], special: NDArray[np.bool_], by: By
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return the number of each token's piece, ``[T]``, and the texts of the pieces that have tokens."""
    starts = [start + _blanks(text[start:end]) for start, end in offsets]
    if by == "token":
        numbers = np.where(special, FROZEN, np.cumsum(~special) - 1)
        spans = [span for span, is_special in zip(offsets, special, strict=True) if not is_special]
    else:
        spans = [match.span() for match in _PIECES[by].finditer(text)]
        found = np.searchsorted([start for start, _ in spans], starts, side="right") - 1
        numbers = np.where(special, FROZEN, np.maximum(found, 0))
    kept = sorted(set(numbers.tolist()) - {FROZEN})
    if not kept or not spans:
        raise DeepseekError(f"The text {text[:60]!r} has nothing to explain: no {by} of it reached the model.")
    places = {piece: place for place, piece in enumerate(kept)} | {FROZEN: FROZEN}
    shown = tuple(_shown(text, spans[piece]) for piece in kept)
    return np.array([places[number] for number in numbers.tolist()]), shown


def _blanks(text: str) -> int:
    return len(text) - len(text.lstrip())


def _shown(text: str, span: Span) -> str:
    return text[slice(*span)].strip() or "␣"
