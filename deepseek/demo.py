"""``deepseek demo``: a small network with a planted fault, trained under inspection."""

from pathlib import Path

import torch
from torch import nn

import deepseek
from deepseek.errors import DeepseekError


def faulty_network() -> nn.Sequential:
    """A convolution and six sigmoid layers without normalisation: too deep for its own gradient."""
    layers: list[nn.Module] = [nn.Conv2d(1, 16, 3, padding=1), nn.Sigmoid(), nn.Flatten(), nn.Linear(1024, 64)]
    for _ in range(6):
        layers += [nn.Sigmoid(), nn.Linear(64, 64)]
    return nn.Sequential(*layers, nn.Sigmoid(), nn.Linear(64, 10))


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """The digits of scikit-learn: pictures ``[N, 1, 8, 8]`` scaled to 0..1, and their labels ``[N]``."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DeepseekError(
            'The demo trains on scikit-learn\'s digits: pip install "deepseek-workbench[lab]".'
        ) from error
    data = load_digits()
    return torch.tensor(data.images, dtype=torch.float32)[:, None] / 16, torch.tensor(data.target)


def run(output: Path, steps: int = 200) -> int:
    """Train, print what the inspector found, and write the report.

    Args:
        output: Where to write the report.
        steps: Number of training steps.

    Returns:
        The exit code: 0 when the planted fault was found.
    """
    torch.manual_seed(0)
    pictures, labels = digits()
    model = faulty_network()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    print(f"Training {sum(p.numel() for p in model.parameters()):,} parameters on {len(labels)} digits ...")
    # Each step is observed, whatever that costs, so that the demo finds the same on the slowest machine.
    with deepseek.inspect(model, optimizer, every=1) as session:
        for step in range(steps):
            if step == steps - 1:
                for layer in ("0", str(len(model) - 1)):
                    session.ask_detail(layer)
            batch = torch.randint(len(labels), (64,))
            loss = nn.functional.cross_entropy(model(pictures[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            session.log(loss=loss)
    print(f"{steps} steps, last loss {loss.item():.2f} (guessing gives 2.30): it does not learn. The inspector says:\n")
    for finding in session.findings:
        print(f"[{finding.severity}] {finding.message}\n  cause: {finding.cause}\n  fix:   {finding.fix}\n")
    print(f"Run file: {session.path}\nReport:   {session.report(output)}\n")
    print(
        "The report shows every layer over the steps, the module graph, any two steps side by side, and a closer look\n"
        "at the first and the last layer. In JupyterLab the same views are live, and the training obeys: pause, step,\n"
        "set the learning rate."
    )
    return 0 if session.findings else 1
