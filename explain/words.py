"""Texts as inputs: words, sentences or tokens that are present or absent."""

import re
from bisect import bisect_right
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


Texts = str | Sequence[str] | Sequence[tuple[str, str]]
"""One text, several, or pairs such as questions with their contexts."""


def words(tokenizer: Any, texts: Texts, *, by: By = "word", absent: str | None = None, **others: Any) -> Features:
    """Make texts ready for ``explain.shap`` and its kin, whose features are then their words, sentences or tokens.

    Special tokens and padding are always present. An absent word becomes as many absent tokens as it had tokens, so
    that the others keep their places.

    Args:
        tokenizer: A fast tokenizer of transformers.
        texts: One or several; or pairs (tuples), for models that read two texts at once: the words of both are
            features, those of the first one first.
        by: What counts as one feature. Languages without spaces need ``token``.
        absent: The token that stands for absent ones: by default the tokenizer's mask, else its unknown, else its
            padding token. The model should have seen it; another one may change the answer.
        others: What else the model is called with, such as ``decoder_input_ids``.

    Returns:
        The inputs, what stands for absent words, and what the words are: ``explain.shap(model, words(...))``.

    Raises:
        DeepseekError: An argument does not fit, or a text has nothing to explain.
    """
    if by not in get_args(By):
        raise DeepseekError(f"`by` must be one of {', '.join(get_args(By))}, not {by!r}.")
    given = _parts(texts)
    batch = _encoded(tokenizer, given)
    token, name = _absent(tokenizer, absent)
    offsets, special = batch.pop("offset_mapping").tolist(), batch.pop("special_tokens_mask").bool().numpy()
    owners = [[owner or 0 for owner in batch.sequence_ids(row)] for row in range(len(given))]
    rows = [_pieces(*row, by) for row in zip(given, offsets, owners, special, strict=True)]
    ids = batch[TOKEN_IDS]
    return Features(
        inputs={**batch, **others},
        groups={TOKEN_IDS: np.stack([groups for groups, _ in rows])},
        shown=tuple(shown for _, shown in rows),
        background={TOKEN_IDS: torch.full_like(ids[:1], token)},
        absent=f"{name} in place of absent {by}s",
    )


def _parts(texts: Any) -> list[tuple[str, ...]]:
    """Return each text as its one part, or each pair as its two."""
    given = [(each,) if isinstance(each, str) else each for each in ([texts] if isinstance(texts, str) else texts)]
    known = all(isinstance(each, tuple) and all(isinstance(part, str) for part in each) for each in given)
    if not known or {len(each) for each in given} not in ({1}, {2}):
        raise DeepseekError("`texts` must be a text, or a list of at least one; or of pairs of texts, as tuples.")
    return given


def _encoded(tokenizer: Any, texts: list[tuple[str, ...]]) -> Any:
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
        *map(list, zip(*texts, strict=True)),
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
    texts: tuple[str, ...], offsets: Sequence[Span], owners: Sequence[int], special: NDArray[np.bool_], by: By
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return the number of each token's piece, ``[T]``, and what the pieces are that have tokens.

    Args:
        texts: The text, or both of a pair.
        offsets: Where each token lies in its text.
        owners: In which of them.
        special: Which tokens are of neither.
        by: What is a piece.
    """
    own = [(owner, span) for owner, span, is_special in zip(owners, offsets, special, strict=True) if not is_special]
    if by == "token":
        pieces = own
        found = list(range(len(own)))
    else:
        pieces = [(owner, match.span()) for owner, text in enumerate(texts) for match in _PIECES[by].finditer(text)]
        starts = [(owner, start) for owner, (start, _) in pieces]
        found = [max(bisect_right(starts, (owner, _start(texts[owner], span))) - 1, 0) for owner, span in own]
    kept = sorted(set(found))
    if not kept or not pieces:
        raise DeepseekError(f"The text {texts[0][:60]!r} has nothing to explain: no {by} of it reached the model.")
    numbers = np.full(len(special), FROZEN)
    numbers[~special] = np.searchsorted(kept, found)
    return numbers, tuple(_shown(texts[owner], span) for owner, span in (pieces[place] for place in kept))


def _start(text: str, span: Span) -> int:
    """Where a token begins that may have blanks before it."""
    piece = text[slice(*span)]
    return span[0] + len(piece) - len(piece.lstrip())


def _shown(text: str, span: Span) -> str:
    return text[slice(*span)].strip() or "␣"
