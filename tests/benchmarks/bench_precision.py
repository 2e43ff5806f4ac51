"""Adaptive precision: accuracies of ten trainings under each policy, and what packed activations save and cost."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import precision_cases
import torch
from contestants import take_turns
from precision_cases import CASES, FLOAT32
from transformers import BertConfig, BertForSequenceClassification

from deepseek.kernels import PackedActivations, count_exponents, half_speedup

SEEDS = 5
BATCH, TOKENS, LAYERS = 32, 128, 2


def run() -> dict[str, Any]:
    """Measure everything, on one thread.

    Returns:
        Under ``accuracy``, by policy and case: mean accuracy in percent over five seeds, in emulated float16; and in
        float32 with activations packed in 16 and 8 bits. Under ``bert``, by bits: bytes that autograd saves of a step
        of two BERT layers with 32 x 128 tokens, their share of what it saves otherwise, the relative error of the
        gradients, and milliseconds of a step. Under ``speed``: how many times faster half precision is here, and
        nanoseconds that counting exponents takes for an element.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {"accuracy": _accuracies(), "bert": _bert(), "speed": _speed()}
    finally:
        torch.set_num_threads(threads)


def _accuracies() -> dict[str, dict[str, Any]]:
    return {
        policy: {name: {"accuracy": precision_cases.mean_accuracy(name, policy, seeds=SEEDS)} for name in CASES}
        for policy in precision_cases.POLICIES
    } | {f"{FLOAT32}, {bits} bits": {"transformer": {"accuracy": _packed_accuracy(bits)}} for bits in (16, 8)}


def _packed_accuracy(bits: int) -> float:
    return precision_cases.mean_accuracy("transformer", FLOAT32, seeds=SEEDS, bits=bits)


def _bert() -> dict[str, dict[str, float]]:
    torch.manual_seed(0)
    model = BertForSequenceClassification(BertConfig(num_hidden_layers=LAYERS, vocab_size=1000, num_labels=2)).train()
    tokens, labels = torch.randint(1000, (BATCH, TOKENS)), torch.randint(2, (BATCH,))

    def step(bits: int | None) -> tuple[PackedActivations, torch.Tensor]:
        torch.manual_seed(1)
        model.zero_grad()
        with PackedActivations(bits) as packed:
            loss = model(tokens, labels=labels).loss
        loss.backward()
        return packed, torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    _, exact = step(None)
    results = {}
    for bits in (None, 16, 8):
        packed, gradient = step(bits)
        share = packed.saved_bytes / packed.original_bytes
        error = float((gradient - exact).norm() / exact.norm())
        results[f"{bits or 32} bits"] = {"saved_bytes": packed.saved_bytes, "share": share, "gradient_error": error}
    turns = {f"{bits or 32} bits": lambda bits=bits: _milliseconds(lambda: step(bits)) for bits in (None, 16, 8)}
    times = take_turns(turns, 5)
    return {name: result | {"step_ms": median(times[name])} for name, result in results.items()}


def _speed() -> dict[str, float]:
    values = torch.randn(2**22)
    times = [_milliseconds(lambda: count_exponents(values)) for _ in range(5)]
    faster = {str(dtype): half_speedup("cpu", dtype) for dtype in (torch.float16, torch.bfloat16)}
    return faster | {"count_exponents_ns": median(times) * 1e6 / len(values)}


def _milliseconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1e3
