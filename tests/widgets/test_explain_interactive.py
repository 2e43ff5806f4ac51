"""Computing what is chosen: between cells only, with a model that stays as it is, and errors that are told."""

import re
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from controlled import until
from markup import ALLOWED, Elements
from sklearn.datasets import load_diabetes
from torch import nn

import deepseek
from deepseek import explain
from deepseek.errors import DeepseekError
from deepseek.explain import AttentionMaps, Attribution
from deepseek.widgets.explaining.between_cells import BetweenCells
from deepseek.widgets.explaining.computing import Cancelled, computing
from deepseek.widgets.explaining.interactive import InteractiveExplanation
from deepseek.widgets.explaining.question import GIVEN, MEAN, ZEROS, Explainer, Question
from deepseek.widgets.explaining.widget import ExplanationWidget

PATIENCE_S = 20


class Events:
    """The events of a shell; a cell runs at first."""

    def __init__(self):
        self.known = {"pre_run_cell": [], "post_run_cell": []}

    def register(self, name, action):
        self.known[name].append(action)

    def unregister(self, name, action):
        self.known[name].remove(action)

    def trigger(self, name):
        for action in list(self.known[name]):
            action(None)


@pytest.fixture
def shell():
    return SimpleNamespace(events=Events())


@pytest.fixture(scope="module")
def rows():
    return torch.tensor(load_diabetes().data).float()


class Slow(nn.Module):
    """Waits in each forward, and may draw random numbers."""

    def __init__(self, seconds=0.0, noise=False):
        super().__init__()
        self.noise = noise
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(10, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 2))
        self.seconds = seconds
        self.began = threading.Event()

    def forward(self, x):
        self.began.set()
        time.sleep(self.seconds)
        return self.layers(x) + (0 * torch.rand(1) if self.noise else 0)


def ask(widget, **change):
    """Have a browser ask for an explanation."""
    asked = widget.choices["asked"] | change
    widget._handle_msg({"content": {"data": {"method": "custom", "content": asked}}})


def interactive(model, rows, shell=None, **options):
    explainer = Explainer(model, rows[:5], rows[50:60], **options)
    return InteractiveExplanation(model, explainer, explainer.first(), shell)


def test_a_widget_holds_its_explanation_and_obeys_no_browser(rows):
    widget = explain.attribute(Slow(), rows[:2], target=0).widget()
    assert isinstance(widget, ExplanationWidget)
    assert widget.explanation["message"]["target"] == "output 0"
    program = widget._esm
    update, wish = {"method": "update", "state": {"_esm": "alert(1)"}}, {"method": "custom", "content": {"type": "x"}}
    for data in (update, wish, 3):
        widget._handle_msg({"content": {"data": data}})
    assert (widget._esm, widget.refused) == (program, 3)


@pytest.mark.parametrize("method", ["auto", "exact", "kernel", "permutation", "expected_gradients", "deeplift"])
@pytest.mark.parametrize("against", [GIVEN, MEAN, ZEROS])
def test_a_sample_is_explained_as_by_hand(rows, method, against):
    model = Slow()
    found = Explainer(model, rows[:5], rows[50:60]).answer(Question(3, method, against, "output 1"))
    known = {GIVEN: rows[50:60], MEAN: rows[50:60].mean(0, keepdim=True), ZEROS: torch.zeros(1, 10)}
    expected = explain.shap(model, rows[3:4], known[against], method=method, target=1, progress=False)
    assert isinstance(found, Attribution)
    assert np.allclose(found.values, expected.values, atol=1e-6)
    assert found.outputs.shape == (1,)


def test_samples_may_be_tuples_mappings_and_frames(rows):
    class Two(nn.Module):
        def forward(self, a, b):
            return a.sum(1) + b.sum(1)

    for inputs in ((rows[:3], rows[3:6]), {"a": rows[:3], "b": rows[3:6]}):
        found = Explainer(Two(), inputs).answer(Question(2, "exact", ZEROS, "all outputs"))
        assert [each.shape for each in found.data_by_input.values()] == [(1, 10)] * 2
        assert np.allclose(list(found.data_by_input.values())[1][0], rows[5])
    frame = load_diabetes(as_frame=True).data
    table = explain.Table(frame)
    found = Explainer(Slow(), table.features(frame[:4]), table.features(frame[50:60])).answer(
        Question(2, "auto", GIVEN, "output 0")
    )
    assert found.feature_names == tuple(frame.columns)
    assert len(found.shown) == 1


def test_attention_is_one_of_the_methods():
    class Looking(nn.Module):
        def __init__(self):
            super().__init__()
            self.look = nn.MultiheadAttention(4, 2, batch_first=True)

        def forward(self, x):
            return self.look(x, x, x)[0].mean((1, 2))

    samples = torch.randn(3, 5, 4)
    found = Explainer(Looking(), samples).answer(Question(1, "attention", "", ""))
    assert isinstance(found, AttentionMaps)
    assert found[0].weights.shape == (1, 2, 5, 5)


