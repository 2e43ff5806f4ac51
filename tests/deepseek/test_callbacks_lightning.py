"""``lightning.Trainer(callbacks=[deepseek.LightningCallback()])``, and the same with ``pytorch_lightning``."""

import lightning
import pytest
import pytorch_lightning
import torch
import torch.nn.functional as F
from torch import nn

import deepseek

DATA = torch.utils.data.TensorDataset(torch.linspace(-1, 1, 96).reshape(24, 4), torch.arange(24) % 3)


def module_class(package):
    class Classifier(package.LightningModule):
        fail_at = None

        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3))

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, index):
            if self.global_step == self.fail_at:
                raise self.error("stop")
            loss = F.cross_entropy(self(batch[0]), batch[1])
            self.log("train_loss", loss, on_step=True, on_epoch=True)
            return loss

        def validation_step(self, batch, index):
            self.log("val_loss", F.cross_entropy(self(batch[0]), batch[1]))

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=0.01)

    return Classifier


def loader():
    return torch.utils.data.DataLoader(DATA, batch_size=6, num_workers=0)


def fit(folder, callbacks=(), package=lightning, fail=None, ckpt_path=None, module=None, **options):
    torch.manual_seed(0)
    module = (module or module_class(package))()
    if fail is not None:
        module.fail_at, module.error = 2, fail
    settings = {"max_epochs": 2, "logger": False, "enable_checkpointing": False, **options}
    trainer = package.Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        callbacks=list(callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        **settings,
    )
    trainer.fit(module, loader(), loader(), ckpt_path=ckpt_path)
    return trainer, module


def callback(tmp_path, **options):
    return deepseek.LightningCallback(**{"every": 1, "run": tmp_path / "run.dsrun", **options})


def hooks(model):
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


@pytest.mark.parametrize(
    "options",
    [{}, {"accumulate_grad_batches": 2}, {"precision": "bf16-mixed"}, {"gradient_clip_val": 0.01}],
    ids=lambda options: "-".join(options) or "plain",
)
def test_training_is_the_same_to_the_last_bit(tmp_path, options):
    states = []
    for callbacks in ([], [callback(tmp_path)]):
        trainer, module = fit(tmp_path, callbacks, **options)
        states.append((module.state_dict(), dict(trainer.callback_metrics), torch.get_rng_state()))
    for plain, watched in zip(states[0][:2], states[1][:2], strict=True):
        assert plain.keys() == watched.keys()
        assert all(torch.equal(plain[name], watched[name]) for name in plain)
    assert torch.equal(states[0][2], states[1][2])


@pytest.mark.parametrize("package", [lightning, pytorch_lightning], ids=lambda package: package.__name__)
def test_each_optimizer_step_is_a_step_of_the_session(tmp_path, package):
    watcher = callback(tmp_path)
    fit(tmp_path, [watcher], package)
    assert set(watcher.session.frame("gradient")["step"]) == set(range(8))


def test_gradient_accumulation_makes_fewer_steps(tmp_path):
    watcher = callback(tmp_path)
    fit(tmp_path, [watcher], accumulate_grad_batches=2)
    assert set(watcher.session.frame("update")["step"]) == set(range(4))
    assert watcher.session.frame("gradient")["call"].max() == 1


def test_validation_is_not_recorded_as_training(tmp_path):
    watcher = callback(tmp_path, kinds=["activation", "eval_activation"])
    fit(tmp_path, [watcher])
    rows = watcher.session.frame("activation")
    assert set(rows.groupby(["step", "site"]).size()) == {1}
    assert set(watcher.session.frame("eval_activation")["site"]) == {"net.0", "net.1", "net.2", "net.3"}


