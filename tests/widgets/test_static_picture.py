"""The static picture: small, true, and safe whatever names the model has."""

import re

import pytest
from markup import ALLOWED, Elements
from payloads import SAMPLE
from synthetic import SyntheticRecording

from deepseek.widgets.static_picture import mimebundle, static_html, static_text


def recorded(steps, **options):
    recording = SyntheticRecording(**options)
    recording.advance(steps)
    return recording


def test_it_shows_the_run():
    html = static_html(recorded(60, blocks=2))
    assert "DigitsCNN" in html
    assert "step 60" in html
    assert "Replace the sigmoids by ReLU" in html
    assert "features.0.conv2d" in html
    assert "data:image/png;base64," in html


def test_it_needs_nothing_that_a_sanitiser_removes():
    elements = Elements(static_html(recorded(60, blocks=2)))
    assert set(elements.tags) <= ALLOWED
    assert elements.attributes <= {"class", "src", "alt"}


@pytest.mark.parametrize(("steps", "blocks"), [(0, 1), (1, 1), (60, 20), (900, 100)])
def test_it_stays_small(steps, blocks):
    assert len(static_html(recorded(steps, blocks=blocks))) < 150_000


@pytest.mark.parametrize("payload", SAMPLE)
def test_names_stay_text(payload):
    tame = Elements(static_html(recorded(45, blocks=1)))
    recording = recorded(45, blocks=1, rename=lambda name: f"{payload}.{name}", title=payload)
    html = static_html(recording)
    wild = Elements(html)
    assert wild.tags == tame.tags
    assert wild.attributes == tame.attributes
    assert not re.search("[\x00-\x08\x1b\u2028\u202e]", html)
    assert not re.search("[\x00-\x08\x1b\u2028\u202e]", static_text(recording))


def test_the_text_names_findings_and_fixes():
    lines = static_text(recorded(60, blocks=1)).splitlines()
    assert lines[0].startswith("DigitsCNN · running · step 60 · loss ")
    assert lines[1].startswith("  error: Gradients of features.0.conv2d")


def test_the_bundle_offers_every_form():
    class Widget:
        model_id = "m"

    bundle = mimebundle(recorded(3, blocks=1), Widget())
    assert set(bundle) == {"text/html", "text/plain", "application/vnd.jupyter.widget-view+json"}
