"""The certificate is worth something: what disturbs a training is found and named."""

import logging
import random
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
import torch
from certify.matrix import MODES
from certify.models import MODELS
from certify.trial import first_difference, nobody, session
from torch import nn


def watched_and(disturb):
    """A session beside which ``disturb(model, stack)`` does its work."""

    @contextmanager
    def watch(model, optimizers):
        with session(every=1)(model, optimizers) as log, ExitStack() as stack:
            disturb(model, stack)
            yield log

    return watch


def on_output(action):
    """Run ``action`` whenever the first linear layer has computed."""

    def disturb(model, stack):
        layer = next(module for module in model.modules() if isinstance(module, nn.Linear))

        def hook(*_):
            action()

        stack.enter_context(layer.register_forward_hook(hook))

    return watched_and(disturb)


def on_gradient(action):
    """Run ``action(parameter)`` when the gradient of the last parameter is there."""

    def disturb(model, stack):
        parameter = list(model.parameters())[-1]
        stack.enter_context(parameter.register_post_accumulate_grad_hook(action))

    return watched_and(disturb)


def leave_a_hook(model, _stack):
    model.register_forward_hook(lambda *_: None)


def leave_an_attribute(model, _stack):
    model.layers.seen = True


def flip_a_bit(parameter):
    parameter.grad[0].copy_(torch.nextafter(parameter.grad[0], torch.tensor(torch.inf)))


SABOTEURS = {
    "draws from torch": (on_output(lambda: torch.rand(1)), "loss of step 0"),
    "draws from Python": (on_output(random.random), "random state of python"),
    "draws from numpy": (on_output(np.random.random), "random state of numpy"),
    "flips the last bit of a gradient": (on_gradient(flip_a_bit), "gradient of layers.4.bias after step 0"),
    "drops a gradient": (on_gradient(lambda p: setattr(p, "grad", None)), "gradient of layers.4.bias after step 0"),
    "leaves a hook": (watched_and(leave_a_hook), "hooks of module"),
    "leaves an attribute": (watched_and(leave_an_attribute), "attributes of module layers"),
    "prints": (on_output(lambda: print("hello")), "said: hello"),
    "logs": (on_output(lambda: logging.getLogger("deepseek").warning("hello")), "said: hello"),
}


@pytest.mark.parametrize("name", SABOTEURS)
def test_a_saboteur_is_found(name):
    watch, found = SABOTEURS[name]
    assert first_difference(MODELS["MLP"], MODES["plain"], watch).startswith(found)


def test_two_bare_trainings_do_not_differ():
    assert first_difference(MODELS["CNN"], MODES["plain"], nobody) is None


def test_the_scaler_skips_the_step_that_overflows():
    training = MODES["GradScaler"].prepare(MODELS["MLP"])
    before = [parameter.detach().clone() for parameter in training.model.parameters()]
    MODES["GradScaler"].step(training, 1)
    assert all(torch.equal(a, b) for a, b in zip(before, training.model.parameters(), strict=True))
    assert training.tools["scaler"].get_scale() == 2.0**9
