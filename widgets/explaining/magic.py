"""The magic ``%deepseek_explain model inputs``: explains samples of a model as they are chosen in a widget."""

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.text import printable
from deepseek.widgets.commands import CommandParser
from deepseek.widgets.magic_words import MagicError, evaluated, split_words, typed
from deepseek.widgets.shell import notebook_shell

if TYPE_CHECKING:
    from deepseek.widgets.explaining.interactive import InteractiveExplanation


def parser() -> CommandParser:
    """Return the parser of ``%deepseek_explain``."""
    words = CommandParser(
        prog="%deepseek_explain",
        description="Explain samples of a PyTorch model in a widget, in which sample, method, background and output "
        "can be chosen. What is chosen later is computed between cells.",
    )
    words.add_argument("model", nargs="?", metavar="MODEL", help="the model: a name or a quoted expression")
    words.add_argument("inputs", nargs="?", metavar="INPUTS", help="the samples, as deepseek.explain.shap takes them")
    words.add_argument("--background", metavar="ROWS", help="rows that stand for absent features (default: zeros)")
    words.add_argument("--target", metavar="T", help="what else to explain beside single outputs, such as a function")
    words.add_argument("--method", metavar="M", help="the first method (default: auto), or attention")
    words.add_argument("--sample", type=int, default=0, metavar="N", help="the first sample (default: 0)")
    words.add_argument("--tokenizer", metavar="TOK", help="a tokenizer of transformers, for the texts of tokens")
    words.add_argument("--name", default="explained", help="variable for the widget (default: explained)")
    return words


@magics_class
class ExplainMagics(Magics):
    """The magic of one shell, and the widgets that it made."""

    shell: InteractiveShell

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._widgets: dict[str, InteractiveExplanation] = {}

    @line_magic
    def deepseek_explain(self, line: str) -> None:  # noqa: D102 - the parser writes it
        try:
            arguments = parser().parse(split_words(line))
            if arguments is not None:
                self._explain(arguments)
        except DeepseekError as error:
            raise MagicError(printable(error)) from None

    deepseek_explain.__doc__ = parser().format_help()

    def stop(self) -> None:
        """End what the widgets compute."""
        for widget in self._widgets.values():
            widget.close()
        self._widgets.clear()

    def _explain(self, arguments: Namespace) -> None:
        from deepseek.widgets.explaining.interactive import InteractiveExplanation
        from deepseek.widgets.explaining.question import Explainer

        if not arguments.name.isidentifier():
            raise DeepseekError(f"--name must be the name of a variable, got {arguments.name!r}.")
        model = typed(self.shell, arguments.model, nn.Module, "model")
        names = ("inputs", "background", "target", "tokenizer")
        inputs, background, target, tokenizer = (self._value(arguments, name) for name in names)
        explainer = Explainer(model, inputs, background, target, tokenizer)
        first = explainer.first(arguments.method, arguments.sample)
        widget = InteractiveExplanation(model, explainer, first, self.shell)
        if arguments.name in self._widgets:
            self._widgets.pop(arguments.name).close()
        self._widgets[arguments.name] = self.shell.user_ns[arguments.name] = widget
        if notebook_shell() is not None:
            widget._ipython_display_()
        widget.begin()
        if notebook_shell() is None:
            print(widget.result or widget.progress["said"])

    def _value(self, arguments: Namespace, name: str) -> Any:
        text = getattr(arguments, name)
        if text is None and name == "inputs":
            raise DeepseekError("Expected the name of the inputs after that of the model, got none.")
        return None if text is None else evaluated(self.shell, text, name)
