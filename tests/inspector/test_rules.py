"""Each rule finds the model that has the illness and leaves the well one alone."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from transformers import BertConfig, BertForSequenceClassification
from zoo import CNN, GPT, MLP, FunctionalMLP, ResNet18

from deepseek.inspector import Finding, inspect


def findings(tmp_path, model, batch, loss, *, steps=60, lr=1e-3, optimizer=torch.optim.Adam) -> list[Finding]:
    stepper = optimizer(model.parameters(), lr=lr)
    with inspect(model, stepper, every=1, run=tmp_path / "x.dsrun") as session:
        for step in range(steps):
            value = loss(model, *batch(step))
            stepper.zero_grad()
            value.backward()
            stepper.step()
            session.log(loss=value)
    return session.findings


def vectors(_step: int, size: int = 32):
    x = torch.randn(size, 64)
    return x, (x[:, :10]).argmax(1)


def classify(model, x, y):
    return F.cross_entropy(model(x), y)


def test_vanishing_gradient_in_a_sigmoid_stack(tmp_path):
    torch.manual_seed(0)
    found = findings(tmp_path, MLP(depth=8, activation=nn.Sigmoid), vectors, classify)
    finding = next(finding for finding in found if finding.rule == "vanishing_gradient")
    assert finding.site == "layers.0.weight"
    assert finding.severity == "error"
    assert finding.evidence["ratio"] < finding.evidence["threshold"]
    assert finding.evidence["compared_rms"] > 0
    assert "Sigmoid layers without normalisation" in finding.cause
    assert "ReLU" in finding.fix


def test_exploding_gradient_from_a_large_learning_rate(tmp_path):
    def regress(model, x, y):
        return model(x).square().mean()

    torch.manual_seed(0)
    found = findings(tmp_path, nn.Linear(64, 10), vectors, regress, lr=20.0, optimizer=torch.optim.SGD, steps=30)
    finding = next(finding for finding in found if finding.rule == "exploding_gradient")
    assert finding.site == "weight"
    assert finding.evidence["ratio"] > finding.evidence["threshold"]
    assert "learning rate" in finding.fix


def test_a_vanished_gradient_that_recovers_is_not_exploding(tmp_path):
    torch.manual_seed(0)
    model = MLP(depth=8, activation=nn.Sigmoid)

    def batch(step):
        if step == 20:
            for module in model.modules():
                if isinstance(module, nn.Linear):
                    nn.init.xavier_normal_(module.weight, gain=4.0)
        return vectors(step)

    found = findings(tmp_path, model, batch, classify, steps=40)
    assert {finding.rule for finding in found} == {"vanishing_gradient"}


@pytest.mark.parametrize("model", [MLP, FunctionalMLP])
def test_dead_units_of_module_and_functional_rectifiers(model, tmp_path):
    torch.manual_seed(0)
    sick = model(depth=3)
    layer = sick.layers[2] if model is MLP else sick.layers[1]
    name = "layers.2" if model is MLP else "layers.1"
    with torch.no_grad():
        layer.bias[:30] = -100.0
    found = findings(tmp_path, sick, vectors, classify, steps=25)
    finding = next(finding for finding in found if finding.rule == "dead_units")
    assert finding.site == name
    assert finding.evidence["dead_units"] == 30
    assert finding.evidence["units"] == 64
    assert finding.severity == "warning"
    assert {finding.site for finding in found if finding.rule == "dead_units"} == {name}


def test_nonfinite_names_the_first_layer_and_step_of_the_forward_pass(tmp_path):
    class Logarithm(nn.Module):
        def forward(self, x):
            return torch.log(x.clamp(min=0)) if self.broken else x

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), Logarithm(), nn.Linear(32, 10))

    def batch(step):
        model[2].broken = step >= 7
        return vectors(step)

    found = [finding for finding in findings(tmp_path, model, batch, classify, steps=12) if finding.rule == "nonfinite"]
    assert [(finding.site, finding.step) for finding in found] == [("2", 7)]
    assert found[0].evidence["direction"] == "forward"
    assert "output of 1, computed just before, was finite" in found[0].cause


def test_nonfinite_in_the_backward_pass(tmp_path):
    class Root(nn.Module):
        def forward(self, x):
            return (x * self.factor).square().sum(1, keepdim=True).sqrt() * 0 + x

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 10), Root())

    def batch(step):
        model[1].factor = 0.0 if step >= 3 else 1.0
        return vectors(step)

    found = [finding for finding in findings(tmp_path, model, batch, classify, steps=6) if finding.rule == "nonfinite"]
    assert [(finding.site, finding.step) for finding in found] == [("0", 3)]
    assert found[0].evidence["direction"] == "backward"


def test_nonfinite_loss_with_finite_tensors_blames_the_loss(tmp_path):
    torch.manual_seed(0)

    def loss(model, x, y):
        return classify(model, x, y) * 0 + torch.tensor(float("inf"))

    found = findings(tmp_path, MLP(), vectors, loss, steps=3)
    assert [finding.site for finding in found] == ["loss"]
    assert "loss function" in found[0].cause


def kaiming(model):
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight)
    return model


def images(_step):
    x = torch.randn(16, 3, 16, 16)
    return x, (x.mean((1, 2, 3)) > 0).long()


def digits(_step):
    x = torch.randn(32, 1, 8, 8)
    return x, (x.mean((1, 2, 3)) > 0).long()


def tokens(_step):
    x = torch.randint(64, (8, 16))
    return x, x.roll(1, 1)


def language(model, x, y):
    return F.cross_entropy(model(x).flatten(0, 1), y.flatten())


def bert():
    config = BertConfig(
        vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, num_labels=2
    )
    return BertForSequenceClassification(config)


def sentences(step):
    x, _ = tokens(step)
    return x, (x[:, 0] > 32).long()


def classify_text(model, x, y):
    return model(input_ids=x, labels=y).loss


WELL = {
    "bert": (bert, sentences, classify_text),
    "mlp": (lambda: kaiming(MLP(depth=6)), vectors, classify),
    "functional": (FunctionalMLP, vectors, classify),
    "cnn": (CNN, digits, classify),
    "resnet": (lambda: ResNet18(width=8), images, classify),
    "gpt": (lambda: GPT(layers=4, width=32, heads=4, vocabulary=64, length=16), tokens, language),
}


@pytest.mark.parametrize("name", WELL)
def test_well_models_are_not_accused(name, tmp_path):
    torch.manual_seed(0)
    model, batch, loss = WELL[name]
    assert findings(tmp_path, model(), batch, loss, steps=60) == []
