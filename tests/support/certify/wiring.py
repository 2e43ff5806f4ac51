"""Models that are wired in unusual ways: shared, tied, frozen, nested, parametrised, routed."""

import copy

import torch
import torch.nn.functional as F
from certify.case import Case, adamw, call, classify, energy, momentum, sgd
from torch import nn
from torch.nn.utils import parametrizations
from zoo import MLP, Splitter


class Reused(nn.Module):
    """One layer called three times."""

    def __init__(self):
        super().__init__()
        self.enter = nn.Linear(8, 16)
        self.again = nn.Sequential(nn.Linear(16, 16), nn.Tanh())
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        x = self.enter(x)
        for _ in range(3):
            x = self.again(x)
        return self.head(x)


class Shared(nn.Module):
    """One module under three names."""

    def __init__(self):
        super().__init__()
        shared = nn.Sequential(nn.Linear(16, 16), nn.LayerNorm(16), nn.ReLU())
        self.first, self.second = shared, shared
        self.towers = nn.ModuleList([shared, nn.Linear(16, 5)])

    def forward(self, x):
        return self.towers[1](self.towers[0](self.second(x)) + self.first(x))


class TiedAutoencoder(nn.Module):
    """The decoder uses the encoder's weight, transposed."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(16, 4)
        self.bias = nn.Parameter(torch.zeros(16))

    def forward(self, x):
        return F.linear(self.encoder(x).relu(), self.encoder.weight.t(), self.bias) - x


class Siamese(nn.Module):
    """One encoder for both of a pair."""

    def __init__(self):
        super().__init__()
        self.encoder = MLP(1, 16, 8)

    def forward(self, left, right):
        return F.pairwise_distance(self.encoder(left), self.encoder(right))


class Nested(nn.Module):
    """Dictionaries of dictionaries of modules, and a parameter list."""

    def __init__(self):
        super().__init__()
        self.tree = nn.ModuleDict(
            {side: nn.ModuleDict({kind: nn.Linear(16, 8) for kind in ("value", "gate")}) for side in ("left", "right")}
        )
        self.scales = nn.ParameterList([torch.ones(8), torch.full((8,), 0.5)])
        self.table = nn.ParameterDict({"shift": torch.zeros(8)})

    def forward(self, x):
        sides = zip(self.tree.values(), self.scales, strict=True)
        return sum(side["value"](x).tanh() * side["gate"](x) * scale for side, scale in sides) + self.table["shift"]


class Flip(nn.Module):
    """A module without parameters."""

    def forward(self, x):
        return x.flip(-1) * 2


class InPlace(nn.Module):
    """Changes each layer's output in place, after the layer's hooks have run."""

    def __init__(self):
        super().__init__()
        self.enter, self.middle, self.head = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 5)

    def forward(self, x):
        x = self.enter(x)
        x += 1
        x = x.relu_()
        x = self.middle(x)
        x.mul_(0.5).clamp_(-1, 1)
        return self.head(x)


class Frozen(nn.Module):
    """A frozen body, a head of which only the biases learn."""

    def __init__(self):
        super().__init__()
        self.body = MLP(2, 16, 16).requires_grad_(False)
        self.head = MLP(1, 16, 5)
        for name, parameter in self.head.named_parameters():
            parameter.requires_grad_(name.endswith("bias"))

    def forward(self, x):
        return self.head(self.body(x))


class Thawing(nn.Module):
    """A body that is frozen for the first two forwards and its head from the third on."""

    def __init__(self):
        super().__init__()
        self.body, self.head = MLP(1, 16, 16), nn.Linear(16, 5)
        self.body.requires_grad_(False)
        self.calls = 0

    def forward(self, x):
        self.calls += self.training
        if self.training and self.calls == 3:
            self.body.requires_grad_(True)
            self.head.weight.requires_grad_(False)
        return self.head(self.body(x))


class Averaged(nn.Module):
    """A student that follows its own moving average, kept inside the model, and a buffer that counts."""

    def __init__(self):
        super().__init__()
        self.student = MLP(1, 16, 8)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self, x):
        if self.training:
            self.calls += 1
            self._follow()
        return self.student(x) - self.teacher(x + 0.1 * torch.randn_like(x))

    @torch.no_grad()
    def _follow(self):
        for slow, fast in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            slow.lerp_(fast, 0.1)


class Experts(nn.Module):
    """Each sample visits the expert that a gate chooses for it."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(16, 4)
        self.experts = nn.ModuleList(MLP(1, 16, 16) for _ in range(4))
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        weight, chosen = self.gate(x).softmax(-1).max(-1)
        mixed = torch.zeros_like(x)
        for index, expert in enumerate(self.experts):
            rows = (chosen == index).nonzero().flatten()
            if len(rows):
                mixed = mixed.index_add(0, rows, (expert(x[rows]) * weight[rows, None]).to(mixed.dtype))
        return self.head(mixed)


def form(name: str) -> nn.Module:
    return nn.Sequential(nn.Linear(16, 8), nn.Tanh(), Splitter(name))


def spectral() -> nn.Module:
    return nn.Sequential(parametrizations.spectral_norm(nn.Linear(16, 16)), nn.ReLU(), nn.Linear(16, 5))


def weight_normed() -> nn.Module:
    layers = [parametrizations.weight_norm(nn.Linear(16, 16)), nn.ReLU()]
    return nn.Sequential(*layers, torch.nn.utils.weight_norm(nn.Linear(16, 5)))


def orthogonal() -> nn.Module:
    return nn.Sequential(parametrizations.orthogonal(nn.Linear(16, 16)), nn.Tanh(), nn.Linear(16, 5))


def contrast(model: nn.Module, batch) -> torch.Tensor:
    """Near pairs and far pairs, drawn at random."""
    distance = call(model, batch)
    return torch.where(torch.rand_like(distance) < 0.5, distance**2, F.relu(1 - distance) ** 2).mean()


def rows() -> torch.Tensor:
    return torch.randn(8, 16)


CASES = {
    "module called three times": Case(Reused, lambda: torch.randn(8, 8), optimizer=torch.optim.Adamax, part="again"),
    "module under three names": Case(Shared, rows, part="first"),
    "tied autoencoder": Case(TiedAutoencoder, rows, (energy,), momentum, part="encoder"),
    "siamese": Case(Siamese, lambda: (rows(), rows()), (contrast,), part="encoder"),
    "nested dictionaries": Case(Nested, rows, (classify,), part="tree.left.value"),
    "module without parameters": Case(
        lambda: nn.Sequential(nn.Linear(16, 16), Flip(), nn.Identity(), nn.Linear(16, 5)), rows, part="1"
    ),
    "in-place operations": Case(InPlace, rows, optimizer=momentum, part="middle"),
    "frozen parts": Case(Frozen, rows, optimizer=adamw, part="head"),
    "frozen, then thawed": Case(Thawing, rows, part="head"),
    "moving average inside": Case(
        Averaged,
        rows,
        (energy,),
        part="student",
        unfit={"FSDP2": "torch mixes no sharded and whole parameters in one operation"},
    ),
    "mixture of experts": Case(Experts, rows, part="gate"),
    "tuple output": Case(lambda: form("tuple"), rows, (energy,), part="0"),
    "dict output": Case(lambda: form("dict"), rows, (energy,), part="0"),
    "dataclass output": Case(lambda: form("dataclass"), rows, (energy,), part="0"),
    "spectral norm": Case(spectral, rows, optimizer=sgd, part="2"),
    "weight norm": Case(weight_normed, rows, optimizer=momentum, part="0"),
    "orthogonal weight": Case(orthogonal, rows, optimizer=sgd, part="2"),
}
