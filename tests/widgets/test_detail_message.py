"""A closer look at a layer on its way to the browser, and what the report shows of it."""

import math
import re

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from recorded_runs import detail
from torch import nn

import deepseek
from deepseek.inspector.detail import EXPONENTS
from deepseek.widgets.detail_message import detail_packet
from deepseek.widgets.feed import Feed
from deepseek.widgets.live import LiveWidget
from deepseek.widgets.report import write_report


def arrays(packet):
    found, offset = {}, 0
    for info in packet.message["arrays"]:
        count = int(np.prod(info["shape"]))
        dtype = {"int32": "<i4", "float32": "<f4"}[info["dtype"]]
        found[info["name"]] = np.frombuffer(packet.payload, dtype, count, offset).reshape(info["shape"])
        offset += 4 * count
    assert offset == len(packet.payload)
    return found


def test_a_message_holds_what_was_seen():
    look = detail()
    packet = detail_packet(look)
    message, found = packet.message, arrays(packet)
    assert (message["site"], message["step"], message["calls"]) == ("layers.0", 1, 2)
    assert (message["forward_ms"], message["backward_ms"]) == (0.25, None)
    for row, histogram in enumerate(look.histograms):
        assert np.array_equal(found["counts"][row], histogram.counts)
        assert np.array_equal(found["formats"][row], histogram.formats.ravel())
        start = EXPONENTS.index(message["first_exponent"])
        width = found["exponents"].shape[1]
        assert np.array_equal(found["exponents"][row], histogram.exponents[start : start + width])
        assert found["exponents"][row].sum() == histogram.exponents.sum()
    assert np.array_equal(found["units"], [look.units.active, look.units.saturated])
    assert np.array_equal(found["picture"], look.picture.values)


@pytest.fixture
def trained(tmp_path):
    """Return a session that has looked at two of its layers, and a step to train on."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 40), nn.ReLU(), nn.Linear(40, 3))
    with torch.no_grad():
        model[0].bias[:7] = -math.inf
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)

    def step():
        optimizer.zero_grad()
        model(torch.ones(4, 6)).sum().backward()
        optimizer.step()

    with deepseek.inspect(model, optimizer, run=tmp_path / "x.dsrun") as session:
        session.ask_detail("0")
        session.ask_detail("1")
        for _ in range(3):
            step()
        session.flush()
        yield session, step


def test_a_feed_tells_the_newest_look_at_each_layer(trained):
    session, step = trained
    feed = Feed(session, lambda: (session.records(), session.graph(), session.details()))
    sites = [packet.message.get("site") for packet in feed.extras()]
    assert sites[-2:] == ["0", "1"]
    assert feed.extras() == []
    session.watch_closer("2")
    for _ in range(4):
        step()
        session.flush()
    looks = [packet.message for packet in feed.extras() if packet.message["type"] == "detail"]
    assert [(look["site"], look["step"], look["watched"]) for look in looks] == [("2", 6, True)]
    feed.close()


def test_a_page_that_is_loaded_anew_gets_every_look(trained):
    session, _ = trained
    widget = LiveWidget(session)
    widget.details = []
    widget._handle_msg({"content": {"data": {"method": "request_state"}}})
    assert [each["message"]["site"] for each in widget.details] == ["0", "1"]


@pytest.mark.browser
def test_the_report_shows_looks_to_pointer_and_keyboard(trained, open_page, tmp_path):
    session, _ = trained
    page = open_page(write_report(session, tmp_path / "run.html"))
    page.wait_for_selector(".deepseek-ready", state="attached")
    page.select_option("[data-testid=layer-select]", label="1 ReLU")
    count = sum(unit == 0 for unit in session.detail("1").units.active)
    never = re.compile(f"^{count} of 40 units were never active")
    expect(page.locator("[data-testid=units-summary]")).to_have_text(never)
    assert page.is_disabled("[data-testid=layer-ask]")
    assert "saved figures" in page.get_attribute("[data-testid=layer-ask]", "title")
    page.focus("[data-testid=units]")
    page.keyboard.press("End")
    assert page.text_content("[data-testid=unit-told]").startswith("Unit 39: ")
    page.keyboard.press("Home")
    assert page.text_content("[data-testid=unit-told]") == "Unit 0: active in 0.0 % of 4 samples"
    box = page.locator("[data-testid=units]").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.99, box["y"] + 2)
    assert page.text_content("[data-testid=unit-told]").startswith("Unit 8: ")
    page.select_option("[data-testid=layer-select]", label="0 Linear")
    page.wait_for_selector("[data-testid=picture]:visible")
    bias = page.locator("[data-testid=histogram]").filter(has_text=re.compile("^bias")).first
    assert "7 NaN or infinite" in bias.text_content()
    bias.locator("summary").click()
    rows = bias.locator("details tbody tr").all_text_contents()
    assert len(rows) == 64
    page.select_option("[data-testid=layer-select]", label="2 Linear")
    page.wait_for_selector("[data-testid=detail]", state="hidden")
