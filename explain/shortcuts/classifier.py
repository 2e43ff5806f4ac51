"""What a classifier answers, also when its inputs are changed, and what it would answer had it learned nothing."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from deepseek.errors import DeepseekError
from deepseek.explain.call import Call
from deepseek.explain.output import main_output
from deepseek.explain.shortcuts.estimates import Numbers

ROWS_AT_ONCE = 256


class Classifier(nn.Module):
    """A model whose output is one number for each class, ``[B, K]``.

    A single number a row is taken for the log odds of class 1.

    Args:
        model: The model.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Call the model.

        Raises:
            DeepseekError: Its output is not that of a classifier.
        """
        output = main_output(self.model(*args, **kwargs))
        if output.dim() == 1:
            output = output[:, None]
        if output.dim() != 2 or not output.shape[1]:
            raise DeepseekError(
                "The model must give a number for each class, [B, K], or one number a row, the log odds of class 1; "
                f"its output is {tuple(output.shape)}."
            )
        return torch.cat([-output / 2, output / 2], dim=1) if output.shape[1] == 1 else output


class Shuffled(nn.Module):
    """A control: a model with the numbers of each of its parameters in another order. The model itself is left alone.

    Its architecture and the sizes of its weights are those of the model; what it has learned is gone.

    Args:
        model: The model.
        seed: Of the orders.

    Source: Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018: randomisation of the parameters.
    """

    def __init__(self, model: nn.Module, seed: int) -> None:
        super().__init__()
        self.model = model
        chance = torch.Generator().manual_seed(seed)
        self._shuffled = {
            name: own.detach().reshape(-1)[torch.randperm(own.numel(), generator=chance).to(own.device)].view_as(own)
            for name, own in model.named_parameters()
        }

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model with the other parameters."""
        return functional_call(self.model, self._shuffled, args, kwargs)


Change = Callable[[Tensor], Mapping[str, Tensor]]
"""Takes row numbers ``[n]`` and gives the inputs that are changed for them, by name ``[n, ...]``."""


def probabilities(call: Call, change: Change | None = None) -> Numbers:
    """Return the classifier's softmax for every row, ``[N, K]``.

    Args:
        call: The classifier, in evaluation mode, with its inputs.
        change: What is done to the inputs; nothing by default.
    """
    with torch.no_grad():
        outputs = [
            call(rows, None if change is None else change(rows)).double().cpu()
            for rows in torch.arange(call.rows).split(ROWS_AT_ONCE)
        ]
    return torch.softmax(torch.cat(outputs), 1).numpy()
