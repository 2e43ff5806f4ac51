"""The errors that DeepSeek Workbench raises on purpose."""


class DeepseekError(Exception):
    """Something was asked that cannot be done; it says what was expected, what arrived, what to do."""


class RunFileError(DeepseekError):
    """A run file is missing, foreign, damaged or written by another version."""
