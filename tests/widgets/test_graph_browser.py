"""The graph's tab in a real Chromium: what it shows, and how it is used by mouse and by keyboard."""

import pytest
from graph_page import IDS, STAGE, Graph, TiedGPT, number, recorded
from synthetic import SyntheticRecording

from deepseek.inspector.graph.module_graph import ModuleGraph
from deepseek.widgets.report import write_report

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_boxes_have_the_colour_of_the_metric_at_the_step(graph_of_recording, scheme, artifacts):
    graph = graph_of_recording(recorded(), scheme)
    page, conv = graph.page, graph.box("features.0.conv2d")
    title, low, _, high, alarm, none = page.locator("[data-testid=graph-legend] > *").all_text_contents()
    assert (title, alarm, none) == ("gradient norm (log)", "NaN or infinite", "not measured")
    assert number(low) < number(conv.get_attribute("data-value")) < number(high)

    def fill():
        return conv.locator("rect").first.evaluate("shape => getComputedStyle(shape).fill")

    def seen():
        return fill(), conv.get_attribute("data-value"), page.text_content("[data-testid=graph-step-text]")

    newest = seen()
    assert newest[2] == "59"
    assert graph.box("features.0.relu").get_attribute("data-tone") == "none"
    page.focus("[data-testid=graph-step]")
    page.keyboard.press("Home")
    page.wait_for_selector("[data-testid=graph-step-text]:text-is('0')")
    first = seen()
    assert first[1] != newest[1]
    page.click("[data-testid=graph-newest]")
    page.wait_for_selector("[data-testid=graph-step-text]:text-is('59')")
    assert seen() == newest
    page.select_option("[data-testid=graph-metric]", "activation_ratio")
    page.wait_for_selector("[data-site='features.0.relu']:not([data-tone=none])")
    assert seen()[:2] != newest[:2]
    page.locator("[data-testid=graph]").screenshot(path=artifacts / f"graph-{scheme}.png")
    page.click("[data-testid=tab-steps]")
    page.wait_for_selector("[data-testid=metric-activation_ratio]:checked", state="attached")


def test_a_finding_marks_its_layer_and_a_click_chooses_it(graph_of_recording):
    graph = graph_of_recording(recorded())
    marked = graph.page.locator("[data-testid=graph-box][data-finding=true]")
    assert marked.evaluate_all("all => all.map(box => box.dataset.site)") == ["features.0.conv2d"]
    assert "has a finding" in marked.get_attribute("aria-label")
    graph.box("features.0.batchnorm2d").click()
    graph.page.wait_for_selector("[data-testid=layer-lines][data-layer='features.0.batchnorm2d']")
    assert graph.box("features.0.batchnorm2d").get_attribute("data-chosen") == "true"


def test_the_keyboard_does_it_all(graph_of):
    graph = graph_of(TiedGPT(), IDS)
    page = graph.page
    page.focus("[data-testid=graph-fit]")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.testid") == "graph-stage"
    before = page.locator(f"{STAGE} > g").get_attribute("transform")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("+")
    page.wait_for_function(
        "before => document.querySelector('[data-testid=graph-stage] > g').getAttribute('transform') !== before",
        arg=before,
    )
    page.keyboard.press("Tab")

    def at():
        return page.evaluate("document.activeElement.dataset.site")

    for _ in range(30):
        if at() == "TiedGPT":
            break
        page.keyboard.press("ArrowUp")
    assert at() == "TiedGPT"
    page.keyboard.press("ArrowDown")
    assert at() == "input.0"
    page.keyboard.press("ArrowDown")
    assert at() == "wte"
    assert "11" in page.text_content("[data-testid=graph-tip]")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-testid=layer-lines][data-layer=wte]")
    page.keyboard.press("ArrowDown")
    assert at() == "blocks"
    graph.arranging(lambda: page.keyboard.press("Enter"))
    assert at() == "blocks"
    assert "blocks.0" not in graph.boxes()
    graph.arranging(lambda: page.keyboard.press("Enter"))
    assert "blocks.0" in graph.boxes()


