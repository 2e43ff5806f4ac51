"""The columns of the matrix: ways of training in one process."""

from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any

import torch
from certify.case import Case, call, tensors
from certify.trial import Mode, Training
from torch import nn
from torch.utils.checkpoint import checkpoint

MICRO_STEPS = 3
OVERFLOWING_STEP = 1

SMALL = ("MLP", "functional MLP", "CNN", "U-Net", "in-place operations", "module called three times", "dict output")
SMALL += ("tied autoencoder", "self-attention", "GPT, tied")
"""Models for the modes that take seconds."""


def prepare(case: Case) -> Training:
    model = case.build()
    return Training(case, model, [case.optimizer(model.parameters())])


def plain(training: Training, _step: int = 0) -> torch.Tensor:
    (optimizer,) = training.optimizers
    optimizer.zero_grad()
    loss = training.loss()
    loss.backward()
    optimizer.step()
    return loss


def accumulated(training: Training, _step: int) -> torch.Tensor:
    (optimizer,) = training.optimizers
    optimizer.zero_grad()
    for _ in range(MICRO_STEPS):
        loss = training.loss() / MICRO_STEPS
        loss.backward()
    optimizer.step()
    return loss


def autocast(training: Training, _step: int) -> torch.Tensor:
    (optimizer,) = training.optimizers
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        loss = training.loss()
    loss.backward()
    optimizer.step()
    return loss


def with_scaler(case: Case) -> Training:
    training = prepare(case)
    training.tools["scaler"] = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=2)
    return training


def scaled(training: Training, step: int) -> torch.Tensor:
    return _scaled(training, step, training.loss())


def scaled_float16(training: Training, step: int) -> torch.Tensor:
    with torch.autocast("cpu", torch.float16):
        loss = training.loss()
    return _scaled(training, step, loss)


def _scaled(training: Training, step: int, loss: torch.Tensor) -> torch.Tensor:
    """Step through the scaler; one of the steps overflows and is skipped."""
    (optimizer,), scaler = training.optimizers, training.tools["scaler"]
    optimizer.zero_grad()
    scaler.scale(loss * float("inf") if step == OVERFLOWING_STEP else loss).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(_dense(training.model), 1.0)
    scaler.step(optimizer)
    scaler.update()
    return loss


def _dense(model: nn.Module) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p.grad is not None and not p.grad.is_sparse]


def clipped_by_norm(training: Training, _step: int) -> torch.Tensor:
    (optimizer,) = training.optimizers
    optimizer.zero_grad()
    loss = training.loss()
    loss.backward()
    training.notes.append(nn.utils.clip_grad_norm_(training.model.parameters(), 0.1))
    optimizer.step()
    return loss


def clipped_by_value(training: Training, _step: int) -> torch.Tensor:
    (optimizer,) = training.optimizers
    optimizer.zero_grad()
    loss = training.loss()
    loss.backward()
    nn.utils.clip_grad_value_(training.model.parameters(), 0.01)
    optimizer.step()
    return loss


def checkpointed(case: Case, *, reentrant: bool) -> Training:
    """Recompute a part of the model in the backward pass."""
    training = prepare(case)
    part = training.model.get_submodule(case.part)
    forward = part.forward

    def recomputed(*args: Any, **kwargs: Any) -> Any:
        anchor = torch.zeros((), requires_grad=True)  # the reentrant kind needs an input with a gradient
        return checkpoint(lambda _, *given: forward(*given, **kwargs), anchor, *args, use_reentrant=reentrant)

    part.forward = recomputed
    return training


def with_two_optimizers(case: Case) -> Training:
    model = case.build()
    return Training(case, model, [case.optimizer(group) for group in case.groups(model)])


def together(training: Training, _step: int) -> torch.Tensor:
    """One backward pass, then both optimizers step."""
    for optimizer in training.optimizers:
        optimizer.zero_grad()
    loss = training.loss()
    loss.backward()
    for optimizer in training.optimizers:
        optimizer.step()
    return loss


def in_turn(training: Training, _step: int) -> torch.Tensor:
    """A loss, a backward pass and a step for each optimizer, as adversaries train."""
    for turn, optimizer in enumerate(training.optimizers):
        optimizer.zero_grad()
        loss = training.loss(turn)
        loss.backward()
        optimizer.step()
    return loss


def with_lbfgs(case: Case) -> Training:
    model = case.build()
    return Training(case, model, [torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)])


def by_closure(training: Training, _step: int) -> torch.Tensor:
    """The optimizer evaluates loss and gradients several times in one step."""
    (optimizer,) = training.optimizers

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = training.loss()
        loss.backward()
        return loss

    return optimizer.step(closure)


def with_evaluation(training: Training, step: int) -> torch.Tensor:
    """Evaluate after each step, without gradients and in inference mode."""
    loss = plain(training)
    training.model.eval()
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            training.notes += tensors(call(training.model, training.case.batch()))
    training.model.train()
    return loss


def with_generation(training: Training, _step: int) -> torch.Tensor:
    """Generate a sequence after each step."""
    loss = plain(training)
    training.model.eval()
    with torch.no_grad():
        training.notes.append(training.case.generate(training.model))
    training.model.train()
    return loss


def with_exceptions(training: Training, step: int) -> torch.Tensor:
    """An interrupt in the middle of a forward pass, later an error in the middle of a backward pass."""
    if step == 1:
        module = _middle([module for module in training.model.modules() if next(module.children(), None) is None])
        with suppress(KeyboardInterrupt), module.register_forward_pre_hook(partial(_raise, KeyboardInterrupt())):
            training.loss().backward()
    if step == 2:
        parameter = _middle([p for p in training.model.parameters() if p.requires_grad])
        with suppress(ZeroDivisionError), parameter.register_hook(partial(_raise, ZeroDivisionError())):
            training.loss().backward()
    return plain(training)


def _middle(things: list[Any]) -> Any:
    return next(islice(things, len(things) // 2, None))


def _raise(error: BaseException, *_: Any) -> None:
    raise error


def compiled(case: Case, backend: str) -> Training:
    torch._dynamo.reset()
    training = prepare(case)
    training.model = torch.compile(training.model, backend=backend)
    return training


def _is_small(name: str, _case: Case) -> bool:
    return name in SMALL


MODES: dict[str, Mode] = {
    "plain": Mode(plain, prepare, steps=7),
    "accumulation": Mode(accumulated, prepare),
    "autocast bfloat16": Mode(autocast, prepare),
    "GradScaler": Mode(scaled, with_scaler),
    "GradScaler float16": Mode(scaled_float16, with_scaler),
    "clipping by norm": Mode(clipped_by_norm, prepare),
    "clipping by value": Mode(clipped_by_value, prepare),
    "checkpointing": Mode(plain, partial(checkpointed, reentrant=False)),
    "reentrant checkpointing": Mode(plain, partial(checkpointed, reentrant=True)),
    "two optimizers": Mode(together, with_two_optimizers),
    "optimizers in turn": Mode(in_turn, with_two_optimizers),
    "LBFGS": Mode(by_closure, with_lbfgs),
    "evaluation": Mode(with_evaluation, prepare),
    "generation": Mode(with_generation, prepare, fits=lambda _, case: case.generate is not None),
    "exceptions": Mode(with_exceptions, prepare, steps=5),
    "two sessions": Mode(plain, prepare, watches=("two sessions",)),
    "compile aot_eager": Mode(plain, partial(compiled, backend="aot_eager"), fits=_is_small),
    "compile inductor": Mode(plain, partial(compiled, backend="inductor"), fits=lambda name, _: name == "MLP"),
}
"""Every mode by its name."""
