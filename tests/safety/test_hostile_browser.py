"""Names that try to become code, in a real Chromium: the report, the live widget and the saved output."""

import base64
import json

import hostile
import pytest
from compared import hostile_comparison
from payloads import PAYLOADS

from deepseek.widgets.charts_message import bokeh_js, charts_packet
from deepseek.widgets.live import STATIC, LiveWidget
from deepseek.widgets.report import report_html, write_report
from deepseek.widgets.static_picture import static_html

pytestmark = pytest.mark.browser

BATCHES = [PAYLOADS[start : start + hostile.SERIES] for start in range(0, len(PAYLOADS), hostile.SERIES)]
ORIGIN = "http://workbench.invalid"

ELEMENTS = """root => {
  const count = node => [...node.querySelectorAll('*')].reduce(
    (sum, element) => sum + 1 + (element.shadowRoot ? count(element.shadowRoot) : 0), 0);
  return count(root);
}"""

SETTLED = f"""async root => {{
  const count = {ELEMENTS};
  let seen = [-1, -2, -3];
  while (new Set(seen).size > 1) {{
    await new Promise(resolve => setTimeout(resolve, 40));
    seen = [count(root), ...seen.slice(0, 2)];
  }}
  return seen[0];
}}"""

MOUNT = """async ({ name }) => {
  const [{ default: widget }, data] = await Promise.all([import('/widget.js'), fetch(name).then(r => r.json())]);
  const bytes = text => new DataView(Uint8Array.from(atob(text), letter => letter.charCodeAt(0)).buffer);
  window.bokeh ??= new DataView(await fetch('/bokeh.js').then(r => r.arrayBuffer()));
  const traits = { ...data.traits, snapshot: { ...data.traits.snapshot } };
  traits.charts = { message: data.traits.charts, payload: window.bokeh };
  traits.snapshot.payload = bytes(traits.snapshot.payload);
  const model = { get: key => traits[key], set: (key, value) => (traits[key] = value), on() {}, off() {} };
  const el = document.createElement('div');
  document.body.replaceChildren(el);
  const ends = [widget.initialize({ model }), widget.render({ model, el })];
  window.unmount = () => ends.reverse().forEach(end => end());
}"""


@pytest.fixture
def quiet(browser):
    """Return a function that opens a page; checks at the end that nothing ran, asked, failed or was fetched."""
    contexts, pages, troubles = [], [], []

    def note(page, what):
        page.on("console", lambda m: troubles.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: troubles.append(dialog.message))
        page.on("popup", lambda popup: troubles.append(popup.url))
        page.on(
            "request",
            lambda r: None if r.url.startswith(("file:", "data:", "blob:", ORIGIN)) else troubles.append(r.url),
        )

    def open_it(scheme="light"):
        context = browser.new_context(color_scheme=scheme, viewport={"width": 1200, "height": 1500})
        contexts.append(context)
        page = context.new_page()
        page.add_init_script("addEventListener('securitypolicyviolation', e => console.error(e.blockedURI))")
        note(page, troubles)
        pages.append(page)
        return page

    yield open_it
    ran = [page.evaluate("window.hacked ?? opener?.hacked ?? parent.hacked ?? null") for page in pages]
    for context in contexts:
        context.close()
    assert troubles == []
    assert ran == [None] * len(pages)


def elements_of_report(page, recording, folder):
    page.goto(write_report(recording, folder / "run.html").as_uri())
    page.wait_for_selector(".deepseek-ready", state="attached")
    page.wait_for_selector("[data-testid=heatmap][data-columns='3']", state="attached")
    for tab in page.locator("[role=tab]").all():
        tab.click()
    page.click("[data-testid=tab-flow]")
    page.wait_for_selector("[data-testid=flow-row]")
    page.click("[data-testid=tab-compare]")
    page.wait_for_selector("[data-testid=compare-plots][data-layers]")
    page.click("[data-testid=compare-table] summary")
    page.wait_for_selector("[data-testid=compare-row]")
    show_whole_graph(page, boxes=len(PAYLOADS) + 2)
    page.locator("[role=tab]").first.click()
    return page.locator("html").evaluate(ELEMENTS)


