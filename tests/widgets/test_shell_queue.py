"""Browsers are heard while a cell trains, also by a Jupyter kernel without subshells."""

import time

import pytest
from kernels_apart import WITHOUT_SUBSHELLS, is_idle, of, started

SETUP = """
import time, torch, deepseek
torch.manual_seed(0)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

def train(steps, pause=0.005):
    with deepseek.inspect(model, optimizer, every=1, run=None) as session:
        for step in range(steps):
            optimizer.zero_grad()
            model(torch.ones(2, 4)).sum().backward()
            optimizer.step()
            time.sleep(pause)
    return session
"""


@pytest.fixture
def kernel(tmp_path):
    with started(WITHOUT_SUBSHELLS) as cell:
        cell.run(f"import os; os.chdir({str(tmp_path)!r})")
        cell.run(SETUP)
        yield cell


def request(kernel, **fields):
    kernel.send("comm_msg", comm_id="page", data={"id": len(kernel.heard), **fields})
    return kernel.until(lambda m: m["msg_type"] == "comm_msg" and m["content"]["comm_id"] == "page")["content"]["data"]


def test_commands_are_obeyed_while_the_cell_runs(kernel):
    cell = kernel.client.execute("train(10**9)")
    kernel.until(lambda m: m["msg_type"] == "execute_input" and of(m, cell))
    time.sleep(1)
    kernel.send("comm_open", comm_id="page", target_name="deepseek.control", data={})
    (session,) = request(kernel, type="sessions")["sessions"]
    for verb, state in (("pause", "paused"), ("resume", "running"), ("pause", "paused")):
        asked = time.monotonic()
        assert request(kernel, type="command", session=session["key"], command={"verb": verb})["error"] is None
        while request(kernel, type="sessions")["sessions"][0]["state"] != state:
            assert time.monotonic() - asked < 5
    held = request(kernel, type="sessions")["sessions"][0]["step"]
    assert request(kernel, type="command", session=session["key"], command={"verb": "step_once"})["error"] is None
    time.sleep(0.5)
    assert request(kernel, type="sessions")["sessions"][0]["step"] == held + 1
    assert request(kernel, type="command", session=session["key"], command={"verb": "stop"})["error"] is None
    kernel.until(lambda m: is_idle(m, cell))
    assert "asked for by the thread" not in str(kernel.heard)


def test_a_request_that_comes_together_with_the_cell_does_not_wait_for_its_end(kernel):
    kernel.run("train(1);")
    for _ in range(5):
        kernel.send("comm_open", comm_id="page", target_name="deepseek.control", data={})
        cell = kernel.client.execute("train(100);")
        request(kernel, type="sessions")
        assert not any(is_idle(m, cell) for m in kernel.heard)
        kernel.until(lambda m, cell=cell: is_idle(m, cell))


def test_all_other_messages_wait_in_their_order(kernel):
    kernel.run("""
order = []
def opened(comm, message):
    order.append("opened")
    comm.on_msg(lambda message: order.append(message["content"]["data"]))
get_ipython().kernel.comm_manager.register_target("other", opened)
""")
    cell = kernel.client.execute("train(300); order.append('trained')")
    kernel.until(lambda m: m["msg_type"] == "execute_input" and of(m, cell))
    time.sleep(1)
    kernel.send("comm_open", comm_id="other", target_name="other", data={})
    kernel.client.execute("order.append('second')")
    kernel.send("comm_msg", comm_id="other", data="told")
    kernel.send("comm_open", comm_id="page", target_name="deepseek.control", data={})
    assert len(request(kernel, type="sessions")["sessions"]) == 1
    third = kernel.client.execute("order.append('third')")
    kernel.until(lambda m: is_idle(m, third))
    assert kernel.run("print(order)").strip() == "['trained', 'opened', 'second', 'told', 'third']"


def test_a_request_that_is_no_request_disturbs_nothing(kernel):
    cell = kernel.client.execute("train(300)")
    kernel.until(lambda m: m["msg_type"] == "execute_input" and of(m, cell))
    time.sleep(1)
    kernel.send("comm_open", comm_id="page", target_name="deepseek.control", data={})
    for data in (None, [], {"type": "eval"}, {"type": "command", "id": 1, "session": "x"}):
        kernel.send("comm_msg", comm_id="page", data=data)
    kernel.send("comm_msg", comm_id="nobody", data={})
    kernel.send("comm_msg")
    assert len(request(kernel, type="sessions")["sessions"]) == 1
    kernel.until(lambda m: is_idle(m, cell))
    assert kernel.run("print('well')").endswith("well\n")


def test_where_there_are_subshells_nothing_is_looked_for_and_inspecting_is_enough_to_be_found(tmp_path):
    with started() as cell:
        cell.run(f"import os; os.chdir({str(tmp_path)!r})")
        cell.run(SETUP)
        assert cell.run("s = train(2); print(s._control._listen, s._control.pending)").strip() == "None False"
        assert cell.run("print('deepseek.control' in get_ipython().kernel.comm_manager.targets)").strip() == "True"
        assert cell.run("import sys; print('bokeh' in sys.modules)").strip() == "False"
