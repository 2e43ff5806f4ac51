"""DeepLIFT on the graph beside shap and captum: completeness gaps of many architectures, and how long it takes.

The contestants take turns on one thread. They explain the same rows and outputs against the same background rows;
``shap.GradientExplainer`` draws its default of 200 samples on the MLP and, because it would take minutes, 50 on the
CNN.
"""

import copy
import time
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

import explained
import torch
from contestants import take_turns
from torch import Tensor, nn

OURS = "deepseek"

BLOCKS = ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1))
"""Width and stride of the blocks of ResNet-18, with the stem for small pictures before them."""


def run() -> dict[str, Any]:
    """Measure everything.

    Returns:
        Under ``gaps``, by tool and architecture: the largest completeness gap in float32, relative to the largest
        distance from the base value, as number and as text; the number is missing where the tool raises. Under
        ``speed``, by model: median milliseconds of each tool and its time as a multiple of ours; relative to the
        largest value, by how much ``shap.DeepExplainer`` differs from ours in float64, and how far each is in float32
        from itself in float64.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the peers
            return {"gaps": _gaps(), "speed": _speeds()}
    finally:
        torch.set_num_threads(threads)


def _gaps() -> dict[str, dict[str, dict[str, Any]]]:
    tools = {OURS: _our_gap, "shap.DeepExplainer": _shap_gap, "captum DeepLiftShap": _captum_gap}
    return {tool: {name: _attempt(gap, name) for name in explained.CASES} for tool, gap in tools.items()}


def _attempt(gap: Callable[[explained.Case], float], name: str) -> dict[str, Any]:
    try:
        found = gap(explained.make(name, torch.float32))
    except _TokenIdsError:
        return {"text": "takes no token ids"}
    except Exception as error:  # noqa: BLE001  a tool's failure is a result
        return {"text": f"raises {type(error).__name__}"}
    return {"gap": found, "text": f"{found:.0e}"}


def _our_gap(case: explained.Case) -> float:
    return explained.relative_gap(explained.explain(case.model, case.inputs, case.background))


def _shap_gap(case: explained.Case) -> float:
    return _gap_of(case, _shap_deep)


def _captum_gap(case: explained.Case) -> float:
    return _gap_of(case, _captum_deep)


def _gap_of(case: explained.Case, attribute: Callable[[nn.Module, Tensor, Tensor], Tensor]) -> float:
    ((name, background),) = case.background.items()
    if not background.is_floating_point():
        raise _TokenIdsError
    x = case.inputs[name] if isinstance(case.inputs, dict) else case.inputs
    model = _Positional(case.model, name) if isinstance(case.inputs, dict) else case.model
    with torch.no_grad():
        distance = model(x.clone()) - model(background.clone()).mean(0)
    values = attribute(model, x, background)
    return float((distance - values.flatten(1, -2).sum(1)).abs().max() / distance.abs().max())


class _TokenIdsError(Exception):
    """The tool explains floating-point inputs only."""


class _Positional(nn.Module):
    """Takes its only input by position, as the peers give it."""

    def __init__(self, model: nn.Module, name: str) -> None:
        super().__init__()
        self.model, self.name = model, name

    def forward(self, x: Tensor) -> Any:
        return self.model(**{self.name: x})


def _captum_deep(model: nn.Module, x: Tensor, background: Tensor) -> Tensor:
    from captum.attr import DeepLiftShap

    outputs = range(model(x.clone()).shape[1])
    return torch.stack([DeepLiftShap(model).attribute(x, background, target=place) for place in outputs], -1)


def _shap_deep(model: nn.Module, x: Tensor, background: Tensor) -> Tensor:
    import shap

    return torch.as_tensor(shap.DeepExplainer(model, background).shap_values(x, check_additivity=False))


def _speeds() -> dict[str, dict[str, float]]:
    torch.manual_seed(0)
    mlp = _speed(_mlp(), torch.randn(20, 20), torch.randn(50, 20), samples=200, rounds=15)
    cnn = _speed(_resnet(), torch.randn(2, 3, 32, 32), torch.randn(10, 3, 32, 32), samples=50, rounds=3)
    return {
        "MLP, 20 rows x 10 outputs x 50 background rows": mlp,
        "ResNet-18, 2 rows x 10 outputs x 10 background rows": cnn,
    }


def _speed(model: nn.Module, x: Tensor, background: Tensor, samples: int, rounds: int) -> dict[str, float]:
    import shap

    contestants: dict[str, Callable[[], Tensor]] = {
        OURS: lambda: _ours(model, x, background),
        "shap.DeepExplainer": lambda: _shap_deep(model, x, background),
        "shap.GradientExplainer": lambda: shap.GradientExplainer(model, background).shap_values(x, nsamples=samples),
    }
    apart = _apart(model, x, background)  # the first calls are not like the others
    times = take_turns({name: lambda call=call: _milliseconds(call) for name, call in contestants.items()}, rounds)
    medians = {name: median(measured) for name, measured in times.items()}
    ratios = {
        f"{name}_over_ours": median(a / b for a, b in zip(times[name], times[OURS], strict=True))
        for name in contestants
        if name != OURS
    }
    return {f"{name}_ms": value for name, value in medians.items()} | ratios | apart


def _apart(model: nn.Module, x: Tensor, background: Tensor) -> dict[str, float]:
    double = copy.deepcopy(model).double(), x.double(), background.double()
    ours, theirs = _ours(*double), _shap_deep(*double)
    return {
        "difference_float64": _distance(theirs, ours),
        "deepseek_rounding_float32": _distance(_ours(model, x, background), ours),
        "shap.DeepExplainer_rounding_float32": _distance(_shap_deep(model, x, background), theirs),
    }


def _ours(model: nn.Module, x: Tensor, background: Tensor) -> Tensor:
    return torch.as_tensor(explained.explain(model, x, background).values["input"])


def _distance(values: Tensor, reference: Tensor) -> float:
    return float((values - reference).abs().max() / reference.abs().max())


def _milliseconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1e3


def _mlp() -> nn.Module:
    layers = [nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)]
    return nn.Sequential(*layers).eval()


class _Block(nn.Module):
    """As in ResNet-18; every ReLU is a module of its own and works on a copy, without which shap would be wrong."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, 1, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        alike = before == after and stride == 1
        self.skip = nn.Identity() if alike else nn.Conv2d(before, after, 1, stride, bias=False)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.body(x) + self.skip(x))


def _resnet() -> nn.Module:
    widths = [64, *(width for width, _ in BLOCKS[:-1])]
    blocks = [_Block(a, b, stride) for a, (b, stride) in zip(widths, BLOCKS, strict=True)]
    stem = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    model = nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))
    with torch.no_grad():
        for _ in range(5):
            model(torch.randn(16, 3, 32, 32))
    return model.eval()
