"""Copies of a watched model: deep copies, moving averages, files, other processes."""

import copy
import io
import subprocess
import sys

import pytest
import torch
from ordinary import INPUTS, call_in_spawned_process, counts, make, same, state, step, watch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset, TensorDataset


def test_a_deep_copy_in_the_middle_of_a_step_is_a_model_of_its_own(tmp_path):
    model, optimizer = make()
    with watch(model, optimizer, tmp_path) as session:
        for _ in range(2):
            optimizer.zero_grad()
            loss = model(INPUTS).square().mean()
            twin = copy.deepcopy(model)
            loss.backward()
            step(twin, torch.optim.SGD(twin.parameters(), lr=0.5))
            optimizer.step()
        twin(INPUTS)
    expected, plain_optimizer = make()
    for _ in range(2):
        step(expected, plain_optimizer)
    assert same(state(model), state(expected))
    assert counts(session) == {number: {"0": 1, "1": 1, "2": 1} for number in (0, 1)}
    assert len(session.frame("gradient")) == 8


def test_a_deep_copy_inside_a_backward_pass_works(tmp_path):
    model, optimizer = make()
    twins = []
    with watch(model, optimizer, tmp_path) as session:
        loss = model(INPUTS).square().mean()
        model[0].weight.register_post_accumulate_grad_hook(lambda _: twins.append(copy.deepcopy(model)))
        loss.backward()
        optimizer.step()
    assert twins[0](INPUTS).shape == (8, 2)
    assert len(session.frame("gradient")) == 4


def test_a_deep_copy_of_one_hooked_layer_computes_the_same_and_records_nothing(tmp_path):
    model, optimizer = make()
    with watch(model, optimizer, tmp_path) as session:
        step(model, optimizer)
        twin = copy.deepcopy(model[0])
        assert torch.equal(twin(INPUTS), model[0](INPUTS))
        step(model, optimizer)
    assert torch.equal(copy.deepcopy(twin)(INPUTS), twin(INPUTS))
    assert counts(session)[1] == {"0": 2, "1": 1, "2": 1}


def test_a_layer_copied_into_the_same_model_does_not_record_as_the_original(tmp_path):
    model, optimizer = make(nn.Linear(8, 8))
    with watch(model, optimizer, tmp_path) as session:
        model[2] = copy.deepcopy(model[2])
        step(model, optimizer)
        step(model, optimizer)
    assert all(rows <= 1 for found in counts(session).values() for rows in found.values())


def test_a_moving_average_is_updated_as_without_a_session(tmp_path):
    averages = []
    for watched in (False, True):
        model, optimizer = make(nn.BatchNorm1d(8))
        session = watch(model, optimizer, tmp_path) if watched else None
        average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
        for _ in range(3):
            step(model, optimizer)
            average.update_parameters(model)
            with torch.no_grad():
                average(INPUTS)
        averages.append(state(average))
        if session is not None:
            session.close()
            assert counts(session) == {number: {"0": 1, "1": 1, "2": 1, "3": 1} for number in range(3)}
    assert same(*averages)


@pytest.mark.parametrize("closed", [False, True])
def test_a_saved_model_loads_without_this_package(tmp_path, closed):
    model, optimizer = make()
    with watch(model, optimizer, tmp_path) as session:
        step(model, optimizer)
        model(INPUTS)
        if closed:
            session.close()
        torch.save(model, tmp_path / "model.pt")
        expected = model(INPUTS).sum().item()
    code = f"""if True:
        import sys, torch
        model = torch.load({str(tmp_path / "model.pt")!r}, weights_only=False)
        total = model(torch.linspace(-1, 1, 32).reshape(8, 4)).sum()
        total.backward()
        print(total.item() == {expected!r}, "deepseek" in sys.modules)
        """
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "False"], done.stderr[-2000:]


def test_a_saved_state_is_the_same_file_with_and_without_a_session(tmp_path):
    files = []
    for watched in (False, True):
        model, optimizer = make()
        session = watch(model, optimizer, tmp_path) if watched else None
        step(model, optimizer)
        buffer = io.BytesIO()
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, buffer)
        files.append(buffer.getvalue())
        if session is not None:
            session.close()
    assert files[0] == files[1]


def test_a_state_loaded_during_a_session_is_watched_on(tmp_path):
    model, optimizer = make()
    with watch(model, optimizer, tmp_path) as session:
        saved = state(model)
        step(model, optimizer)
        model.load_state_dict(saved)
        step(model, optimizer)
        model.load_state_dict(saved, assign=True)
        step(model, torch.optim.SGD(model.parameters(), lr=0.1))
        step(model, optimizer)
    assert counts(session)[1] == {"0": 1, "1": 1, "2": 1}
    assert set(session.frame("gradient")["step"]) >= {0, 1}


def test_a_spawned_process_gets_a_model_that_records_nothing(tmp_path):
    model, optimizer = make()
    with watch(model, optimizer, tmp_path) as session:
        step(model, optimizer)
        model.requires_grad_(False)
        expected = model(INPUTS)
        assert torch.equal(call_in_spawned_process(model, INPUTS), expected)
        model.requires_grad_(True)
        step(model, optimizer)
    assert session.status.step == 2
    assert session.status.state == "closed"


class Features(Dataset):
    """Data that the watched model itself computes, in the worker."""

    def __init__(self, model):
        self.model = model

    def __len__(self):
        return 8

    def __getitem__(self, index):
        with torch.no_grad():
            return self.model[0](INPUTS[index])


def test_workers_that_call_the_watched_model_disturb_nothing(tmp_path):
    model, optimizer = make()
    with watch(model, optimizer, tmp_path) as session:
        step(model, optimizer)
        batches = list(DataLoader(Features(model), batch_size=4, num_workers=1, multiprocessing_context="fork"))
        torch.testing.assert_close(torch.cat(batches), model[0](INPUTS).detach())
        step(model, optimizer)
    assert counts(session)[0] == {"0": 1, "1": 1, "2": 1}
    assert session.status.step == 2


def test_workers_load_the_same_batches_during_a_session(tmp_path):
    losses = []
    for watched in (False, True):
        model, optimizer = make()
        session = watch(model, optimizer, tmp_path) if watched else None
        torch.manual_seed(2)
        loader = DataLoader(TensorDataset(INPUTS), batch_size=4, shuffle=True, num_workers=2)
        losses.append([step(model, optimizer, inputs) for (inputs,) in loader])
        if session is not None:
            session.close()
    assert losses[0] == losses[1]
    assert session.status.step == 2