@pytest.mark.parametrize("automatic", [True, False])
def test_a_module_whose_own_forward_is_never_called_is_watched_as_well(tmp_path, automatic):
    class Direct(module_class(lightning)):
        automatic_optimization = automatic

        def forward(self, x):
            raise AssertionError("never called")

        def training_step(self, batch, index):
            loss = F.cross_entropy(self.net(batch[0]), batch[1])
            if automatic:
                return loss
            optimizer = self.optimizers()
            optimizer.zero_grad()
            self.manual_backward(loss)
            return optimizer.step()

        def validation_step(self, batch, index):
            self.log("val_loss", F.cross_entropy(self.net(batch[0]), batch[1]))

    watcher = callback(tmp_path)
    fit(tmp_path, [watcher], module=Direct)
    sizes = watcher.session.frame("activation").groupby(["step", "site"]).size()
    assert set(sizes) == {1}
    assert len(sizes) == 8 * 4
    assert set(watcher.session.frame("update")["step"]) == set(range(8))


def test_gradients_are_recorded_as_they_arrive_and_as_they_are_used(tmp_path):
    watcher = callback(tmp_path)
    fit(tmp_path, [watcher], gradient_clip_val=0.01)
    arrived = watcher.session.frame("gradient").query("step == 3")["l2"]
    applied = watcher.session.frame("applied_gradient").query("step == 3")["l2"]
    assert (arrived**2).sum() ** 0.5 > 0.02
    assert (applied**2).sum() ** 0.5 == pytest.approx(0.01, rel=1e-3)


def test_logged_metrics_are_scalars(tmp_path):
    watcher = callback(tmp_path)
    trainer, _ = fit(tmp_path, [watcher])
    scalars = watcher.session.frame("scalar").groupby("name")["value"].agg(list)
    assert len(scalars["loss"]) == len(scalars["train_loss_step"]) == 8
    assert scalars["loss"] == scalars["train_loss_step"]
    assert scalars["learning_rate"] == [0.01] * 8
    assert len(scalars["val_loss"]) == 2
    assert scalars["val_loss"][-1] == trainer.callback_metrics["val_loss"].item()
    assert scalars["train_loss_epoch"][-1] == trainer.callback_metrics["train_loss_epoch"].item()


def test_the_session_is_closed_and_reported_at_the_end(tmp_path):
    watcher = callback(tmp_path, report=tmp_path / "run.html")
    assert watcher.session is None
    _, module = fit(tmp_path, [watcher])
    assert watcher.session.status.state == "closed"
    assert (tmp_path / "run.html").stat().st_size > 1000
    assert hooks(module) == 0


@pytest.mark.parametrize(("error", "seen"), [(RuntimeError, RuntimeError), (KeyboardInterrupt, SystemExit)])
def test_the_session_is_closed_and_reported_when_training_fails(tmp_path, error, seen):
    watcher = callback(tmp_path, report=tmp_path / "run.html")
    with pytest.raises(seen):
        fit(tmp_path, [watcher], fail=error)
    assert watcher.session.status.state == "closed"
    assert watcher.session.status.step == 2
    assert (tmp_path / "run.html").exists()


def test_training_resumes_from_a_checkpoint_as_without_the_callback(tmp_path):
    trainer, _ = fit(tmp_path, [callback(tmp_path)], max_epochs=1)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    watcher = callback(tmp_path, run=tmp_path / "second.dsrun")
    resumed = [fit(tmp_path, callbacks, ckpt_path=tmp_path / "half.ckpt")[1] for callbacks in ([], [watcher])]
    plain, watched = (module.state_dict() for module in resumed)
    assert set(watcher.session.frame("update")["step"]) == set(range(4))
    assert all(torch.equal(plain[name], watched[name]) for name in plain)


def test_a_checkpoint_is_written_during_the_session(tmp_path):
    watcher = callback(tmp_path)
    fit(tmp_path, [watcher], enable_checkpointing=True)
    saved = next(tmp_path.rglob("*.ckpt"))
    state = torch.load(saved, weights_only=True)
    assert set(state["state_dict"]) == {f"net.{layer}.{name}" for layer in (0, 3) for name in ("weight", "bias")}


def test_an_error_of_ours_never_reaches_the_trainer(tmp_path, caplog):
    watcher = callback(tmp_path, sites="no.such.module")
    trainer, _ = fit(tmp_path, [watcher])
    assert trainer.global_step == 8
    assert sum("matches no module" in record.getMessage() for record in caplog.records) == 1
