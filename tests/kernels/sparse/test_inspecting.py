"""What is told of the gates of a model, on handwritten digits."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from sklearn.datasets import load_digits
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.kernels import SparseConv2d, SparseFeedForward, active_frac, gate_decisions, gate_summary
from deepseek.kernels.sparse.resnet import GatedResidual


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    return torch.tensor(data.data[:200], dtype=torch.float64) / 16, torch.tensor(data.target[:200])


@pytest.fixture
def model():
    torch.manual_seed(0)
    layers = (nn.Linear(64, 24), SparseFeedForward(24, 48, blocks=4), SparseFeedForward(24, 40, blocks=5))
    return nn.Sequential(*layers, nn.Linear(24, 10)).double().eval()


def test_each_sample_has_its_ratio_its_loss_and_its_entropy(model, digits):
    inputs, targets = digits
    summary = gate_summary(model, inputs, targets)
    table = summary.samples()
    logits = model(inputs).detach()
    np.testing.assert_allclose(table["active_frac"], active_frac(model, inputs))
    np.testing.assert_allclose(table["loss"], F.cross_entropy(logits, targets, reduction="none"))
    np.testing.assert_allclose(table["entropy"], torch.distributions.Categorical(logits=logits).entropy())
    np.testing.assert_allclose(table["2.gate"], gate_decisions(model, inputs)["2.gate"].active_frac)
    assert table["class"].tolist() == targets.tolist()


def test_classes_are_means_over_their_samples(model, digits):
    inputs, targets = digits
    table = gate_summary(model, inputs, targets).classes()
    ratio = active_frac(model, inputs)
    assert table["samples"].tolist() == torch.bincount(targets).tolist()
    np.testing.assert_allclose(table["active_frac"], [ratio[targets == number].mean() for number in range(10)])


def test_the_ratio_is_ranked_against_the_difficulty(model, digits):
    inputs, targets = digits
    summary = gate_summary(model, inputs, targets)
    ratio = summary.active_frac.mean(1)
    for name, values in (("loss", summary.loss), ("entropy", summary.entropy)):
        assert summary.difficulty()[name] == pytest.approx(stats.spearmanr(ratio, values).statistic)


def test_skipped_units_would_have_added_this_much(model, digits):
    inputs, targets = digits
    added = gate_summary(model, inputs, targets).added_frac["1.gate"]
    layer, x = model[1], model[0](inputs).detach()
    output, active = layer(x).detach(), gate_decisions(model, inputs)["1.gate"].active
    hidden = F.gelu(F.linear(x, layer.up_weight, layer.up_bias)).detach()
    for block in range(4):
        units, skipped = slice(12 * block, 12 * (block + 1)), ~active[:, block]
        share = (hidden[:, units] @ layer.down_weight[units].detach())[skipped].norm() / output[skipped].norm()
        assert added[block] == pytest.approx(float(share), rel=1e-10, nan_ok=True)
    assert added.isfinite().sum() >= 2


def test_skipped_channels_would_have_added_this_much(digits):
    torch.manual_seed(0)
    branch = SparseConv2d(1, 12, 6, kernel_sizes=(1, 3, 1), blocks=3)
    pictures = nn.Unflatten(1, (1, 8, 8))
    model = nn.Sequential(pictures, GatedResidual(branch, nn.Conv2d(1, 6, 1)), nn.Flatten(), nn.Linear(384, 10))
    inputs, targets = digits
    model.double().train()(inputs)  # so that batch norm has statistics
    added = gate_summary(model, inputs, targets).added_frac["1.branch.gate"]  # in evaluation, whatever the mode
    model.eval()
    active = gate_decisions(model, inputs)["1.branch.gate"].active
    branch.executor = "masked"
    output = branch(pictures(inputs)).detach()
    for block in range(3):
        opened = active.double()
        opened[:, block] = 1
        handle = branch.gate.register_forward_hook(lambda *_, mask=opened: mask)
        change = (branch(pictures(inputs)).detach() - output)[~active[:, block]]
        handle.remove()
        expected = change.norm() / output[~active[:, block]].norm()
        assert added[block].item() == pytest.approx(float(expected), rel=1e-10, nan_ok=True)


def test_a_block_that_nobody_skips_adds_nothing_that_is_known(model, digits):
    model[1].gate.open_all()
    blocks = gate_summary(model, *digits).blocks().set_index("gate")
    assert blocks.loc["1.gate", "added_frac"].isna().all()
    assert (blocks.loc["1.gate", "open_frac"] == 1).all()
    assert blocks.loc["2.gate", "added_frac"].notna().any()


def test_the_path_of_one_sample_is_what_its_gates_decided(model, digits):
    inputs, targets = digits
    path = gate_summary(model, inputs, targets).path(7).set_index("gate")
    for name, decision in gate_decisions(model, inputs).items():
        assert path.loc[name, "margin"].tolist() == pytest.approx(decision.margin[7].tolist())
        assert path.loc[name, "active_frac"].tolist() == decision.active[7].double().tolist()


def test_tokens_of_a_sample_count_together():
    torch.manual_seed(0)
    model = nn.Sequential(SparseFeedForward(8, 16, blocks=4), nn.Flatten(), nn.Linear(40, 3))
    tokens, targets = torch.randn(6, 5, 8), torch.randint(3, (6,))
    summary = gate_summary(model, tokens, targets)
    decision = gate_decisions(model, tokens)["0.gate"]
    assert summary.active_frac[:, 0].tolist() == decision.active.double().mean((1, 2)).tolist()
    assert summary.path(2)["active_frac"].tolist() == pytest.approx(decision.active[2].double().mean(0).tolist())
    assert summary.added_frac["0.gate"].shape == (4,)


def test_the_model_is_left_alone(model, digits):
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    gate_summary(model, *digits)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in model.modules())


def test_a_loss_of_your_own_and_targets_of_any_kind(model, digits):
    inputs, _ = digits
    targets = torch.rand(200, dtype=torch.float64)
    summary = gate_summary(model, inputs, targets, loss=lambda output, wanted: (output[:, 0] - wanted).square())
    assert "class" not in summary.samples()
    with pytest.raises(DeepseekError, match="whole numbers"):
        summary.classes()
    assert summary.plot().axes[0].get_ylabel() == "samples"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": F.cross_entropy}, "for each sample"),
        ({"model": nn.Linear(64, 10).double()}, "no sparse gates"),
        (
            {"model": nn.Sequential(nn.Linear(64, 10), SparseFeedForward(4, 4, blocks=2))[:1].double()},
            "no sparse gates",
        ),
    ],
)
def test_what_does_not_fit_is_explained(model, digits, change, message):
    inputs, targets = digits
    with pytest.raises(DeepseekError, match=message):
        gate_summary(change.pop("model", model), inputs, targets, **change)


def test_outputs_that_are_no_logits_need_a_loss(digits):
    model = SparseFeedForward(64, 8, blocks=2).double()
    inputs, targets = digits
    with pytest.raises(DeepseekError, match="give `loss`"):
        gate_summary(model, inputs.unflatten(0, (20, 10)), targets)


def test_a_gate_that_does_not_decide_by_sample_is_named(digits):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Unflatten(1, (8, 8)), nn.Flatten(0, 1), SparseFeedForward(8, 8, blocks=2))
    model.append(nn.Unflatten(0, (200, 8))).append(nn.Flatten()).append(nn.Linear(64, 10)).double()
    with pytest.raises(DeepseekError, match=r"2\.gate decides for 1600 rows where there are 200 samples"):
        gate_summary(model, *digits)


def test_there_is_no_such_sample(model, digits):
    with pytest.raises(DeepseekError, match="There is no sample 200; there are 200"):
        gate_summary(model, *digits).plot(sample=200)


def test_the_picture_draws_names_as_they_are(digits, artifacts):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 24), SparseFeedForward(24, 48, blocks=6))
    model.add_module(r"$\frac{1}{<b>$", SparseFeedForward(24, 48, blocks=4))
    model.append(nn.Linear(24, 10)).double()
    figure = gate_summary(model, *digits).plot(sample=3)
    figure.savefig(artifacts / "gates.png")
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert len(titles) == 4
    assert "path of sample 3" in titles[2]
    assert figure.axes[2].get_yticklabels()[1].get_text() == r"$\frac{1}{<b>$.gate"
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_the_text_names_each_gate(model, digits):
    text = str(gate_summary(model, *digits))
    assert text.startswith("200 samples activate ")
    assert "\n  1.gate" in text
