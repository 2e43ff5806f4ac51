"""Attributions by graph DeepLIFT in the form that ``explain.shap`` returns."""

from deepseek.errors import DeepseekError
from deepseek.explain.attribution import Attribution
from deepseek.explain.deeplift import deeplift
from deepseek.explain.shapley.game import Game


class NoRuleError(DeepseekError):
    """The model cannot be followed, or has an operation without a rule."""


def by_deeplift(game: Game, *, progress: bool) -> Attribution:
    """Attribute outputs by DeepLIFT, averaged over the background.

    Args:
        game: The model, its inputs and the background.
        progress: Whether a bar shows how far it is.

    Raises:
        NoRuleError: The model cannot be followed, or an operation, which is named, has no rule.
    """
    from tqdm.auto import tqdm

    if game.players.frozen:
        raise NoRuleError("DeepLIFT takes every feature from the background: features that stay need another method.")
    pairs = game.call.rows * game.background_rows
    with tqdm(total=pairs, desc="Explaining", unit="pair", disable=not progress, leave=False) as bar:
        try:
            found = deeplift(game.call, game.background, game.chooser, advance=bar.update)
        except DeepseekError as error:
            raise NoRuleError(str(error)) from error
    single = game.chooser.single
    values = game.players.collected({name: tensor.numpy() for name, tensor in found.values.items()})
    base, outputs = found.base_values.numpy(), found.outputs.numpy()
    return Attribution(
        values_by_input={name: part[..., 0] if single else part for name, part in values.items()},
        data_by_input=game.players.data(game.call),
        base_values=base[:, 0] if single else base,
        outputs=outputs[:, 0] if single else outputs,
        method="deeplift",
        target=game.chooser.description,
        background=game.background_text,
        groups=game.players.groups,
        evaluations=pairs + game.background_rows,
        notes=found.notes,
        **game.players.labels,
    )
