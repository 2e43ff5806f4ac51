"""The report: one file, atomic, small, and safe whatever names the model has."""

import base64
import itertools
import json
import re
from hashlib import sha256

import pytest
from payloads import SAMPLE
from synthetic import SyntheticRecording

from deepseek.errors import DeepseekError
from deepseek.widgets.report import report_html, write_report


def recorded(steps, **options):
    recording = SyntheticRecording(**options)
    recording.advance(steps)
    recording.close()
    return recording


@pytest.fixture(scope="module")
def html():
    return report_html(recorded(60, blocks=2))


def data_of(html):
    return json.loads(re.search(r'id="deepseek-data">(.*?)</script>', html, re.DOTALL)[1])


def test_it_stays_below_three_megabytes_for_sixty_layers_and_a_thousand_steps(tmp_path):
    path = write_report(recorded(1000, blocks=20), tmp_path / "run.html")
    assert path.stat().st_size < 3_000_000


def test_every_script_is_allowed_by_its_hash_and_nothing_else_is(html):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    hashes = {f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'" for text in scripts}
    allowed = set(re.search("script-src ([^;]*);", policy)[1].split())
    assert len(scripts) == 2
    assert allowed == hashes
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy


def test_nothing_is_loaded(html):
    outside = re.sub(r"<script.*?</script>|<style>.*?</style>", "", html, flags=re.DOTALL)
    assert not re.search(r"https?:|<link|@import|url\(", outside)


def test_it_reads_without_a_program(html):
    summary = html[html.index('id="deepseek-summary"') : html.index("</main>")]
    assert "Replace the sigmoids by ReLU" in summary
    assert "features.0.conv2d" in summary
    assert "data:image/png;base64," in summary


def test_it_holds_the_whole_run(html):
    data = data_of(html)
    assert data["messages"][0]["message"]["header"]["step"] == 60
    assert data["setup"]["title"] == "DigitsCNN"


def test_names_stay_text(html):
    names = itertools.cycle(SAMPLE)
    title = " ".join(SAMPLE)[:400]
    wild = report_html(recorded(45, blocks=8, rename=lambda name: f"{next(names)}.{name}", title=title))
    assert data_of(wild)["setup"]["title"] == title
    layers = [layer["name"] for layer in data_of(wild)["messages"][0]["message"]["layers"]]
    assert all(any(layer.startswith(payload) for layer in layers) for payload in SAMPLE)
    wild, tame = (re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL) for text in (wild, html))
    for element in ("<script", "</script", "<img", "<svg", "<a ", "<!--"):
        assert wild.count(element) == tame.count(element)


def test_an_existing_file_is_kept_when_asked(tmp_path):
    target = tmp_path / "run.html"
    target.write_text("mine")
    with pytest.raises(DeepseekError, match="exists: choose another path"):
        write_report(recorded(1, blocks=1), target, overwrite=False)
    assert target.read_text() == "mine"


def test_a_path_that_cannot_be_written_is_explained(tmp_path):
    with pytest.raises(DeepseekError, match="Choose a file in a folder that exists"):
        write_report(recorded(1, blocks=1), tmp_path / "no" / "such" / "run.html")


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    (tmp_path / "run.html").mkdir()
    with pytest.raises(DeepseekError):
        write_report(recorded(1, blocks=1), tmp_path / "run.html")
    assert [path.name for path in tmp_path.iterdir()] == ["run.html"]


def test_a_path_may_be_text_and_is_returned_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert write_report(recorded(1, blocks=1), "run.html") == tmp_path / "run.html"
