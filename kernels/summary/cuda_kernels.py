"""The summary row of a tensor on a GPU, in Triton's language; ``cuda`` starts these kernels.

Sums are accumulated in float64, relative to a number near the mean of a program's first elements, so that a spread that
is small beside the mean is not lost.
"""

import triton
import triton.language as tl

from deepseek.kernels.summary import reference

PARTS = tl.constexpr(10)
"""Numbers that each program hands on: how many of its elements are finite, the number that its sums are relative to,
the sum and the sum of squares, the least and the greatest; how many are zero, positive, subnormal and overflow in
float16."""

SMALLEST_NORMAL16 = tl.constexpr(reference.SMALLEST_NORMAL16)
OVERFLOW16 = tl.constexpr(reference.OVERFLOW16)


@triton.jit(do_not_specialize=["numel", "share"])
def gather(values, old, parts, rows, numel, share, tile: tl.constexpr):
    """Summarise ``values``; in a second row of programs ``values - old``, after which ``old`` is ``values``.

    Args:
        values: ``[numel]``, of a floating-point type.
        old: As ``values``.
        parts: ``[1 or 2, PARTS, programs]`` float64: what each program found; left alone by a single one.
        rows: ``[1 or 2, 12]`` float64, written by a single program.
        numel: Number of elements.
        share: How many of them each program reads, a multiple of ``tile``.
        tile: Elements that are read at a time.
    """
    wide: tl.constexpr = tl.float64 if values.dtype.element_ty == tl.float64 else tl.float32
    infinity: tl.constexpr = float("inf")
    which = tl.program_id(1)
    begin = tl.program_id(0).to(tl.int64) * share
    end = tl.minimum(begin + share, numel)
    near = tl.zeros((), dtype=tl.float64)
    seen = tl.zeros((), dtype=tl.int32)
    total, squares = tl.zeros((tile,), dtype=tl.float64), tl.zeros((tile,), dtype=tl.float64)
    low, high = tl.full((tile,), infinity, dtype=wide), tl.full((tile,), -infinity, dtype=wide)
    count, zeros = tl.zeros((tile,), dtype=tl.int32), tl.zeros((tile,), dtype=tl.int32)
    positive, small, large = tl.zeros_like(zeros), tl.zeros_like(zeros), tl.zeros_like(zeros)
    for start in range(begin, end, tile):
        place = start + tl.arange(0, tile)
        inside = place < end
        read = tl.load(values + place, mask=inside, other=0.0)
        x = read.to(wide)
        if which == 1:
            before = tl.load(old + place, mask=inside, other=0.0)
            tl.store(old + place, read, mask=inside)
            x -= before.to(wide)
        size = tl.abs(x)
        finite = inside & (size < infinity)
        if seen == 0:
            seen = tl.sum(finite.to(tl.int32), 0)
            near = tl.sum(tl.where(finite, x, 0.0).to(tl.float64), 0) / tl.maximum(seen, 1)
        apart = tl.where(finite, x.to(tl.float64) - near, 0.0)
        total += apart
        squares += apart * apart
        low = tl.where(finite, tl.minimum(low, x), low)
        high = tl.where(finite, tl.maximum(high, x), high)
        count += finite.to(tl.int32)
        zeros += (inside & (size == 0)).to(tl.int32)
        positive += (finite & (x > 0)).to(tl.int32)
        small += (inside & (size > 0) & (size < SMALLEST_NORMAL16)).to(tl.int32)
        large += (finite & (size >= OVERFLOW16)).to(tl.int32)
    number = tl.sum(count.to(tl.float64), 0)
    apart_sum, apart_squares = tl.sum(total, 0), tl.sum(squares, 0)
    least, greatest = tl.min(low, 0).to(tl.float64), tl.max(high, 0).to(tl.float64)
    zero, above = tl.sum(zeros.to(tl.float64), 0), tl.sum(positive.to(tl.float64), 0)
    under, over = tl.sum(small.to(tl.float64), 0), tl.sum(large.to(tl.float64), 0)
    programs = tl.num_programs(0)
    if programs == 1:
        some = tl.maximum(number, 1.0)
        spread = tl.maximum(apart_squares - apart_sum * apart_sum / some, 0.0)
        mean = near + apart_sum / some
        own_squares = apart_squares + near * (2 * apart_sum + number * near)
        _store_row(
            rows + which * 12, number, mean, spread, own_squares, least, greatest, zero, above, under, over, numel
        )
    else:
        to = parts + which * PARTS * programs + tl.program_id(0)
        tl.store(to, number)
        tl.store(to + programs, near)
        tl.store(to + 2 * programs, apart_sum)
        tl.store(to + 3 * programs, apart_squares)
        tl.store(to + 4 * programs, least)
        tl.store(to + 5 * programs, greatest)
        tl.store(to + 6 * programs, zero)
        tl.store(to + 7 * programs, above)
        tl.store(to + 8 * programs, under)
        tl.store(to + 9 * programs, over)