def test_a_search_opens_what_hides_a_match(graph_of):
    graph = graph_of(TiedGPT(), IDS)
    page = graph.page
    graph.all("collapse")
    assert "blocks.0" not in graph.boxes()
    page.fill("[data-testid=graph-search]", "PROJ")
    assert page.text_content("[data-testid=graph-matches]") == "2"
    graph.arranging(lambda: page.press("[data-testid=graph-search]", "Enter"))
    assert page.text_content("[data-testid=graph-matches]") == "1 of 2"
    page.wait_for_selector("[data-site='blocks.0.proj'][data-match=current]")
    graph.arranging(lambda: page.press("[data-testid=graph-search]", "Shift+Enter"))
    page.wait_for_selector("[data-site='blocks.1.proj'][data-match=current]")
    page.wait_for_selector("[data-site='blocks.0.proj'][data-match=true]")
    page.fill("[data-testid=graph-search]", "nothing of the kind")
    assert page.text_content("[data-testid=graph-matches]") == "no match"


def test_the_table_shows_the_boxes_that_are_seen(graph_of):
    graph = graph_of(TiedGPT(), IDS)
    page = graph.page
    graph.toggle("blocks")
    page.click("[data-testid=graph-table] summary")
    rows = page.locator("[data-testid=graph-row]")
    rows.first.wait_for()
    assert sorted(rows.locator("td:first-child").all_text_contents()) == sorted(graph.boxes())
    (wte,) = (row for row in rows.all() if row.locator("td").first.text_content() == "wte")
    cells = wte.locator("td").all_text_contents()
    assert cells[:7] == ["wte", "Embedding", "call", "1 of 1", "[2, 4, 8]", "float32", "256 B"]
    assert number(cells[7]) > 0


def test_a_graph_that_is_not_complete_says_so_and_shows_the_modules(graph_of_recording):
    class Untraced(SyntheticRecording):
        def graph(self):
            whole = super().graph()
            modules = tuple(node for node in whole.nodes if node.kind == "module")
            return ModuleGraph(modules, (), complete=False, note="the model is compiled")

    recording = Untraced(blocks=2)
    recording.advance(3)
    recording.close()
    graph = graph_of_recording(recording)
    assert graph.page.is_visible("[data-testid=graph-note]")
    assert graph.page.text_content("[data-testid=graph-note]") == "The graph is not complete: the model is compiled."
    assert "features.1.relu" in graph.boxes()
    assert graph.links() == []
    assert graph.box("features.1.conv2d").get_attribute("data-tone") != "none"


@pytest.mark.parametrize("forbidden", [False, True])
def test_where_no_thread_may_start_the_page_does_the_layout(browser, tmp_path, forbidden):
    path = write_report(recorded(3), tmp_path / "run.html")
    if forbidden:
        path.write_text(path.read_text().replace("worker-src blob:; ", ""))
    page = browser.new_page()
    page.goto(path.as_uri())
    graph = Graph(page)
    assert page.get_attribute(STAGE, "data-threaded") == str(not forbidden).lower()
    assert len(graph.boxes()) == 21
    assert ("features.5.relu", "head") in graph.between()
    page.close()


def test_a_graph_that_came_while_it_was_hidden_is_in_view_later(graph_of_recording):
    graph = graph_of_recording(recorded(3))
    page = graph.page
    transform = page.locator(f"{STAGE} > g").get_attribute("transform")
    page.locator(STAGE).evaluate("stage => stage.closest('main').hidden = true")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.locator("[data-testid=graph-fit]").dispatch_event("click")
    page.locator(STAGE).evaluate("stage => stage.closest('main').hidden = false")
    page.wait_for_selector(f"{STAGE} > g:not([transform='{transform}'])")
    box = graph.box("input.0").bounding_box()
    stage = page.locator(STAGE).bounding_box()
    assert stage["x"] < box["x"] < stage["x"] + stage["width"]
    assert stage["y"] < box["y"] < stage["y"] + stage["height"]
    assert box["width"] > 20
