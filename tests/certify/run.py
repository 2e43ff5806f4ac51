"""``make certify``: runs the whole matrix and writes docs/non-interference.md."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))


def main() -> int:
    """Run every cell; return 1 when one is not bit-equal."""
    from certify import matrix, page
    from certify.ranks import Ranks
    from tqdm.auto import tqdm

    start, results, trainings = time.perf_counter(), {}, 0
    with Ranks(2) as ranks:
        for cell in tqdm(list(matrix.cells()), desc="certify", unit="cell"):
            results[cell.model, cell.mode] = matrix.differences(cell, ranks)
            trainings += len(cell.watches)
    print(page.write(results, trainings))
    print(f"{page.PATH} written after {time.perf_counter() - start:.0f} s.")
    return int(any(results.values()))


if __name__ == "__main__":
    sys.exit(main())
