"""One-pass tensor summaries: the columns, the op with its native code, and the way from the device to the host."""

from deepseek.kernels.summary.columns import COLUMNS, ROW_BYTES
from deepseek.kernels.summary.general import Row
from deepseek.kernels.summary.native import implementation
from deepseek.kernels.summary.op import count_live_rows, summarize_difference_row, summarize_row
from deepseek.kernels.summary.reference import reference_row
from deepseek.kernels.summary.summary import Summary, summarize
from deepseek.kernels.summary.transfer import Transfer, start_transfer

__all__ = [
    "COLUMNS",
    "ROW_BYTES",
    "Row",
    "Summary",
    "Transfer",
    "count_live_rows",
    "implementation",
    "reference_row",
    "start_transfer",
    "summarize",
    "summarize_difference_row",
    "summarize_row",
]
