"""A small BERT that learns from which package a stretch of Python source comes, with packed activations or without."""

import re
from collections import Counter
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from deepseek.kernels.precision import PackedActivations

PACKAGES = ("matplotlib", "pandas", "sklearn", "torch")
BATCH, TOKENS, WORDS = 32, 128, 1000
_FILES, _STRETCHES = 100, 8
_FIRST, _OTHER = 0, 1
"""Tokens of the beginning and of rare words."""


class Trained(NamedTuple):
    """What came of a training.

    Attributes:
        accuracy: On stretches of files that were not learned, in percent.
        share: Bytes that were kept between forward and backward, as a share of those kept without packing.
    """

    accuracy: float
    share: float


@cache
def stretches() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Tokens ``[N, TOKENS]`` of each package, as many of one as of another, and the package; to learn, and to test."""
    files = {package: _files(package) for package in PACKAGES}
    known = Counter(word for texts in files.values() for text in texts[::2] for word in text)
    common = [word for word, _ in known.most_common(WORDS - 2) if word not in PACKAGES]
    number = {word: place for place, word in enumerate(common, _OTHER + 1)}
    return *_tokens(files, number, slice(0, None, 2)), *_tokens(files, number, slice(1, None, 2))


def train(bits: Literal[8, 16] | None, seed: int = 0, epochs: int = 4) -> Trained:
    """Train one layer of BERT, 64 wide, with dropout; ``bits`` as ``PackedActivations`` takes it."""
    from transformers import BertConfig, BertForSequenceClassification  # takes seconds

    x, y, tested, answers = stretches()
    torch.manual_seed(seed)
    sizes = {"hidden_size": 64, "num_attention_heads": 2, "intermediate_size": 256, "num_hidden_layers": 1}
    model = BertForSequenceClassification(
        BertConfig(vocab_size=WORDS, max_position_embeddings=TOKENS, num_labels=len(PACKAGES), **sizes)
    ).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    batches = [batch for _ in range(epochs) for batch in torch.randperm(len(x)).split(BATCH)]
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, len(batches), anneal_strategy="linear")
    kept = all_of_it = 0
    for batch in batches:
        optimizer.zero_grad()
        with PackedActivations(bits) as packed:
            loss = model(x[batch], labels=y[batch]).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rate.step()
        kept, all_of_it = kept + packed.saved_bytes, all_of_it + packed.original_bytes
    model.eval()
    with torch.no_grad():
        right = torch.cat([model(part).logits.argmax(1) for part in tested.split(256)]) == answers
    return Trained(100 * float(right.float().mean()), kept / all_of_it)


def _files(package: str) -> list[list[str]]:
    """The words of some of a package's files, spread over the package; each long enough."""
    origin = find_spec(package).origin  # type: ignore[union-attr]
    paths = [path for path in sorted(Path(origin).parent.rglob("*.py")) if path.stat().st_size > 8000]  # type: ignore[arg-type]
    spread = paths[:: max(len(paths) // _FILES, 1)][:_FILES]
    return [re.findall(r"[a-z]{2,}", path.read_text(errors="replace").lower()) for path in spread]


def _tokens(files: dict[str, list[list[str]]], number: dict[str, int], which: slice) -> tuple[Tensor, Tensor]:
    found = [[part for text in files[package][which] for part in _parts(text, number)] for package in PACKAGES]
    fewest = min(map(len, found))
    tokens = torch.tensor([part for parts in found for part in parts[:fewest]])
    return tokens, torch.arange(len(PACKAGES)).repeat_interleave(fewest)


def _parts(words: list[str], number: dict[str, int]) -> list[list[int]]:
    """The first stretches of a text, whole ones."""
    size = TOKENS - 1
    starts = range(0, min(len(words) // size, _STRETCHES) * size, size)
    return [[_FIRST, *(number.get(word, _OTHER) for word in words[start : start + size])] for start in starts]
