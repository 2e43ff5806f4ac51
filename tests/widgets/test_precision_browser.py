"""The map of precision and the gates in the report, in a real Chromium."""

import pytest
from accessible import violations
from decided import train_decided
from payloads import SAMPLE
from synthetic import SyntheticRecording

from deepseek.widgets.report import write_report

pytestmark = pytest.mark.browser

MAP, EVIDENCE = "[data-testid=precision-map]", "[data-testid=precision-evidence]"

DRAWN = {"precision": f"{MAP} thead th", "gates": "[data-testid=gate-row]"}
"""What each tab has when it is drawn, which is later than it is clicked."""


def show(page, tab):
    page.click(f"[data-testid=tab-{tab}]")
    page.locator(DRAWN[tab]).first.wait_for()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with train_decided(tmp_path_factory.mktemp("decided") / "a.dsrun") as session:
        yield session


@pytest.fixture
def opened(run, open_page, tmp_path):
    """Return a function that opens the report of the run at a tab."""

    def open_it(tab, scheme="light"):
        page = open_page(write_report(run, tmp_path / "run.html"), scheme, bypass_csp=True)
        page.wait_for_selector(".deepseek-ready", state="attached")
        show(page, tab)
        return page

    return open_it


def wait_for_chosen(page, label):
    """Wait until this decision is chosen and its evidence told; drawing follows the key."""
    page.wait_for_selector(f"[data-testid=decision][aria-pressed=true][aria-label^='{label}']")
    page.locator(EVIDENCE).get_by_text(label).wait_for()


def test_the_map_shows_each_decision_with_loss_scale_and_skipped_steps(opened, run):
    page = opened("precision")
    table = run.frame("precision")
    steps = table["step"].unique().tolist()
    heads = [f"step {s}\nepoch {e}" for e, s in enumerate(steps)]
    assert page.locator(f"{MAP} thead th").all_inner_texts()[1:] == heads
    for layer in table["layer"].unique():
        row = page.locator(f"{MAP} tbody tr", has=page.get_by_role("rowheader", name=layer, exact=True))
        expected = table.loc[table["layer"] == layer, "dtype"].tolist()
        assert [each.get_attribute("data-dtype") for each in row.locator("button").all()] == expected
    scales = [f"{int(scale):,}" for scale in table.drop_duplicates("step")["loss_scale"]]
    assert page.locator(f"{MAP} tfoot tr").first.locator("td").all_inner_texts() == scales
    skipped = page.locator("[data-testid=precision-skipped] td").all_inner_texts()
    assert sum(map(int, skipped)) == (run.frame("event")["kind"] == "step_skipped").sum()


def test_a_click_on_a_decision_tells_its_evidence(opened, run):
    page = opened("precision")
    page.get_by_role("button", name="camera, step 0: float32").click()
    wait_for_chosen(page, "camera, step 0")
    (camera,) = run.frame("precision").query("layer == 'camera' and step == 0").to_dict("records")
    text = page.inner_text(EVIDENCE)
    assert camera["reason"] in text
    assert f"{100 * camera['overflow_frac']:.3g} % of its {camera['overflow_in']}" in text
    assert page.get_attribute("[data-testid=layer-lines]", "data-layer") == "camera"


def test_arrow_keys_go_from_decision_to_decision(opened):
    page = opened("precision")
    wait_for_chosen(page, "camera, step 16")
    page.locator("[data-testid=decision][tabindex='0']").focus()
    page.keyboard.press("ArrowLeft")
    wait_for_chosen(page, "camera, step 8")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    wait_for_chosen(page, "stuck.gate, step 8")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    wait_for_chosen(page, "stuck.gate, step 0")
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
    assert page.locator("[data-testid=decision][tabindex='0']").count() == 1


def test_the_table_twin_tells_why_of_the_chosen_revision(opened, run):
    page = opened("precision")
    page.get_by_role("button", name="head, step 8").click()
    wait_for_chosen(page, "head, step 8")
    page.click("[data-testid=precision-table] summary")
    rows = page.locator("[data-testid=precision-table] tbody tr")
    rows.first.wait_for()
    expected = run.frame("precision").query("step == 8")
    assert rows.locator("th").all_inner_texts() == expected["layer"].tolist()
    assert rows.locator("td:last-child").all_inner_texts() == expected["reason"].tolist()