def show_whole_graph(page, boxes):
    """Draw every box, tell about one, and open the table."""
    page.click("[data-testid=tab-graph]")
    page.wait_for_selector("[data-testid=graph-stage][data-arranged]")
    page.click("[data-testid=graph-fit]")
    page.locator("[data-testid=graph-box]").nth(boxes - 1).wait_for(state="attached")
    page.locator("[data-testid=graph-box]").nth(boxes // 2).dispatch_event("pointerover")
    page.wait_for_selector("[data-testid=graph-tip] b")
    page.click("[data-testid=graph-table] summary")
    page.locator("[data-testid=graph-row]").nth(boxes - 1).wait_for(state="attached")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_names_in_the_report_are_text_in_every_theme(quiet, scheme, tmp_path):
    page = quiet(scheme)
    expected = elements_of_report(page, hostile.tame(PAYLOADS), tmp_path)
    assert elements_of_report(page, hostile.recording(PAYLOADS), tmp_path) == expected
    page.click("[data-testid=tab-flow]")
    page.wait_for_selector("[data-testid=flow-row]")
    shown = set(page.locator("[data-testid=flow-row] td:nth-child(2)").all_text_contents())
    assert shown >= {text for text in PAYLOADS if text.isprintable() and len(text) < 400}
    page.click("[data-testid=tab-graph]")
    assert set(page.locator("[data-testid=graph-row] td:nth-child(2)").all_text_contents()) >= shown
    page.fill("[data-testid=graph-search]", "<")
    page.press("[data-testid=graph-search]", "Enter")
    page.wait_for_selector("[data-match=current]", state="attached")
    page.click("[data-testid=tab-steps]")
    for metric in ("activation_ratio", "update_ratio", "absmax"):
        page.check(f"[data-testid=metric-{metric}]", force=True)
    sweep(page, stops=40)
    page.locator("details").evaluate_all("all => all.forEach(element => element.open = true)")


def elements_of_comparison(page, made, folder):
    page.goto(made.report(folder / "diff.html").as_uri())
    page.wait_for_selector(".charts[data-drawn='4']")
    for chart in ("values", "difference", "heatmap"):
        box = page.locator(f"[data-chart={chart}] [role=img]").bounding_box()
        for share in range(2, 19):
            page.mouse.move(box["x"] + box["width"] * share / 20, box["y"] + box["height"] / 2)
    return page.locator("html").evaluate(SETTLED)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_names_in_the_report_of_a_comparison_are_text(quiet, scheme, tmp_path):
    page = quiet(scheme)
    expected = elements_of_comparison(page, hostile_comparison(hostile.tame, PAYLOADS), tmp_path)
    assert elements_of_comparison(page, hostile_comparison(hostile.recording, PAYLOADS), tmp_path) == expected
    assert page.locator("#deepseek-summary p", has_text="Observed only in A").count() == 2


def test_titles_are_text(quiet, monkeypatch):
    monkeypatch.setattr("deepseek.widgets.report.bokeh_js", lambda: b"")
    monkeypatch.setattr("deepseek.widgets.report.run_data", lambda recording, history: {})
    heads = [report_html(hostile.recording([title], steps=0)).partition("<style>")[0] for title in PAYLOADS]
    found = quiet().evaluate(
        "heads => heads.map(text => new DOMParser().parseFromString(text, 'text/html'))"
        ".map(page => [page.head.childElementCount, page.body.childNodes.length, page.title])",
        heads,
    )
    assert {(elements, rest) for elements, rest, _ in found} == {(5, 0)}
    assert sum(shown == title for (*_, shown), title in zip(found, PAYLOADS, strict=True)) > 200


@pytest.fixture
def widgets(quiet):
    """Return a function that shows a recording in a notebook's widget and counts its elements."""
    page = quiet()
    data = {}

    def serve(route):
        path = route.request.url.removeprefix(ORIGIN)
        if path in data:
            return route.fulfill(body=data[path], content_type="application/json")
        files = {"/widget.js": (STATIC / "widget.js").read_bytes(), "/bokeh.js": bokeh_js()}
        style = f"<!doctype html><style>{(STATIC / 'widget.css').read_text()}</style><body>"
        return route.fulfill(body=files.get(path, style), content_type=KINDS.get(path, "text/html"))

    page.route(f"{ORIGIN}/**", serve)
    page.goto(f"{ORIGIN}/")

    def show(recording):
        name = f"/{len(data)}.json"
        widget = LiveWidget(recording)
        snapshot = dict(widget.snapshot, payload=base64.b64encode(widget.snapshot["payload"]).decode())
        traits = {"key": widget.key, "setup": widget.setup, "snapshot": snapshot, "failure": ""}
        traits["charts"] = charts_packet(program=False).message
        data[name] = json.dumps({"traits": traits})
        page.evaluate(MOUNT, {"name": name})
        page.wait_for_selector("[data-testid=heatmap][data-columns='3']", state="attached")
        count = page.locator("body").evaluate(SETTLED)
        return page, count

    return show


KINDS = {"/widget.js": "text/javascript", "/bokeh.js": "text/javascript"}


def joined(limit=380):
    """The texts, several in one name that is just not cut: what becomes an element still makes one more."""
    names = [""]
    for text in (text for text in PAYLOADS if len(text) <= limit):
        if len(names[-1]) + len(text) >= limit:
            names.append("")
        names[-1] += f" {text}"
    return names


@pytest.mark.parametrize(
    "batches",
    [
        pytest.param(
            [joined()[start : start + hostile.SERIES] for start in range(0, len(joined()), hostile.SERIES)], id="joined"
        ),
        pytest.param(BATCHES, id="each", marks=pytest.mark.slow),
    ],
)
def test_names_in_the_widget_are_text(widgets, batches):
    expected = {}
    page, _ = widgets(hostile.tame(batches[0]))  # the first chart of a page adds parts that stay
    page.evaluate("window.unmount()")
    for batch in batches:
        if len(batch) not in expected:
            page, expected[len(batch)] = widgets(hostile.tame(batch))
            page.evaluate("window.unmount()")
        page, count = widgets(hostile.recording(batch))
        assert count == expected[len(batch)], batch
        page.select_option("[data-testid=scalar-select]", index=len(batch) - 1)
        sweep(page, stops=len(batch))
        page.evaluate("window.unmount()")


def sweep(page, stops):
    """Move over the layers from top to bottom, so that each one's tip is shown."""
    box = page.locator("[data-testid=heatmap]").bounding_box()
    for stop in range(stops):
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * (stop + 0.5) / stops)


def test_names_in_the_saved_output_are_text(quiet, monkeypatch):
    monkeypatch.setattr("deepseek.widgets.picture.png", lambda history: b"")
    page = quiet()
    for batch in BATCHES:
        wild, tame = (static_html(make(batch)) for make in (hostile.recording, hostile.tame))
        expected, count = (
            page.locator("body").evaluate(f"(body, html) => (body.innerHTML = html, ({ELEMENTS})(body))", html)
            for html in (tame, wild)
        )
        assert count == expected, batch
