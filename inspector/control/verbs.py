"""What may be asked of a session from Python, as methods."""

from abc import abstractmethod
from pathlib import Path

from deepseek.inspector.control.commands import (
    AskDetail,
    BreakOn,
    ClearBreaks,
    Command,
    Explain,
    Pause,
    Resume,
    SetClip,
    SetLearningRate,
    SetWeightDecay,
    Snapshot,
    StepOnce,
    Stop,
    WatchCloser,
)

_WHO = "Python"
"""Who asked, where a command came by a method of the session."""


class Verbs:
    """The verbs; each is a command that the session obeys between two steps."""

    @abstractmethod
    def submit(self, command: Command, who: str) -> None:
        """Have a command applied."""

    def pause(self) -> None:
        """Hold training at the end of the step in progress until ``resume``, ``step_once``, ``stop`` or ``close``.

        Where the main thread trains, Ctrl-C ends a pause as well. In a distributed training all processes wait for the
        one that is paused.
        """
        self.submit(Pause(), _WHO)

    def resume(self) -> None:
        """End the pause."""
        self.submit(Resume(), _WHO)

    def step_once(self) -> None:
        """Let exactly one step pass, then pause; each further call before that adds one."""
        self.submit(StepOnce(), _WHO)

    def stop(self) -> None:
        """End the training loop between two steps by raising ``deepseek.TrainingStopped`` in it.

        The ``with`` block of the session ends quietly then; elsewhere it may be caught like a ``KeyboardInterrupt``.
        """
        self.submit(Stop(), _WHO)

    def set_lr(self, value: float | None = None, *, factor: float | None = None) -> None:
        """Set or scale the learning rate of all parameter groups, from the next step on.

        A learning rate scheduler that computes the rate anew overrides it.

        Raises:
            DeepseekError: Not exactly one of ``value`` and ``factor``, or not a finite number that makes sense.
        """
        self.submit(SetLearningRate(value, factor), _WHO)

    def set_weight_decay(self, value: float | None = None, *, factor: float | None = None) -> None:
        """Set or scale the weight decay of all parameter groups, from the next step on.

        Raises:
            DeepseekError: Not exactly one of ``value`` and ``factor``, or not a finite number that makes sense.
        """
        self.submit(SetWeightDecay(value, factor), _WHO)

    def set_clip(self, max_norm: float | None) -> None:
        """Clip each optimizer's gradients to this L2 norm before every step until the session closes; None ends it.

        Done by ``torch.nn.utils.clip_grad_norm_``. With a closure, as LBFGS needs one, there is nothing to clip yet
        when the step begins, and gradients stay as they are.
        """
        self.submit(SetClip(max_norm), _WHO)

    def snapshot(self, path: str | Path) -> None:
        """Save the states of model and optimizers with ``torch.save``: ``model``, ``optimizers`` and ``steps``.

        The file is private to its owner and appears whole or not at all; an older one of that name is replaced.

        Raises:
            DeepseekError: There is no folder for such a file.
        """
        self.submit(Snapshot(Path(path)), _WHO)

    def break_on(self, condition: str) -> None:
        """Pause when a condition becomes true, at the end of the step that is in progress when that is noticed.

        Steps are looked at where they are stored, about five times a second; observed ones only have columns.

        Args:
            condition: ``"nonfinite"``, ``"finding"`` for any, the name of a rule, or comparisons, such as
                ``"loss > 10"`` or ``"gradient['fc1.weight'].l2 < 1e-8 and step > 100"``.

        Raises:
            DeepseekError: It cannot be read; the sentence says where and why.
        """
        self.submit(BreakOn(condition), _WHO)

    def clear_breaks(self) -> None:
        """Forget all breakpoints."""
        self.submit(ClearBreaks(), _WHO)

    def watch_closer(self, site: str | None) -> None:
        """Look at a layer closely in every step from the next one on; ``detail`` gives the newest look.

        Training waits while its values are counted, which no budget limits. On a layer that is compiled there is
        nothing to see but parameters and gradients; the look says so.

        Args:
            site: Name of a layer, or a glob over names that fits 8 layers at most; they replace those that were watched
                before. None ends it.

        Raises:
            DeepseekError: There is no such layer, or there are too many.
        """
        self.submit(WatchCloser(site), _WHO)

    def explain(self) -> None:
        """Explain the current weights on the inputs that ``explain_with`` was given, while training is paused.

        The thread that trains does it, between two steps; it changes neither the training nor what is recorded of it.

        Raises:
            DeepseekError: Training is not paused, or ``explain_with`` was not called.
        """
        self.submit(Explain(), _WHO)

    def ask_detail(self, site: str) -> None:
        """Look at a layer closely once, in the next step; ``detail`` gives the look afterwards.

        While training is paused, its parameters and their gradients are looked at now already.

        Args:
            site: Name of a layer, or a glob over names that fits 8 layers at most.

        Raises:
            DeepseekError: There is no such layer, or there are too many.
        """
        self.submit(AskDetail(site), _WHO)
