"""What a live view costs a training: the same session with the view connected and not, in turns."""

import json

import pytest
from kernels_apart import started

TURNS = """
import json, time, torch, deepseek
from statistics import median, quantiles
torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Sequential(*[part for _ in range(10) for part in (torch.nn.Linear(256, 256), torch.nn.ReLU())])
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
x = torch.randn(64, 256)


def step():
    optimizer.zero_grad()
    model(x).square().mean().backward()
    optimizer.step()


def turn(steps):
    begun = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - begun) / steps


def connect(view, connected):
    view._feed.close()
    view._feed.close = session.subscribe(view._feed._collect) if connected else lambda: None


def spread(ratios):
    low, middle, high = quantiles(ratios, n=4)
    return {{"low": round(low, 4), "median": round(middle, 4), "high": round(high, 4)}}


with deepseek.inspect(model, optimizer, every=5, run="cost.dsrun") as session:
    view = session.widget()
    while view.charts is None:
        turn(20)
    steps = max(1, int({seconds} / turn(200)))
    times = {{True: [], False: []}}
    for pair in range({pairs}):
        for connected in ((True, False), (False, True))[pair % 2]:
            connect(view, connected)
            turn(steps // 4)
            times[connected].append(turn(steps))
    bare = times[False]
    facts = {{
        "steps": steps,
        "step_ms": round(1000 * median(bare), 3),
        "with_view": spread([on / off for on, off in zip(times[True], bare)]),
        "without_twice": spread([one / other for one, other in zip(bare[::2], bare[1::2])]),
        "messages": view.snapshot["message"]["sequence"],
    }}
print(json.dumps(facts))
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_live_view_slows_training_by_less_than_three_percent(tmp_path):
    """``without_twice`` tells what the machine does by itself: read the result beside it."""
    with started() as cell:
        cell.run(f"import os; os.chdir({str(tmp_path)!r})")
        facts = json.loads(cell.run(TURNS.format(pairs=40, seconds=1.0), seconds=500).splitlines()[-1])
    print(json.dumps(facts))
    assert facts["messages"] > 40
    assert facts["with_view"]["median"] < 1.03
