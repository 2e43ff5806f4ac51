"""Whether tensors have values that Python may look at."""

import torch
from torch._C._functorch import peek_interpreter_stack


def is_traced() -> bool:
    """Whether a forward is being compiled, exported, or transformed by ``torch.func``: nothing may depend on values."""
    return torch.compiler.is_compiling() or peek_interpreter_stack() is not None
