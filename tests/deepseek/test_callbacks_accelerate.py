"""Accelerate: a session on what it prepared, and ``Accelerator(log_with=deepseek.AccelerateTracker())``."""

import pytest
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState, PartialState
from torch import nn

import deepseek


@pytest.fixture(autouse=True)
def fresh_accelerate():
    yield
    for state in (AcceleratorState, GradientState, PartialState):
        state._reset_state()


def prepare(**options):
    torch.manual_seed(0)
    accelerator = Accelerator(cpu=True, **options)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3))
    data = torch.utils.data.TensorDataset(torch.linspace(-1, 1, 96).reshape(24, 4), torch.arange(24) % 3)
    loader = torch.utils.data.DataLoader(data, batch_size=6)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    return accelerator, *accelerator.prepare(model, optimizer, loader)


def train(accelerator, model, optimizer, loader):
    losses = []
    for inputs, labels in loader:
        with accelerator.accumulate(model):
            loss = F.cross_entropy(model(inputs), labels)
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
        accelerator.log({"train/loss": loss.item()}, step=100)
        losses.append(loss.item())
    return losses


def tracker(tmp_path, **options):
    return deepseek.AccelerateTracker(**{"every": 1, "run": tmp_path / "run.dsrun", **options})


@pytest.mark.parametrize("accumulation", [1, 2])
def test_inspect_takes_a_prepared_optimizer(tmp_path, accumulation):
    accelerator, model, optimizer, loader = prepare(gradient_accumulation_steps=accumulation)
    with deepseek.inspect(model, optimizer, every=1, run=tmp_path / "run.dsrun") as session:
        train(accelerator, model, optimizer, loader)
    assert session.status.step == 4 // accumulation
    assert session.meta["optimizer"] == "AdamW"
    assert set(session.frame("update")["step"]) == set(range(4 // accumulation))


def test_inspect_takes_a_model_wrapped_for_several_processes(tmp_path):
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    model = nn.parallel.DistributedDataParallel(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with deepseek.inspect(model, optimizer, every=1, run=tmp_path / "run.dsrun") as session:
        for _ in range(2):
            optimizer.zero_grad()
            model(torch.ones(2, 4)).sum().backward()
            optimizer.step()
    torch.distributed.destroy_process_group()
    assert {"module.0", "module.1", "module.2"} <= set(session.frame("activation")["site"])
    assert list(session.frame("gradient").groupby("step").size()) == [4, 4]


@pytest.mark.parametrize(
    "options",
    [{}, {"gradient_accumulation_steps": 2}, {"mixed_precision": "bf16"}],
    ids=lambda options: "-".join(options) or "plain",
)
def test_training_is_the_same_to_the_last_bit(tmp_path, options):
    states = []
    for watcher in (None, tracker(tmp_path)):
        accelerator, model, optimizer, loader = prepare(log_with=watcher, **options)
        accelerator.init_trackers("test")
        losses = train(accelerator, model, optimizer, loader)
        accelerator.end_training()
        states.append([torch.tensor(losses), *model.state_dict().values(), torch.get_rng_state()])
    assert all(torch.equal(plain, watched) for plain, watched in zip(*states, strict=True))


def test_what_is_logged_is_a_scalar_of_its_step(tmp_path):
    watcher = tracker(tmp_path)
    accelerator, model, optimizer, loader = prepare(log_with=watcher)
    accelerator.init_trackers("test")
    losses = train(accelerator, model, optimizer, loader)
    accelerator.end_training()
    scalars = watcher.session.frame("scalar")
    assert list(scalars["value"]) == losses
    assert list(scalars["step"]) == [0, 1, 2, 3]
    assert set(scalars["name"]) == {"train/loss"}


def test_the_session_is_closed_and_reported_at_the_end(tmp_path):
    watcher = tracker(tmp_path, report=tmp_path / "run.html")
    accelerator, *prepared = prepare(log_with=watcher)
    accelerator.init_trackers("test")
    assert accelerator.get_tracker("deepseek", unwrap=True) is watcher.session
    train(accelerator, *prepared)
    assert watcher.session.status.state == "running"
    accelerator.end_training()
    assert watcher.session.status.state == "closed"
    assert (tmp_path / "run.html").stat().st_size > 1000


def test_trackers_that_start_before_anything_is_prepared_watch_from_the_first_log(tmp_path):
    watcher = tracker(tmp_path)
    accelerator, *_ = prepare()
    accelerator.free_memory()
    accelerator = Accelerator(cpu=True, log_with=watcher)
    accelerator.init_trackers("test")
    assert watcher.session is None
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model, optimizer = accelerator.prepare(model, optimizer)
    train(accelerator, model, optimizer, [(torch.ones(2, 4), torch.tensor([0, 1]))] * 3)
    accelerator.end_training()
    assert set(watcher.session.frame("gradient")["step"]) == {0, 1}


def test_an_error_of_ours_never_reaches_the_script(tmp_path, caplog):
    watcher = tracker(tmp_path, sites="no.such.module")
    accelerator, *prepared = prepare(log_with=watcher)
    accelerator.init_trackers("test")
    assert len(train(accelerator, *prepared)) == 4
    accelerator.end_training()
    assert sum("matches no module" in record.getMessage() for record in caplog.records) == 1