def test_a_choice_that_makes_no_sense_is_refused(rows):
    explainer = Explainer(Slow(), rows[:5], rows[50:60])
    for wrong in (Question(5, "auto", GIVEN, "output 0"), Question(0, "auto", "ones", "output 0"),
                  Question(0, "auto", GIVEN, "output 2"), Question(0, "lime", GIVEN, "output 0")):  # fmt: skip
        with pytest.raises(DeepseekError):
            explainer.answer(wrong)
    with pytest.raises(DeepseekError, match="A background is needed"):
        Explainer(nn.Embedding(5, 2), torch.arange(3))


def test_the_model_and_the_random_state_stay_as_they_are(rows):
    model = Slow(noise=True).train()
    model.layers[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    widget = interactive(model, rows)
    for method in widget.choices["methods"]:
        if method["against"]:
            ask(widget, method=method["name"], against=method["against"][0])
            until(lambda: widget.progress["state"] in ("idle", "failed") and widget._work._thread is None)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model._forward_pre_hooks
    assert torch.equal(torch.get_rng_state(), state)


def test_what_a_browser_asks_for_is_computed_and_shown(rows):
    widget = interactive(Slow(), rows)
    ask(widget, sample=4, method="exact", against=ZEROS, target="output 1")
    until(lambda: widget.progress["state"] == "idle" and widget.result is not None)
    assert widget.explanation["message"]["target"] == "output 1"
    assert np.allclose(widget.result.data[0], rows[4])


def test_an_error_is_told_in_the_widget(rows):
    class Failing(Slow):
        def forward(self, x):
            if len(x) > 5:
                raise ValueError("too \x1b[31mmany rows")
            return super().forward(x)

    widget = interactive(Failing(), rows)
    ask(widget)
    until(lambda: widget.progress["state"] == "failed")
    assert widget.progress["said"] == "ValueError: too many rows"


@pytest.mark.parametrize(
    "wrong", [{"sample": -1}, {"sample": "0"}, {"more": 1}, {"method": "x" * 401}, {"type": "progress"}, {"type": []}]
)
def test_only_what_may_be_asked_is_obeyed(rows, wrong):
    widget = interactive(Slow(), rows)
    ask(widget, **wrong)
    assert widget.refused == 1
    assert widget.progress["state"] == "idle"


def test_a_computation_is_cancelled(rows):
    model = Slow(0.02)
    widget = interactive(model, rows)
    model.began.clear()
    ask(widget, method="permutation")
    assert model.began.wait(PATIENCE_S)
    widget._handle_msg({"content": {"data": {"method": "custom", "content": {"type": "cancel"}}}})
    until(lambda: widget._work._thread is None)
    assert widget.progress["said"] == "Cancelled before anything was known: choose Explain again."
    assert widget.result is None


def test_what_was_known_when_it_was_cancelled_is_shown_as_a_part(rows):
    class Together(Slow):
        """All features count through each other only: sampling takes long."""

        def forward(self, x):
            return super().forward(x) + (30 * x).prod(1, keepdim=True)

    model = Together(0.01)
    explainer = Explainer(model, rows[:5], rows[50:250])
    widget = InteractiveExplanation(model, explainer, explainer.first())
    ask(widget, method="permutation", target="output 0")
    until(lambda: re.match(r"1\d\d forward passes", widget.progress["said"]))
    widget._handle_msg({"content": {"data": {"method": "custom", "content": {"type": "cancel"}}}})
    until(lambda: widget._work._thread is None)
    said = "Sample 0 by permutation, as far as it had got: it was ended early."
    assert widget.progress == {"type": "progress", "state": "idle", "said": said}
    assert np.isfinite(widget.result.values).all()
    assert any("interrupted" in note for note in widget.explanation["message"]["notes"])


def test_a_wish_that_waits_is_cancelled(rows, shell):
    model = Slow()
    widget = interactive(model, rows, shell)
    model.began.clear()
    ask(widget)
    widget._handle_msg({"content": {"data": {"method": "custom", "content": {"type": "cancel"}}}})
    assert (widget.progress["state"], widget.progress["said"]) == ("idle", "Cancelled.")
    shell.events.trigger("post_run_cell")
    assert widget._work._thread is None
    assert not model.began.is_set()


def test_what_is_asked_while_a_cell_runs_is_computed_after_it(rows, shell):
    model = Slow()
    widget = interactive(model, rows, shell)
    model.began.clear()
    ask(widget)
    assert widget.progress == {
        "type": "progress",
        "state": "waiting",
        "said": "It begins when the running cell has ended.",
    }
    time.sleep(0.1)
    assert not model.began.is_set()
    shell.events.trigger("post_run_cell")
    until(lambda: widget.progress["state"] == "idle")
    assert widget.result is not None


def test_a_cell_never_runs_beside_a_computation(rows, shell):
    model = Slow(0.02).train()
    widget = interactive(model, rows, shell)
    model.train()
    shell.events.trigger("post_run_cell")
    model.began.clear()
    ask(widget, method="permutation")
    assert model.began.wait(PATIENCE_S)
    shell.events.trigger("pre_run_cell")
    assert model.training
    assert not model._forward_pre_hooks
    assert widget._work._thread is None
    widget.close()
    assert shell.events.known == {"pre_run_cell": [], "post_run_cell": []}


def test_of_several_wishes_the_newest_is_granted(shell):
    work, done = BetweenCells(shell), []
    for number in range(3):
        work.submit(lambda _stop, number=number: done.append(number))
    shell.events.trigger("post_run_cell")
    until(lambda: work._thread is None)
    assert done == [2]


def test_what_is_asked_while_a_cell_waits_for_the_last_work_does_not_overtake_it(shell):
    work, done, goes_on = BetweenCells(shell), [], threading.Event()
    shell.events.trigger("post_run_cell")
    work.submit(lambda _stop: goes_on.wait(PATIENCE_S))
    cell = threading.Thread(target=shell.events.trigger, args=["pre_run_cell"])
    cell.start()
    until(lambda: work.cell_runs)
    work.submit(lambda _stop: done.append("asked"))
    goes_on.set()
    cell.join(PATIENCE_S)
    assert done == []
    shell.events.trigger("post_run_cell")
    until(lambda: done == ["asked"])


def test_a_stop_ends_the_next_forward():
    model, stop, told = nn.Linear(2, 1), threading.Event(), []
    with computing(model, stop, told.append):
        model(torch.ones(1, 2))
        stop.set()
        with pytest.raises(Cancelled):
            model(torch.ones(1, 2))
    model(torch.ones(1, 2))
    assert told == [1]


@pytest.mark.parametrize("optimized", [True, False])
def test_a_session_that_watches_the_model_sees_nothing_of_it(rows, tmp_path, optimized):
    model = Slow()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1) if optimized else None
    with deepseek.inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        for count in range(3):
            model(rows).sum().backward()
            if optimizer:
                optimizer.step()
            before = session.status.step
            widget = interactive(model, rows)
            widget.begin()
            assert widget.progress["state"] == "idle"
            assert session.status.step == before, count
    assert len(session.frame("eval_activation")) == 0
    assert set(session.frame("activation")["step"]) == {0, 1, 2}


