"""Two processes that train together under a session and a witness each."""

import multiprocessing
import os
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from witness import Witness, columns
from zoo import MLP

from deepseek.inspector import inspect

KINDS = ("gradient", "applied_gradient", "parameter", "update")


def on_two_processes() -> dict[str, list[tuple[list[str], list[float]]]]:
    """Train by each scheme; give for each rank the differences and the squared norm of what each step applied."""
    context, results = multiprocessing.get_context("spawn"), []
    meeting = Path(tempfile.mkdtemp(prefix="telemetry-"), "meeting")
    pipes = [context.Pipe(duplex=False) for _ in range(2)]
    processes = [
        context.Process(target=_serve, args=(rank, meeting, pipe), daemon=True) for rank, (_, pipe) in enumerate(pipes)
    ]
    for process in processes:
        process.start()
    for ours, theirs in pipes:
        theirs.close()
        assert ours.poll(150), "a process did not answer"
        results.append(ours.recv())
    for process in processes:
        process.join(30)
    return {scheme: [result[scheme] for result in results] for scheme in ("ddp", "fsdp")}


def _serve(rank: int, meeting: Path, pipe: Any) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{meeting}", rank=rank, world_size=2, timeout=timedelta(seconds=60))
    pipe.send({"ddp": _train(rank, _ddp()), "fsdp": _train(rank, _fsdp())})
    dist.destroy_process_group()


def _ddp() -> nn.Module:
    torch.manual_seed(0)
    return nn.parallel.DistributedDataParallel(MLP(depth=2))


def _fsdp() -> nn.Module:
    torch.manual_seed(0)
    model = MLP(depth=2)
    mesh = init_device_mesh("cpu", (2,))
    for layer in model.layers:
        fully_shard(layer, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def _train(rank: int, model: nn.Module) -> tuple[list[str], list[float]]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    session = inspect(model, optimizer, every=1, run=Path(tempfile.mkdtemp(), "x.dsrun"))
    with session, Witness(model, [optimizer], local=lambda tensor: getattr(tensor, "_local_tensor", tensor)) as witness:
        for step in range(3):
            torch.manual_seed(10 * step + rank)
            optimizer.zero_grad()
            F.cross_entropy(model(torch.randn(8, 64)), torch.randint(10, (8,))).backward()
            optimizer.step()
        # Across processes every applied gradient is recorded, because torch does not always count the averaging.
        witness.rows |= {
            ("applied_gradient", *key): columns(row) for (kind, *key), row in witness.rows.items() if kind == "applied"
        }
        norms = session.frame("applied_gradient").groupby("step")["l2"]
        return witness.differences(session, KINDS), norms.apply(lambda found: (found**2).sum()).tolist()
