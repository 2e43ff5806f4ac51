"""What a classifier answers, also where a region of its inputs comes from other rows."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from deepseek.errors import DeepseekError
from deepseek.explain.call import Call
from deepseek.explain.output import main_output
from deepseek.explain.shortcuts.regions import Region

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


def probabilities(
    call: Call, region: Region | None = None, donors: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Return the classifier's softmax for every row, ``[N, K]``.

    Args:
        call: The classifier, in evaluation mode, with its inputs.
        region: What each row gets from another one; nothing by default.
        donors: Which row that is, ``[N]``.
    """
    parts = []
    with torch.no_grad():
        for rows in torch.arange(call.rows).split(ROWS_AT_ONCE):
            replaced = None if region is None or donors is None else _mixed(call, region, rows, donors)
            parts.append(torch.softmax(call(rows, replaced).double(), 1).cpu())
    return torch.cat(parts).numpy()


def _mixed(call: Call, region: Region, rows: Tensor, donors: NDArray[np.int64]) -> dict[str, Tensor]:
    mixed = {}
    for name, mask in region.items():
        own = call.tensors[name]
        here, there = rows.to(own.device), torch.from_numpy(donors)[rows].to(own.device)
        mixed[name] = torch.where(mask.to(own.device), own[there], own[here])
    return mixed
