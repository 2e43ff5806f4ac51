"""However a file is damaged: what is read is right, or refused with one kind of error, and soon."""

import random
import time
from pathlib import Path

import pytest
from recorded_runs import detail, exact, records, with_graph

from deepseek.errors import RunFileError
from deepseek.inspector.runfile import RunReader

RUN = with_graph(records(6))


def contents(path: Path) -> list[object]:
    with RunReader(path) as reader:
        tables = [reader.meta, reader.state, reader.sites(), reader.layouts(), reader.scalars(), reader.findings()]
        tables += [
            reader.events(),
            reader.units(),
            reader.counts(),
            reader.graph(),
            reader.details(),
            reader.newest_frames(),
            list(reader.frames("gradient")),
        ]
        return [exact(list(reader.records())), exact(reader.steps()), exact(tables)]


def mutate(data: bytes, rng: random.Random) -> bytes:
    mutant = bytearray(data)
    match rng.randrange(6):
        case 0:
            return bytes(mutant[: rng.randrange(len(mutant))])
        case 1:
            place = rng.randrange(len(mutant))
            mutant[place:place] = rng.randbytes(rng.randint(1, 5000))
        case 2:
            place = rng.randrange(len(mutant))
            del mutant[place : place + rng.randint(1, 5000)]
        case 3:
            mutant[rng.randrange(100)] ^= 1 << rng.randrange(8)
        case 4:
            start, to, size = rng.randrange(len(mutant)), rng.randrange(len(mutant)), rng.randint(1, 4096)
            mutant[to : to + size] = data[start : start + size]
        case _:
            for _ in range(rng.randint(1, 8)):
                mutant[rng.randrange(len(mutant))] = rng.randrange(256)
    return bytes(mutant)


def check_mutants(path: Path, count: int, seed: int) -> None:
    expected, data, rng = contents(path), path.read_bytes(), random.Random(seed)
    refused, slowest = 0, 0.0
    for number in range(count):
        path.write_bytes(mutate(data, rng))
        began = time.process_time()
        try:
            found = contents(path)
        except RunFileError:
            refused += 1
        else:
            assert found == expected, f"mutant {number} of seed {seed} was read wrongly"
        slowest = max(slowest, time.process_time() - began)
    assert slowest < 1.0
    assert refused > count / 3


def test_two_thousand_mutants(write_run):
    check_mutants(write_run(RUN, details=[detail()]), 2_000, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(10))
def test_a_hundred_thousand_mutants(write_run, seed):
    check_mutants(write_run(RUN, details=[detail()]), 10_000, seed=100 + seed)
