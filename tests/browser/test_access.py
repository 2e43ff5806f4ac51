"""Everybody can use the views: no violation of the rules of axe-core, all by keyboard, each chart with a table."""

import pytest
from accessible import violations
from lab_pages import (
    PREPARE,
    begin_training,
    bring_to_front,
    interrupt,
    open_notebook,
    set_theme,
    write_notebook,
)
from synthetic import SyntheticRecording

from deepseek.widgets.report import write_report

pytestmark = pytest.mark.browser

FILE = "access.ipynb"

FOCUSABLE = "button:not(:disabled), select:not(:disabled), input:not(:disabled), summary, a[href], [tabindex='0']"

TO_REACH = """(root, focusable) => [...root.querySelectorAll(focusable)].filter((element) =>
  element.checkVisibility({ visibilityProperty: true }) && element.tabIndex >= 0
  && !(element.type === 'radio' && !element.checked) && !element.closest('.bk-Figure')
).map((element, index) => (element.dataset.reach = String(index)))"""

FOCUSED = "() => document.activeElement?.dataset.reach ?? null"

NEXT_FRAME = "() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))"

TABS = "[role=tab]"

DRAWN = {
    "tab-steps": "[data-testid=heatmap] canvas",
    "tab-graph": "[data-testid=graph-stage][data-arranged]",
    "tab-flow": "[data-testid=flow-row]",
    "tab-compare": "[data-testid=compare-plots][data-layers]",
}
"""What a tab shows once it is drawn."""


def choose_tabs(root):
    """Choose each tab in turn; give its name when it is drawn."""
    for tab in root.locator(TABS).all():
        name = tab.get_attribute("data-testid")
        tab.click()
        root.locator(DRAWN.get(name, "[role=tabpanel]:not([hidden])")).first.wait_for(timeout=20_000)
        yield name


def violations_on_tabs(page, root):
    """What axe-core has against an element, on each of its tabs."""
    found = []
    for _ in choose_tabs(root):
        root.evaluate("root => root.querySelectorAll('details').forEach((each) => { each.open = true; })")
        page.evaluate(NEXT_FRAME)
        found += violations(page, root)
    return sorted(set(found))


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    recording = SyntheticRecording(blocks=3)
    recording.advance(60)
    recording.close()
    return write_report(recording, tmp_path_factory.mktemp("access") / "run.html")


@pytest.fixture
def opened(request, browser, report):
    """The report, in the light theme unless told otherwise; its own policy would keep out the checker too."""
    scheme = getattr(request, "param", "light")
    context = browser.new_context(bypass_csp=True, color_scheme=scheme, viewport={"width": 1200, "height": 1500})
    page = context.new_page()
    page.goto(report.as_uri())
    page.locator("[data-testid=heatmap] canvas").first.wait_for(timeout=30_000)
    yield page
    context.close()


@pytest.fixture(scope="module")
def notebook(lab, shared):
    """A notebook that can train, with the views in a cell too, open in the page of the file."""
    open_notebook(lab, shared.page, write_notebook(lab, FILE, PREPARE, "train(120, shown=True)"))
    return shared


@pytest.fixture
def training(notebook):
    """The notebook trains, with the views in a cell and in the panel."""
    page = notebook.page
    notebook.errors.clear()
    notebook.panel = begin_training(page, FILE)
    notebook.widget = page.locator(".jp-OutputArea [data-testid=deepseek-widget]")
    notebook.widget.locator("[data-testid=heatmap] canvas").first.wait_for(timeout=60_000)
    yield notebook
    bring_to_front(page, FILE)
    interrupt(page)


@pytest.mark.parametrize("opened", ["light", "dark"], indirect=True)
def test_axe_has_nothing_against_the_report(opened):
    assert violations_on_tabs(opened, opened.locator("body")) == []


@pytest.mark.parametrize(
    ("host", "theme"),
    [
        ("panel", "Dark"),
        ("widget", "Light"),
        pytest.param("panel", "Light", marks=pytest.mark.slow),
        pytest.param("widget", "Dark", marks=pytest.mark.slow),
    ],
)
def test_axe_has_nothing_against_panel_and_widget(training, host, theme):
    """Both hosts show the same views, which the report has in both themes."""
    set_theme(training.page, theme)
    assert violations_on_tabs(training.page, getattr(training, host)) == []
    set_theme(training.page, "Light")


def test_every_control_of_the_report_is_reached_by_tab(opened):
    page = opened
    root = page.locator("[data-testid=deepseek-widget]")
    for _ in choose_tabs(root):
        wanted = set(root.evaluate(TO_REACH, FOCUSABLE))
        page.evaluate("() => { document.activeElement?.blur(); document.getSelection().removeAllRanges(); }")
        page.locator("body").focus()
        reached = set()
        for _ in range(3 * len(wanted) + 20):
            page.keyboard.press("Tab")
            reached.add(page.evaluate(FOCUSED))
        missing = [
            root.locator(f"[data-reach='{each}']").evaluate("e => e.outerHTML.slice(0, 150)")
            for each in wanted - reached
        ]
        assert missing == []


def test_tabs_metrics_and_layers_are_chosen_by_keyboard(opened):
    page = opened
    tabs = page.locator(TABS)
    tabs.first.focus()
    page.keyboard.press("ArrowRight")
    assert tabs.nth(1).get_attribute("aria-selected") == "true"
    page.keyboard.press("ArrowLeft")
    assert tabs.first.get_attribute("aria-selected") == "true"
    radios = page.locator("[data-testid^=metric-]")
    radios.first.focus()
    page.keyboard.press("ArrowRight")
    assert radios.nth(1).is_checked()
    layer = page.locator("[data-testid=layer-lines]")
    before = layer.get_attribute("data-layer")
    page.locator("[data-testid=layer-select]").focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_function(
        "before => document.querySelector('[data-testid=layer-lines]').dataset.layer !== before",
        arg=before,
        timeout=5000,
    )


def test_each_chart_unfolds_into_a_table_by_keyboard(opened):
    for chart in ("loss", "heatmap", "layer"):
        twin = opened.locator(f"[data-testid={chart}-table]")
        twin.locator("summary").focus()
        opened.keyboard.press("Enter")
        twin.locator("tbody tr").first.wait_for(timeout=5000)
        rows = twin.locator("tbody tr")
        assert rows.count() >= 7
        assert any(letter.isdigit() for letter in rows.first.locator("td").first.inner_text())
        if chart != "heatmap":
            assert rows.first.locator("th").inner_text() == "59"


def test_the_training_obeys_the_keyboard(training):
    page, panel = training.page, training.panel
    pause = panel.locator("[data-testid=control-pause]")
    panel.locator("[data-testid=control] fieldset[data-state=running]:enabled").wait_for(timeout=30_000)
    for key, state in (("Enter", "paused"), ("Space", "running")):
        pause.focus()
        page.keyboard.press(key)
        panel.locator(f"[data-testid=control] fieldset[data-state={state}]").wait_for(timeout=20_000)
    panel.locator("[data-testid=control-condition]").focus()
    page.keyboard.type("loss > -1")
    page.keyboard.press("Enter")
    panel.locator("[data-testid=control] fieldset[data-state=paused]").wait_for(timeout=20_000)
    assert training.errors == []
