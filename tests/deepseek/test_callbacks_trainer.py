"""``transformers.Trainer(..., callbacks=[deepseek.TrainerCallback()])``."""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

import deepseek
from deepseek.callbacks import trainer as callback_module


class Tokens(torch.utils.data.Dataset):
    def __init__(self, fail_at=None):
        self.fail_at = fail_at

    def __len__(self):
        return 24

    def __getitem__(self, index):
        if index == self.fail_at:
            raise OSError("the disk is gone")
        tokens = torch.arange(index, index + 8) % 32
        return {"input_ids": tokens, "labels": tokens}


def make_trainer(folder, callbacks=(), dataset=None, **arguments):
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=32, n_positions=8, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
    settings = {
        "max_steps": 4,
        "per_device_train_batch_size": 4,
        "logging_steps": 1,
        "save_strategy": "no",
        "seed": 3,
        "use_cpu": True,
        "report_to": [],
        "disable_tqdm": True,
        **arguments,
    }
    return Trainer(
        GPT2LMHeadModel(config),
        TrainingArguments(str(folder), **settings),
        train_dataset=dataset or Tokens(),
        eval_dataset=Tokens(),
        callbacks=list(callbacks),
    )


def callback(tmp_path, **options):
    return deepseek.TrainerCallback(**{"every": 1, "run": tmp_path / "run.dsrun", **options})


def hooks(model):
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"gradient_accumulation_steps": 2},
        {"bf16": True},
        {"gradient_checkpointing": True},
        {"eval_strategy": "steps", "eval_steps": 2},
        {"max_grad_norm": 0.01},
    ],
    ids=lambda arguments: "-".join(arguments) or "plain",
)
def test_training_is_the_same_to_the_last_bit(tmp_path, arguments):
    states = []
    for callbacks in ([], [callback(tmp_path)]):
        trainer = make_trainer(tmp_path / "out", callbacks, **arguments)
        trainer.train()
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        states.append((losses, trainer.model.state_dict(), torch.get_rng_state()))
    (losses, weights, random), (watched_losses, watched_weights, watched_random) = states
    assert losses == watched_losses
    assert all(torch.equal(weights[name], watched_weights[name]) for name in weights)
    assert torch.equal(random, watched_random)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_each_optimizer_step_is_a_step_of_the_session(tmp_path, accumulation):
    watcher = callback(tmp_path)
    make_trainer(tmp_path / "out", [watcher], gradient_accumulation_steps=accumulation, max_steps=3).train()
    gradients = watcher.session.frame("gradient")
    assert watcher.session.status.step == 3
    assert set(gradients["step"]) == {0, 1, 2}
    assert gradients["call"].max() == accumulation - 1


def test_what_the_trainer_logs_is_a_scalar_of_its_step(tmp_path):
    watcher = callback(tmp_path)
    trainer = make_trainer(tmp_path / "out", [watcher], eval_strategy="steps", eval_steps=2)
    trainer.train()
    scalars = watcher.session.frame("scalar")
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert list(scalars.query("name == 'loss'")["value"]) == losses
    assert list(scalars.query("name == 'loss'")["step"]) == [0, 1, 2, 3]
    assert {"learning_rate", "grad_norm", "eval_loss", "train_loss"} <= set(scalars["name"])


def test_the_session_is_closed_and_reported_at_the_end(tmp_path):
    watcher = callback(tmp_path, report=tmp_path / "run.html")
    trainer = make_trainer(tmp_path / "out", [watcher])
    assert watcher.session is None
    trainer.train()
    assert watcher.session.status.state == "closed"
    assert (tmp_path / "run.html").stat().st_size > 1000
    assert hooks(trainer.model) == 0


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_the_session_is_closed_and_reported_when_training_fails(tmp_path, error):
    watcher = callback(tmp_path, report=tmp_path / "run.html")
    trainer = make_trainer(tmp_path / "out", [watcher])
    step = trainer.training_step

    def failing_step(*args, **kwargs):
        if watcher.session.status.step == 2:
            raise error("stop")
        return step(*args, **kwargs)

    trainer.training_step = failing_step
    with pytest.raises(error):
        trainer.train()
    assert watcher.session.status.state == "closed"
    assert (tmp_path / "run.html").exists()
    assert hooks(trainer.model) == 0


def test_a_failing_data_loader_ends_the_session_too(tmp_path):
    watcher = callback(tmp_path)
    trainer = make_trainer(tmp_path / "out", [watcher], dataset=Tokens(fail_at=5))
    with pytest.raises(OSError, match="the disk is gone"):
        trainer.train()
    assert watcher.session.status.state == "closed"


def test_a_checkpoint_is_saved_and_resumed_while_watching(tmp_path):
    expected = make_trainer(tmp_path / "plain", save_strategy="steps", save_steps=2)
    expected.train()
    first = make_trainer(tmp_path / "out", [callback(tmp_path)], save_strategy="steps", save_steps=2)
    first.train()
    resumed = make_trainer(tmp_path / "out", [callback(tmp_path, run=tmp_path / "resumed.dsrun")])
    resumed.train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-2"))
    weights = expected.model.state_dict()
    for trainer in (first, resumed):
        assert all(torch.equal(weights[name], value) for name, value in trainer.model.state_dict().items())
    names = sorted(path.name for path in (tmp_path / "out" / "checkpoint-2").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "plain" / "checkpoint-2").iterdir())


def test_a_second_training_has_a_session_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    watcher = deepseek.TrainerCallback(every=1)
    trainer = make_trainer(tmp_path / "out", [watcher], max_steps=2)
    trainer.train()
    first = watcher.session
    trainer.train()
    assert first is not watcher.session
    assert [first.status.step, watcher.session.status.step] == [2, 2]


def test_a_callback_added_later_watches_as_well(tmp_path):
    watcher = callback(tmp_path)
    trainer = make_trainer(tmp_path / "out")
    trainer.add_callback(watcher)
    trainer.train()
    assert watcher.session.status.step == 4
    assert watcher.session.status.state == "closed"


def test_an_error_of_ours_never_reaches_the_trainer(tmp_path, caplog):
    watcher = callback(tmp_path, sites="no.such.module")
    trainer = make_trainer(tmp_path / "out", [watcher])
    trainer.train()
    assert trainer.state.global_step == 4
    assert watcher.session is None
    assert sum("matches no module" in record.getMessage() for record in caplog.records) == 1


def test_only_the_first_process_watches(tmp_path):
    watcher = callback(tmp_path)
    trainer = make_trainer(tmp_path / "out", [watcher])
    state = trainer.state
    state.is_world_process_zero = False
    watcher.on_train_begin(trainer.args, state, trainer.control, model=trainer.model, optimizer=None)
    assert watcher.session is None


def test_it_is_a_callback_of_transformers(tmp_path):
    from transformers import TrainerCallback

    assert issubclass(callback_module.TrainerCallback, TrainerCallback)
