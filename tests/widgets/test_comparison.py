"""The picture, the tables and the report of a comparison."""

import base64
import io
import itertools
import json
import re
from dataclasses import replace
from functools import cache
from hashlib import sha256

import numpy as np
import pytest
from bokeh.models import HoverTool, PlainText
from compared import comparison
from markup import ALLOWED, Elements
from payloads import SAMPLE
from PIL import Image as Picture
from synthetic import SyntheticRecording

from deepseek.errors import DeepseekError
from deepseek.inspector.comparison import compare
from deepseek.widgets import Viewer
from deepseek.widgets.comparison import comparison_html, mimebundle, static_html
from deepseek.widgets.comparison_grid import EQUAL, both_scalars, difference_grid
from deepseek.widgets.comparison_picture import png
from deepseek.widgets.views.comparison import comparison_charts, heatmap_figure, values_figure


@pytest.fixture(scope="module")
def html():
    return comparison_html(comparison(30, blocks=2, start=10))


def charts_of(html):
    return json.loads(re.search(r'id="deepseek-data">(.*?)</script>', html, re.DOTALL)[1])["charts"]


def test_the_report_holds_every_chart(html):
    assert [chart["name"] for chart in charts_of(html)] == ["heatmap", "values", "difference", "scalar"]


def test_every_script_of_the_report_is_allowed_by_its_hash_and_nothing_else_is(html):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    hashes = {f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'" for text in scripts}
    assert len(scripts) == 2
    assert set(re.search("script-src ([^;]*);", policy)[1].split()) == hashes
    assert "default-src 'none'" in policy


def test_the_report_loads_nothing(html):
    outside = re.sub(r"<script.*?</script>|<style>.*?</style>", "", html, flags=re.DOTALL)
    assert not re.search(r"https?:|<link|@import|url\(", outside)


def test_the_report_reads_without_a_program(html):
    summary = html[html.index('id="deepseek-summary"') : html.index("</main>")]
    assert "A and B differ first at step 10 in features.0.conv2d" in summary
    assert "data:image/png;base64," in summary
    assert summary.count("<tr>") == 3 + 8 + 2
    assert "<tr><td>loss</td>" in summary
    assert not re.search("None|NA&gt;|NaT", summary)


def test_the_report_stays_small():
    assert len(comparison_html(comparison(1000, blocks=20))) < 3_000_000


def test_names_stay_text(html):
    names, title = itertools.cycle(SAMPLE), " ".join(SAMPLE)[:400]
    rename = cache(lambda name: f"{name}.{next(names)}")  # the same in both runs
    wild = comparison_html(comparison(30, blocks=8, rename=rename, title=title))
    wild, tame = (re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL) for text in (wild, html))
    for element in ("<script", "</script", "<img", "<svg", "<a ", "<!--"):
        assert wild.count(element) == tame.count(element)


def test_a_report_that_cannot_be_written_is_explained(tmp_path):
    with pytest.raises(DeepseekError, match="Choose a file in a folder that exists"):
        comparison(2, blocks=1).report(tmp_path / "no" / "such.html")


def test_a_report_is_written_where_it_was_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert comparison(2, blocks=1).report("diff.html") == tmp_path / "diff.html"


def test_a_notebook_gets_a_picture_that_no_sanitiser_touches():
    bundle = comparison(30, blocks=2)._repr_mimebundle_()
    elements = Elements(bundle["text/html"])
    assert set(elements.tags) <= ALLOWED
    assert elements.attributes <= {"class", "src", "alt"}
    assert bundle["text/plain"].startswith("A and B differ first at step 0 in features.0.conv2d")


@pytest.mark.parametrize("payload", SAMPLE)
def test_names_in_the_notebook_stay_text(payload):
    tame = Elements(static_html(comparison(3, blocks=1)))
    wild = comparison(3, blocks=1, rename=lambda name: f"{payload}.{name}", title=payload)
    html = static_html(wild)
    assert Elements(html).tags == tame.tags
    assert not re.search("[\x00-\x08\x1b\u2028\u202e]", html + mimebundle(wild)["text/plain"])


