"""A page that is opened from disk without a network."""

import pytest


@pytest.fixture
def open_page(browser):
    """Return a function that opens a file; checks at the end that nothing went wrong and nothing was requested."""
    contexts, troubles = [], []

    def open_it(path, scheme="light", height=1500, **options):
        context = browser.new_context(
            offline=True, color_scheme=scheme, viewport={"width": 1200, "height": height}, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: troubles.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else troubles.append(r.url))
        page.goto(path.as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert troubles == []
