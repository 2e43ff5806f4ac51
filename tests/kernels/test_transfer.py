"""Rows reach the host in order, wherever they were computed."""

import threading

import numpy as np
import pytest
import torch

from deepseek.kernels.summary import HostCopy, reference_row, start_transfer, summarize_row, transfer

TENSORS = [torch.arange(float(n)) for n in range(1, 8)]


def means(rows: np.ndarray) -> list[float]:
    return rows[:, 0].tolist()


def test_rows_keep_their_order() -> None:
    rows = [summarize_row(t) if i % 2 else reference_row(t) for i, t in enumerate(TENSORS)]
    got = start_transfer(rows).wait()
    assert got.shape == (7, 12)
    assert got.dtype == np.float64
    assert means(got) == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]


def test_no_rows() -> None:
    assert start_transfer([]).wait().shape == (0, 12)


def test_waiting_in_another_thread() -> None:
    on_its_way = start_transfer([reference_row(t) for t in TENSORS])
    arrived: list[np.ndarray] = []
    thread = threading.Thread(target=lambda: arrived.append(on_its_way.wait()))
    thread.start()
    thread.join()
    assert means(arrived[0])[-1] == 3.0


def test_float32_rows_of_devices_without_float64() -> None:
    rows = start_transfer([reference_row(t).float() for t in TENSORS]).wait()
    assert rows.dtype == np.float64
    assert means(rows)[-1] == 3.0


def test_rows_stay_what_they_were_when_memory_is_reused() -> None:
    row = reference_row(TENSORS[-1])
    on_its_way = start_transfer([row])
    row.zero_()
    assert means(on_its_way.wait()) == [3.0]


def test_an_accelerator_is_waited_for_by_the_reader_only(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    class Event:
        def __init__(self, device: torch.device) -> None:
            calls.append(f"event on {device}")

        def record(self, stream: str) -> None:
            calls.append(f"record {stream}")

        def synchronize(self) -> None:
            calls.append("synchronize")

    class Elsewhere:
        device = torch.device("cuda:1")

        def to(self, device: str, *, non_blocking: bool) -> torch.Tensor:
            calls.append(f"to {device}, {non_blocking}")
            return torch.stack([reference_row(TENSORS[0]), reference_row(TENSORS[2])])

    monkeypatch.setattr(transfer.torch, "Event", Event)
    monkeypatch.setattr(transfer.torch.accelerator, "current_stream", lambda device: f"behind the work on {device}")
    copy = HostCopy.start(Elsewhere())  # type: ignore[arg-type]
    assert calls == ["to cpu, True", "event on cuda:1", "record behind the work on cuda:1"]
    got = transfer.Transfer([(1, summarize_row(TENSORS[1]))], [transfer._Copy([0, 2], copy)]).wait()
    assert calls[3:] == ["synchronize"]
    assert means(got) == [0.0, 0.5, 1.0]
