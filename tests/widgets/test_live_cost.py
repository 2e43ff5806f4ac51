"""What the live view itself costs a training: the same session with and without it, in turns."""

import json

import pytest
from kernels_apart import started

TURNS = """
import json, time, torch, deepseek
from statistics import median
torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Sequential(*[part for _ in range(10) for part in (torch.nn.Linear(256, 256), torch.nn.ReLU())])
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
x = torch.randn(64, 256)


def step():
    optimizer.zero_grad()
    model(x).square().mean().backward()
    optimizer.step()


def turn(seconds):
    count, begun = 0, time.perf_counter()
    while time.perf_counter() < begun + seconds:
        step()
        count += 1
    return (time.perf_counter() - begun) / count


def ratios(session, rounds, seconds):
    for _ in range(rounds):
        widget = session.widget()
        turn(seconds / 2)
        shown = turn(seconds)
        widget._feed.close()
        turn(seconds / 2)
        yield shown / turn(seconds)


with deepseek.inspect(model, optimizer, run="cost.dsrun") as session:
    turn(3)
    found = sorted(ratios(session, {rounds}, 1.0))
print(json.dumps({{"median": median(found), "all": [round(each, 3) for each in found]}}))
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_live_view_slows_training_by_less_than_three_percent(tmp_path):
    with started() as cell:
        cell.run(f"import os; os.chdir({str(tmp_path)!r})")
        found = json.loads(cell.run(TURNS.format(rounds=15), seconds=300).splitlines()[-1])
    print(json.dumps(found))
    assert found["median"] < 1.03
