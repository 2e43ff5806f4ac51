"""Models with unusual tensors, gradients or randomness."""

import random

import numpy as np
import torch
import torch.nn.functional as F
from certify.case import Case, adamw, call, classify, energy, momentum, sgd
from torch import nn
from zoo import MLP


class Words(nn.Module):
    """The mean of embeddings whose gradients are sparse."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(30, 16, sparse=True)
        self.head = nn.Linear(16, 5)

    def forward(self, tokens):
        return self.head(self.table(tokens).mean(1))


class Factors(nn.Module):
    """Matrix factorisation: nothing but embeddings with sparse gradients."""

    def __init__(self):
        super().__init__()
        self.users, self.items = nn.Embedding(20, 4, sparse=True), nn.Embedding(30, 4, sparse=True)

    def forward(self, users, items):
        return (self.users(users) * self.items(items)).sum(-1)


class Bag(nn.Module):
    """An embedding bag with sparse gradients beside a dense one."""

    def __init__(self):
        super().__init__()
        self.sparse = nn.EmbeddingBag(30, 16, mode="sum", sparse=True)
        self.dense = nn.EmbeddingBag(30, 16, mode="mean")
        self.head = nn.Linear(16, 5)

    def forward(self, tokens):
        return self.head(self.sparse(tokens) + self.dense(tokens))


class VAE(nn.Module):
    """Returns the reconstruction and the parameters of the code that was sampled."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = MLP(1, 16, 8), nn.Sequential(nn.Linear(4, 16), nn.Sigmoid())

    def forward(self, x):
        mean, logvar = self.encoder(x).chunk(2, -1)
        return self.decoder(mean + torch.randn_like(mean) * (logvar / 2).exp()), mean, logvar


class Straight(torch.autograd.Function):
    """A sign whose gradient passes straight through where the input is small."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sign()

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * (x.abs() < 1)


class Binary(nn.Module):
    """Binary activations by a function with a gradient of its own."""

    def __init__(self):
        super().__init__()
        self.enter, self.head = nn.Linear(16, 16), nn.Linear(16, 5)

    def forward(self, x):
        return self.head(Straight.apply(self.enter(x)))


class Fourier(nn.Module):
    """A complex weight on the spectrum of the input."""

    def __init__(self):
        super().__init__()
        self.enter = nn.Linear(16, 16)
        self.filter = nn.Parameter(torch.randn(9, dtype=torch.complex64))

    def forward(self, x):
        return torch.fft.irfft(torch.fft.rfft(self.enter(x)) * self.filter, n=16)


class StochasticDepth(nn.Module):
    """Leaves layers out by Python's generator and adds noise from numpy's."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(4))
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        for layer in self.layers:
            if not self.training or random.random() < 0.7:
                x = x + layer(x).relu()
        return self.head(x + float(np.random.normal()))  # noqa: NPY002 - the generator that users' code shares


class Graph(nn.Module):
    """Two rounds of message passing over random edges."""

    def __init__(self):
        super().__init__()
        self.message, self.update, self.head = nn.Linear(32, 16), nn.GRUCell(16, 16), nn.Linear(16, 5)

    def forward(self, nodes, edges):
        for _ in range(2):
            sent = self.message(torch.cat([nodes[edges[0]], nodes[edges[1]]], -1)).relu()
            nodes = self.update(torch.zeros(nodes.shape).index_add(0, edges[1], sent.float()), nodes)
        return self.head(nodes)


class Adversaries(nn.Module):
    """A generator and a discriminator."""

    def __init__(self):
        super().__init__()
        self.generator, self.discriminator = MLP(1, 8, 16), MLP(1, 16, 1)

    def forward(self, real):
        fake = self.generator(torch.randn(len(real), 8))
        return self.discriminator(real), self.discriminator(fake)


def judge(model: nn.Module, batch) -> torch.Tensor:
    real, fake = call(model, batch)
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def fool(model: nn.Module, batch) -> torch.Tensor:
    return F.softplus(-call(model, batch)[1]).mean()


def penalised(model: nn.Module, batch) -> torch.Tensor:
    """The gradient of the output with respect to the input should have norm one; needs second derivatives."""
    batch = batch.requires_grad_()
    output = call(model, batch)
    (slope,) = torch.autograd.grad(output.sum(), batch, create_graph=True)
    return output.mean() + (slope.norm(dim=1) - 1).square().mean()


def evidence(model: nn.Module, batch) -> torch.Tensor:
    decoded, mean, logvar = call(model, batch)
    return F.mse_loss(decoded, batch) - 0.01 * (1 + logvar - mean**2 - logvar.exp()).mean()


def rows() -> torch.Tensor:
    return torch.randn(8, 16)


def words() -> torch.Tensor:
    return torch.randint(30, (8, 4))


def edges() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(8, 16), torch.randint(8, (2, 20))


NO_SPARSE_CLIPPING = dict.fromkeys(("clipping by norm", "clipping by value"), "torch clips no sparse gradients")

CASES = {
    "sparse embedding": Case(Words, words, optimizer=sgd, part="head", unfit=NO_SPARSE_CLIPPING),
    "matrix factorisation": Case(
        Factors,
        lambda: (torch.randint(20, (8,)), torch.randint(30, (8,))),
        (energy,),
        lambda parameters: torch.optim.SparseAdam(list(parameters), lr=1e-2),
        part="users",
        unfit=NO_SPARSE_CLIPPING,
    ),
    "embedding bag": Case(Bag, words, optimizer=sgd, part="head", unfit=NO_SPARSE_CLIPPING),
    "VAE": Case(VAE, rows, (evidence,), part="decoder"),
    "GAN": Case(Adversaries, rows, (judge, fool), part="generator"),
    "autograd function": Case(Binary, rows, optimizer=momentum, part="enter"),
    "gradient penalty": Case(
        lambda: MLP(1, 16, 1, nn.Softplus),
        rows,
        (penalised,),
        part="layers.0",
        unfit={"reentrant checkpointing": "torch.autograd.grad does not work through it"},
    ),
    "float64": Case(lambda: MLP(2, 16).double(), lambda: rows().double(), part="layers"),
    "bfloat16 weights": Case(lambda: MLP(2, 16).bfloat16(), lambda: rows().bfloat16(), optimizer=sgd, part="layers"),
    "complex weight": Case(
        Fourier,
        rows,
        (energy,),
        part="enter",
        unfit=dict.fromkeys(
            ("GradScaler", "GradScaler float16", "clipping by value"), "torch has it for real numbers only"
        ),
    ),
    "stochastic depth": Case(StochasticDepth, rows, (classify,), adamw, part="head"),
    "graph network": Case(Graph, edges, part="message"),
}
