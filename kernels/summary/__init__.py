"""One-pass tensor summaries: the columns, the op with its native code, and the way from the device to the host."""

from deepseek.kernels.summary.columns import COLUMNS, ROW_BYTES
from deepseek.kernels.summary.general import Row
from deepseek.kernels.summary.live_rows import count_live_rows
from deepseek.kernels.summary.native import implementation
from deepseek.kernels.summary.op import summarize_row, summarize_update_row
from deepseek.kernels.summary.reference import reference_row
from deepseek.kernels.summary.squares import square_sum_of, square_sums
from deepseek.kernels.summary.summary import Summary, summarize
from deepseek.kernels.summary.transfer import HostCopy, Transfer, start_transfer
from deepseek.kernels.summary.units import Bounds, count_units

__all__ = [
    "COLUMNS",
    "ROW_BYTES",
    "Bounds",
    "HostCopy",
    "Row",
    "Summary",
    "Transfer",
    "count_live_rows",
    "count_units",
    "implementation",
    "reference_row",
    "square_sum_of",
    "square_sums",
    "start_transfer",
    "summarize",
    "summarize_row",
    "summarize_update_row",
]