class Handle:
    """An output that can be brought up to date."""

    def __init__(self, bundle):
        self.bundle = bundle

    def update(self, bundle, raw):
        assert raw
        self.bundle = bundle


@pytest.fixture
def outputs(monkeypatch):
    """The outputs of a notebook's cell."""
    made = []
    place = "deepseek.widgets.explaining.widget."
    monkeypatch.setattr(place + "notebook_shell", lambda: SimpleNamespace())
    monkeypatch.setattr(place + "display_bundle", lambda bundle, **_: made.append(Handle(bundle)) or made[-1])
    return made


def test_where_a_browser_looks_there_is_a_widget_above_a_static_picture(rows, outputs, monkeypatch):
    monkeypatch.setattr("deepseek.widgets.explaining.widget.has_front_end", lambda _shell: True)
    widget = interactive(Slow(), rows)
    widget._ipython_display_()
    above, below = outputs
    assert above.bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == widget.model_id
    assert "Nothing is explained yet" in below.bundle["text/html"]
    widget.begin()
    assert f'data-deepseek-static="{widget.key}"' in below.bundle["text/html"]
    assert "data:image/png;base64," in below.bundle["text/html"]
    assert "completeness gap at most" in below.bundle["text/plain"]
    assert set(Elements(below.bundle["text/html"]).tags) <= ALLOWED
    assert len(below.bundle["text/html"]) < 150_000


def test_an_executed_notebook_holds_the_static_picture_alone(rows, outputs, monkeypatch):
    monkeypatch.setattr("deepseek.widgets.explaining.widget.has_front_end", lambda _shell: False)
    explain.attribute(Slow(), rows[:2], target=0).widget()._ipython_display_()
    (only,) = outputs
    assert set(only.bundle) == {"text/html", "text/plain"}


def test_the_state_is_sent_to_a_page_that_was_loaded_anew_but_not_too_often(rows, monkeypatch):
    widget = explain.attribute(Slow(), rows[:2], target=0).widget()
    sent = []
    monkeypatch.setattr(widget, "send_state", lambda: sent.append(1))
    for _ in range(5):
        widget._handle_msg({"content": {"data": {"method": "request_state"}}})
    assert (len(sent), widget.refused) == (1, 4)


def test_the_first_answer_can_be_cancelled(rows):
    model = Slow(0.02)
    widget = interactive(model, rows)
    model.began.clear()
    thread = threading.Thread(target=widget.begin)
    thread.start()
    assert model.began.wait(PATIENCE_S)
    widget._handle_msg({"content": {"data": {"method": "custom", "content": {"type": "cancel"}}}})
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