@pytest.mark.parametrize(("steps", "blocks"), [(1, 1), (30, 20), (300, 100)])
def test_the_saved_output_stays_small(steps, blocks):
    assert len(static_html(comparison(steps, blocks=blocks))) < 150_000


def test_a_long_table_keeps_the_sites_that_differ_first():
    found = comparison(20, blocks=20, factor=1.0)
    found.frame.loc[45, "first_step"] = 7
    html = static_html(found)
    assert f"<td>{found.frame['site'][45]}</td>" in html
    assert "… and 41 more sites" in html


def test_the_grid_holds_the_largest_difference_of_each_span():
    found = comparison(1000, blocks=1, start=990)
    grid = difference_grid(found, 100)
    assert grid.values.shape == (4, 100)
    assert (grid.start, grid.stop, grid.merged) == (0, 1000, 10)
    assert (grid.values[:, :99] == EQUAL).all()
    assert grid.values[:, 99] == pytest.approx(np.log10(1 / 3))


def test_the_heat_map_says_how_many_steps_share_a_column():
    plot = heatmap_figure(comparison(2000, blocks=1))
    assert plot.xaxis.axis_label == "step, 3.91 in a column"


def test_what_users_named_is_drawn_as_plain_text():
    plot = heatmap_figure(comparison(3, blocks=1, rename=lambda name: f"$$x$$ {name}"))
    labels = plot.yaxis.major_label_overrides.values()
    assert len(labels) == 4
    assert all(isinstance(label, PlainText) and "$$x$$" in label.text for label in labels)


def test_both_runs_are_drawn_over_depth():
    found = comparison(3, blocks=2)
    plot = values_figure(found)
    source = plot.renderers[0].data_source.data
    assert list(source["depth"]) == list(range(7))
    assert list(source["b"] / source["a"]) == pytest.approx([1.5] * 7)
    assert [entry.label.value for entry in plot.legend[0].items] == ["A", "B"]
    assert plot.select_one(HoverTool) is not None


def test_two_steps_have_no_heat_map_and_no_curve():
    recording = SyntheticRecording(blocks=1)
    recording.advance(10)
    found = compare(recording, recording, column="absmax", steps=(0, 9), viewer=Viewer())
    assert [chart["name"] for chart in comparison_charts(found)] == ["values", "difference"]
    assert "(step 0 of A, step 9 of B)" in comparison_charts(found)[0]["title"]


def test_runs_without_a_common_step_still_show_their_losses():
    a, b = (SyntheticRecording(blocks=1) for _ in range(2))
    for recording in (a, b):
        recording.advance(6)
    a.stored, b.stored = a.stored[:3], b.stored[3:]
    found = compare(a, b, column="absmax", viewer=Viewer())
    assert [chart["name"] for chart in comparison_charts(found)] == ["scalar"]
    assert "have no step in common" in static_html(found)


def test_of_several_scalars_the_loss_is_drawn():
    a, b = (SyntheticRecording(blocks=1) for _ in range(2))
    for recording in (a, b):
        recording.advance(6)
        recording.stored = [replace(r, scalars={"accuracy": 0.5, **r.scalars}) for r in recording.stored]
    found = compare(a, b, column="absmax")
    name, (points, _) = both_scalars(found)
    assert name == found.scalars["name"][0] == "loss"
    assert points[1].tolist() == pytest.approx([r.scalars["loss"] for r in a.stored])


def test_the_picture_differs_where_the_runs_do():
    same, other = (
        np.asarray(Picture.open(io.BytesIO(png(comparison(30, blocks=2, factor=factor)))).convert("RGB"))
        for factor in (1.0, 1.5)
    )
    assert same.shape == other.shape
    assert (same != other).any(axis=2).mean() > 0.05
