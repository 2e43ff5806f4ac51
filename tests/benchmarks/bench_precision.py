"""Adaptive precision: accuracies of trainings under each policy, and what packed activations save and cost."""

import os
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from statistics import mean, median, stdev
from typing import Any

import packed_bert
import torch
from contestants import take_turns
from packed_bert import BATCH, TOKENS
from precision_cases import CASES
from precision_fresh import FIRST, SECOND, train_by_name
from precision_training import FLOAT32, POLICIES
from transformers import BertConfig, BertForSequenceClassification

from deepseek.kernels import PackedActivations, count_exponents, half_speedup

SEEDS, FRESH_SEEDS = 3, 2
BITS = (None, 16, 8)


def run() -> dict[str, Any]:
    """Measure everything; what is timed runs alone and on one thread.

    Returns:
        Under ``accuracy`` (the ten cases that the limits of the policies were set on) and ``fresh`` (others), by policy
        and case: mean accuracy in percent over three seeds, two for ``fresh``, with emulated half precision, its
        standard error over seeds, and the share of parameters in half precision at the end. Under ``packed``, by bits:
        bytes that autograd keeps of a step of one BERT layer with 32 x 128 tokens, the relative error of its gradients,
        milliseconds; and the mean accuracy of a small BERT that is trained so, over three seeds. Under ``speed``: how
        many times faster half precision is here, and nanoseconds that counting exponents takes for an element.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        timed = {"packed": _bert_step(), "speed": _speed()}
    finally:
        torch.set_num_threads(threads)
    workers = {"mp_context": get_context("spawn"), "initializer": torch.set_num_threads, "initargs": (1,)}
    with ProcessPoolExecutor(os.cpu_count(), **workers) as pool:
        found = {
            "accuracy": _accuracies(pool, list(CASES), SEEDS),
            "fresh": _accuracies(pool, [*FIRST, *SECOND], FRESH_SEEDS),
        }
        _add_accuracies(pool, timed["packed"])
    return found | timed


def _accuracies(pool: Executor, names: list[str], seeds: int) -> dict[str, dict[str, Any]]:
    jobs = [(name, policy, seed) for policy in POLICIES for name in names for seed in range(seeds)]
    trained = dict(zip(jobs, pool.map(train_by_name, *zip(*jobs, strict=True)), strict=True))
    return {
        policy: {name: _cell([trained[name, policy, seed] for seed in range(seeds)], policy) for name in names}
        for policy in POLICIES
    }


def _cell(trained: list[tuple[float, float]], policy: str) -> dict[str, Any]:
    accuracies, halves = zip(*trained, strict=True)
    text = f"{mean(accuracies):.1f}" + ("" if policy == FLOAT32 else f" ({mean(halves):.0%})")
    error = stdev(accuracies) / len(accuracies) ** 0.5
    return {"text": text, "accuracy": mean(accuracies), "standard_error": error, "half_frac": mean(halves)}


def _bert_step() -> dict[str, dict[str, Any]]:
    torch.manual_seed(0)
    model = BertForSequenceClassification(BertConfig(num_hidden_layers=1, vocab_size=1000, num_labels=2)).train()
    tokens, labels = torch.randint(1000, (BATCH, TOKENS)), torch.randint(2, (BATCH,))

    def step(bits: int | None) -> tuple[PackedActivations, torch.Tensor]:
        torch.manual_seed(1)
        model.zero_grad()
        with PackedActivations(bits) as packed:
            loss = model(tokens, labels=labels).loss
        loss.backward()
        return packed, torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    steps = {bits: step(bits) for bits in BITS}
    turns = {str(bits): lambda bits=bits: _milliseconds(lambda: step(bits)) for bits in BITS}
    times = take_turns(turns, 3)
    exact = steps[None][1]
    return {
        f"{bits or 32} bits": {
            "kept between forward and backward": _kept(packed),
            "relative error of the gradients": _number(float((gradient - exact).norm() / exact.norm()), "{:.0e}"),
            "time of a step": _number(median(times[str(bits)]), "{:.0f} ms"),
        }
        for bits, (packed, gradient) in steps.items()
    }


def _kept(packed: PackedActivations) -> dict[str, Any]:
    fall = 1 - packed.saved_bytes / packed.original_bytes
    text = f"{packed.saved_bytes / 1e6:.0f} MB" + (f" ({fall:.0%} less)" if fall else "")
    return {"text": text, "value": packed.saved_bytes, "fall": fall}


def _add_accuracies(pool: Executor, results: dict[str, dict[str, Any]]) -> None:
    jobs = [(bits, seed) for bits in BITS for seed in range(SEEDS)]
    trained = dict(zip(jobs, pool.map(packed_bert.train, *zip(*jobs, strict=True)), strict=True))
    for bits in BITS:
        own = [trained[bits, seed] for seed in range(SEEDS)]
        result = results[f"{bits or 32} bits"]
        result["accuracy of a small BERT"] = _number(mean(one.accuracy for one in own), "{:.2f} %")
        result["kept in its training"] = _number(mean(one.share for one in own), "{:.0%}")


def _speed() -> dict[str, float]:
    values = torch.randn(2**22)
    times = [_milliseconds(lambda: count_exponents(values)) for _ in range(5)]
    faster = {str(dtype): half_speedup("cpu", dtype) for dtype in (torch.float16, torch.bfloat16)}
    return faster | {"count_exponents_ns": median(times) * 1e6 / len(values)}


def _number(value: float, form: str) -> dict[str, Any]:
    return {"text": form.format(value), "value": value}


def _milliseconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1e3
