"""Ctrl-C and errors in the middle of a step, and training that goes on in the next cell."""

import signal

import pytest
import torch
from ordinary import INPUTS, counts, hooks, make, repeated, same, state, step, watch
from torch import nn
from torch.overrides import _get_current_function_mode_stack

from deepseek.inspector import recorder


class Trap(nn.Module):
    """Raises in its forward or in its backward when it is armed."""

    def __init__(self):
        super().__init__()
        self.armed = None

    def forward(self, x):
        if self.armed and self.armed[0] == "forward":
            raise self._spring()
        return _Trap.apply(x, self)

    def _spring(self):
        error, self.armed = self.armed[1], None
        return error("stop")


class _Trap(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, trap):
        ctx.trap = trap
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        if ctx.trap.armed and ctx.trap.armed[0] == "backward":
            raise ctx.trap._spring()
        return gradient, None


class Stumbling(torch.optim.SGD):
    """Raises in its step, half the parameters changed, when it is armed."""

    error = None

    @torch.no_grad()
    def step(self, closure=None):
        if self.error is not None:
            error, self.error = self.error, None
            for parameter in self.param_groups[0]["params"][:2]:
                parameter.sub_(parameter.grad)
            raise error("stop")
        return super().step(closure)


def trapped():
    trap = Trap()
    model, _ = make(trap)
    return model, Stumbling(model.parameters(), lr=0.1), trap


def run(session_of, place, error):
    """Two steps, one that is cut short, two more."""
    model, optimizer, trap = trapped()
    session = session_of(model, optimizer)
    for number in range(5):
        if number != 2:
            step(model, optimizer)
            continue
        trap.armed = (place, error)
        if place == "step":
            optimizer.error = error
        with pytest.raises(error, match="stop"):
            step(model, optimizer)
    return model, session


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("place", ["forward", "backward", "step"])
def test_rows_of_a_step_that_was_cut_short_do_not_mix_into_the_next(tmp_path, place, error):
    model, session = run(lambda *pair: watch(*pair, tmp_path), place, error)
    session.close()
    assert repeated(session) == []
    assert session.status.state == "closed"
    assert hooks(model) == 0


@pytest.mark.parametrize("place", ["forward", "backward", "step"])
def test_every_later_step_is_recorded_in_full(tmp_path, place):
    _, session = run(lambda *pair: watch(*pair, tmp_path), place, KeyboardInterrupt)
    session.close()
    found = counts(session)
    for number in sorted(found)[-2:]:
        assert found[number] == {"0": 1, "1": 1, "2": 1, "3": 1}
    for kind in ("gradient", "parameter", "update"):
        assert list(counts(session, kind)[max(found)].values()) == [1, 1, 1, 1]


@pytest.mark.parametrize("place", ["forward", "backward", "step"])
def test_training_after_the_interruption_is_the_same_to_the_last_bit(tmp_path, place):
    plain, _ = run(lambda *_: None, place, KeyboardInterrupt)
    watched, session = run(lambda *pair: watch(*pair, tmp_path), place, KeyboardInterrupt)
    session.close()
    assert same(state(plain), state(watched))


def test_an_interruption_inside_a_probe_passes_through_and_the_next_step_is_whole(tmp_path, monkeypatch):
    model, optimizer = make()
    with watch(model, optimizer, tmp_path) as session:
        step(model, optimizer)
        real = recorder.summarize_row

        def interrupted(tensor):
            monkeypatch.setattr(recorder, "summarize_row", real)
            raise KeyboardInterrupt

        monkeypatch.setattr(recorder, "summarize_row", interrupted)
        with pytest.raises(KeyboardInterrupt):
            step(model, optimizer)
        step(model, optimizer)
        step(model, optimizer)
    assert repeated(session) == []
    assert counts(session)[session.status.step - 1] == {"0": 1, "1": 1, "2": 1}


def test_a_real_signal_during_training_leaves_a_session_that_works(tmp_path, ctrl_c):
    class Signalling(nn.Module):
        armed = False

        def forward(self, x):
            if self.armed:
                self.armed = False
                signal.raise_signal(signal.SIGINT)
            return x * 1

    layer = Signalling()
    model, optimizer = make(layer)
    with watch(model, optimizer, tmp_path) as session:
        step(model, optimizer)
        layer.armed = True
        with pytest.raises(KeyboardInterrupt):
            step(model, optimizer)
        step(model, optimizer)
    assert repeated(session) == []
    assert session.findings == []


def test_functions_are_watched_no_longer_once_training_goes_on(tmp_path):
    model, optimizer, trap = trapped()
    with watch(model, optimizer, tmp_path):
        trap.armed = ("forward", KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            step(model, optimizer)
        step(model, optimizer)
        assert _get_current_function_mode_stack() == []


def test_functions_are_watched_no_longer_once_the_session_is_closed(tmp_path):
    model, optimizer, trap = trapped()
    trap.armed = ("forward", KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt), watch(model, optimizer, tmp_path):
        step(model, optimizer)
    assert _get_current_function_mode_stack() == []


def test_the_context_manager_closes_on_an_interruption(tmp_path):
    model, optimizer, trap = trapped()
    trap.armed = ("backward", KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt), watch(model, optimizer, tmp_path) as session:
        step(model, optimizer)
    assert session.status.state == "closed"
    assert hooks(model) == 0


def test_gradients_left_by_an_interruption_are_not_taken_for_those_of_the_next_step(tmp_path):
    model, optimizer, trap = trapped()
    with watch(model, optimizer, tmp_path) as session:
        trap.armed = ("backward", KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            step(model, optimizer, INPUTS * 1000)
        step(model, optimizer)
    gradients = session.frame("gradient")
    newest = gradients[gradients["step"] == gradients["step"].max()].set_index("site")["l2"]
    for name, parameter in model.named_parameters():
        assert newest[name] == pytest.approx(parameter.grad.norm().item(), rel=1e-5)


def test_a_default_device_hides_no_function_and_is_taken_off_whole_after_an_interruption(tmp_path):
    torch.set_default_device("cpu")
    try:
        model, optimizer, trap = trapped()
        with watch(model, optimizer, tmp_path) as session:
            step(model, optimizer)
            assert session.graph().complete
            trap.armed = ("forward", KeyboardInterrupt)
            with pytest.raises(KeyboardInterrupt):
                step(model, optimizer)
            torch.set_default_device(None)
            step(model, optimizer)
            assert _get_current_function_mode_stack() == []
    finally:
        torch.set_default_device(None)
