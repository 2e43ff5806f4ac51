"""DeepSeek Workbench: see what flows through a PyTorch model while it trains, explain it, fix it."""

from deepseek.errors import DeepseekError, RunFileError

__all__ = ["DeepseekError", "RunFileError"]