def test_gates_show_their_newest_ratio_and_the_constant_one_is_marked(opened, run):
    page = opened("gates")
    newest = run.frame("gate").groupby("site")["active_frac"].last()
    for name in ("mlp.gate", "stuck.gate"):
        row = page.locator("[data-testid=gate-row]", has_text=name)
        assert row.locator("td").first.inner_text() == f"{100 * newest[name]:.0f} %"
        assert row.locator("[data-testid=gate-constant]").is_visible() == (name == "stuck.gate")
    blocks = page.locator("[data-testid=gate-row]", has_text="stuck.gate").get_by_role("img")
    assert blocks.get_attribute("aria-label") == "100 %, 0.0 %, 100 %, 0.0 %"
    colours = blocks.locator("span").evaluate_all("all => all.map((each) => getComputedStyle(each).backgroundColor)")
    assert colours[0] == colours[2] != colours[1] == colours[3]
    assert page.locator("[data-testid=gates-map] canvas").evaluate("canvas => [canvas.height, canvas.width]") == [2, 24]


def test_gates_are_chosen_by_keyboard_and_on_the_map(opened):
    page = opened("gates")
    page.locator("[data-testid=gate-row] button", has_text="stuck.gate").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-testid=layer-lines][data-layer='stuck.gate']")
    page.locator("[data-testid=gates-map] canvas").click(position={"x": 30, "y": 10})
    page.wait_for_selector("[data-testid=layer-lines][data-layer='mlp.gate']")
    page.locator("[data-testid=gates-map] canvas").hover(position={"x": 2, "y": 10})
    assert "mlp.gate, step 0: " in page.inner_text(".ds-gates .ds-hint")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_nothing_against_them(opened, scheme, artifacts):
    page = opened("precision", scheme)
    page.click("[data-testid=precision-table] summary")
    page.screenshot(path=artifacts / f"precision-{scheme}.png", full_page=True)
    assert violations(page, page.locator("body")) == []
    show(page, "gates")
    page.screenshot(path=artifacts / f"gates-{scheme}.png", full_page=True)
    assert violations(page, page.locator("body")) == []


def test_where_half_precision_harms_it_is_marked(open_page, tmp_path):
    with train_decided(tmp_path / "half.dsrun", "half", epochs=1) as session:
        page = open_page(write_report(session, tmp_path / "run.html"))
    show(page, "precision")
    camera = page.get_by_role("button", name="camera, step 0: float16, which does harm")
    assert camera.get_attribute("data-harm") is not None
    assert "would become infinite\n100 %" in page.inner_text(EVIDENCE)


def test_names_are_data(open_page, tmp_path):
    name = SAMPLE[0].replace(".", "_")
    with train_decided(tmp_path / "hostile.dsrun", epochs=2, stuck=name) as session:
        page = open_page(write_report(session, tmp_path / "run.html"))
    for tab in ("gates", "precision"):
        show(page, tab)
        assert f"{name}.gate" in page.locator("[role=tabpanel]:not([hidden])").inner_text() or len(name) > 30
    assert page.evaluate("window.hacked") is None
    assert page.locator("img, a, iframe").locator("visible=true").count() == 0


def test_there_are_no_such_tabs_without_gates_and_decisions(open_page, tmp_path):
    recording = SyntheticRecording(blocks=1)
    recording.advance(3)
    page = open_page(write_report(recording, tmp_path / "run.html"))
    page.wait_for_selector(".deepseek-ready", state="attached")
    tabs = [each.get_attribute("data-testid") for each in page.get_by_role("tab").all()]
    assert tabs == ["tab-steps", "tab-graph", "tab-flow", "tab-compare"]
    page.focus("[data-testid=tab-steps]")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("[data-testid=tab-compare][aria-selected=true]")