@triton.jit(do_not_specialize=["numel", "programs"])
def merge(parts, rows, numel, programs, most: tl.constexpr):
    """Make the rows of what the programs of ``gather`` found; a program makes one.

    Args:
        parts: As ``gather`` leaves them.
        rows: ``[1 or 2, 12]`` float64.
        numel: Number of elements.
        programs: Number of programs.
        most: A power of two, at least as large.
    """
    infinity: tl.constexpr = float("inf")
    which = tl.program_id(0)
    place = tl.arange(0, most)
    inside = place < programs
    at = parts + which * PARTS * programs + place
    count = tl.load(at, mask=inside, other=0.0)
    near = tl.load(at + programs, mask=inside, other=0.0)
    apart_sum = tl.load(at + 2 * programs, mask=inside, other=0.0)
    apart_squares = tl.load(at + 3 * programs, mask=inside, other=0.0)
    least = tl.min(tl.load(at + 4 * programs, mask=inside, other=infinity), 0)
    greatest = tl.max(tl.load(at + 5 * programs, mask=inside, other=-infinity), 0)
    zero = tl.sum(tl.load(at + 6 * programs, mask=inside, other=0.0), 0)
    above = tl.sum(tl.load(at + 7 * programs, mask=inside, other=0.0), 0)
    under = tl.sum(tl.load(at + 8 * programs, mask=inside, other=0.0), 0)
    over = tl.sum(tl.load(at + 9 * programs, mask=inside, other=0.0), 0)
    own_squares = tl.sum(apart_squares + near * (2 * apart_sum + count * near), 0)
    some = tl.maximum(count, 1.0)
    means = near + apart_sum / some
    number = tl.sum(count, 0)
    mean = tl.sum(count * means, 0) / tl.maximum(number, 1.0)
    away = tl.where(count > 0, means - mean, 0.0)
    spread = tl.sum(tl.maximum(apart_squares - apart_sum * apart_sum / some, 0.0) + count * away * away, 0)
    _store_row(rows + which * 12, number, mean, spread, own_squares, least, greatest, zero, above, under, over, numel)


@triton.jit
def _store_row(to, count, mean, spread, squares, low, high, zeros, positive, small, large, numel):
    """Write the columns, in the order of ``COLUMNS``."""
    undefined = tl.where(count > 0, 0.0, float("nan")).to(tl.float64)
    some = tl.maximum(count, 1.0)
    l2 = tl.sqrt(squares)
    tl.store(to, mean + undefined)
    tl.store(to + 1, tl.sqrt(spread / some) + undefined)
    tl.store(to + 2, l2)
    tl.store(to + 3, l2 / tl.sqrt(some) + undefined)
    tl.store(to + 4, tl.where(count > 0, low, undefined))
    tl.store(to + 5, tl.where(count > 0, high, undefined))
    tl.store(to + 6, tl.where(count > 0, tl.maximum(-low, high), undefined))
    tl.store(to + 7, zeros / numel)
    tl.store(to + 8, positive / numel)
    tl.store(to + 9, numel - count)
    tl.store(to + 10, small / numel)
    tl.store(to + 11, large / numel)
