"""A live view in a notebook that is out of sight is sent nothing, and has caught up as soon as it is seen again."""

import pytest
from lab_pages import (
    COUNT_MESSAGES,
    HIDE,
    PREPARE,
    QUIET,
    RUN,
    open_notebook,
    run_to_its_end,
    shut_down,
    step,
    wait_for_step,
    write_notebook,
)

pytestmark = pytest.mark.browser

SPACE = "print('\\n' * 400)"

SCROLL = """index => {
  const { content } = window.jupyterapp.shell.currentWidget;
  return content.scrollToItem(index, 'start');
}"""


@pytest.fixture
def view(lab, watched):
    """A widget below a cell that trains, with room to scroll it away."""
    page = watched.page
    open_notebook(lab, page, write_notebook(lab, "sight.ipynb", PREPARE, SPACE, "train(120, shown=True)"))
    for cell in (0, 1):
        run_to_its_end(page, cell)
    page.evaluate(RUN, 2)
    page.locator("[data-testid=layer-lines] .ds-plot > *").last.wait_for(timeout=60_000)
    watched.view = page.locator(".jp-OutputArea [data-testid=deepseek-widget]")
    yield watched
    shut_down(page)


def scroll_away(page):
    page.evaluate(SCROLL, 0)


def scroll_back(page):
    page.evaluate(SCROLL, 2)


@pytest.mark.parametrize(
    ("leave", "come_back"),
    [
        pytest.param(scroll_away, scroll_back, id="scrolled"),
        pytest.param(lambda page: page.evaluate(HIDE, True), lambda page: page.evaluate(HIDE, False), id="behind"),
    ],
)
def test_a_view_out_of_sight_is_sent_nothing_until_it_is_seen(view, leave, come_back):
    page = view.page
    scroll_back(page)
    wait_for_step(page, view.view, step(view.view))
    leave(page)
    page.evaluate(COUNT_MESSAGES)
    page.wait_for_function(QUIET, timeout=10_000)
    assert page.evaluate("() => window.quietSince - window.countedSince") < 2000
    before = step(view.view)
    come_back(page)
    wait_for_step(page, view.view, before + 30)
    assert view.errors == []
