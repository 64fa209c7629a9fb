"""The HTML page of a real in-memory study: complete, offline, escaped."""

import re
from html.parser import HTMLParser

import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.trial import TrialState, create_trial
from plotly.offline import get_plotlyjs

from hgcnet.architecture import Architecture, Stage
from search.pareto import HypervolumeBounds
from search.report.page import write_page
from search.results import to_frame

BOUNDS = HypervolumeBounds(flops_low=1e6, flops_high=1e7, reference_accuracy=0.3)
HOSTILE = "</script><img src=x onerror=alert(1)>"


class DepthSpace:
    """A space of one parameter: the depth of the only stage."""

    def decode(self, params):
        return Architecture(stages=(Stage(depth=params["depth"], growth=8, groups=2),))


class Outline(HTMLParser):
    """Collects the tags with their attributes, and the text of table rows."""

    def __init__(self):
        super().__init__()
        self.tags, self.rows = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows and self.rows[-1] and self.lasttag in ("td", "th", "code"):
            self.rows[-1][-1] += data.strip()


@pytest.fixture
def frame():
    study = optuna.create_study(directions=["maximize", "minimize"])
    for depth, state in [(2, TrialState.COMPLETE), (1, TrialState.COMPLETE), (3, TrialState.FAIL)]:
        attributes = {"fingerprint": f"f{depth}", "flops": depth * 1_000_000, "num_params": 5000}
        attributes |= {"curve": [0.2, 0.3 * depth], "seconds": 125.4, "num_params_total": 5500}
        failed = {"failure": HOSTILE, "origin": f"enqueued: {HOSTILE}"}
        study.add_trial(
            create_trial(
                state=state,
                values=[0.3 * depth, depth * 1e6] if state == TrialState.COMPLETE else None,
                params={"depth": depth},
                distributions={"depth": IntDistribution(1, 9)},
                user_attrs=attributes | (failed if state == TrialState.FAIL else {}),
            )
        )
    study.enqueue_trial({"depth": 4})
    return to_frame(study.trials, DepthSpace(), ("val_accuracy", "flops"))


def write(path, frame, **changes):
    facts = {"Data set": "digits & letters"}
    values = {"title": "Study <one>", "facts": facts, "bounds": BOUNDS, "run": "my runs/one"}
    write_page(path, frame=frame, **(values | changes))
    text = path.read_text(encoding="utf-8").replace(get_plotlyjs(), "", 1)
    outline = Outline()
    outline.feed(text)
    return text, outline


def test_the_page_loads_nothing_from_elsewhere(frame, tmp_path):
    text, outline = write(tmp_path / "report.html", frame)
    assert not [tag for tag, attributes in outline.tags if {"src", "href"} & attributes.keys()]
    assert "http" not in text


def test_plotly_is_in_the_page_once(frame, tmp_path):
    write(tmp_path / "report.html", frame)
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count("plotly.js v") == 1


def test_the_three_figures_are_drawn(frame, tmp_path):
    text, _ = write(tmp_path / "report.html", frame)
    drawn = re.findall(r'Plotly\.newPlot\(\s*"(\w+)"', text)
    assert drawn == ["pareto", "hypervolume", "curves"]


def test_text_is_escaped(frame, tmp_path):
    text, outline = write(tmp_path / "report.html", frame)
    assert "<img" not in text
    assert "digits &amp; letters" in text
    assert "<h1>Study &lt;one&gt;</h1>" in text
    assert text.count("<script") == text.count("</script>") == 4
    assert HOSTILE in [cell for row in outline.rows for cell in row]


def test_rows_of_the_front_say_how_to_export_them(frame, tmp_path):
    _, outline = write(tmp_path / "report.html", frame)
    header = outline.rows[0]
    assert header == ["trial", "accuracy", "FLOPs", "params", "architecture", "origin", "export"]
    architecture = "hgc 1x8g2 b4 c0.5 s24"
    command = "hgcnas export 'my runs/one' --trial 1"
    assert outline.rows[1] == [
        *["1", "0.3000", "1.000M", "0.005M", architecture, "sampler", command]
    ]
    assert outline.rows[2][0] == "0"


def test_all_trials_are_listed(frame, tmp_path):
    _, outline = write(tmp_path / "report.html", frame)
    failed, waiting = outline.rows[-2:]
    assert failed[:8] == ["2", "failed", "", "0.9000", "3.000M", "0.005M", "2", "0:02:05"]
    assert waiting == ["3", "waiting", *[""] * 4, "0", *[""] * 4]


@pytest.mark.parametrize("num_rows", [0, 1])
def test_a_study_without_finished_trials_has_a_page(frame, num_rows, tmp_path):
    unknown = HypervolumeBounds(flops_low=1e6, flops_high=1e7, reference_accuracy=None)
    waiting = frame.tail(num_rows)
    text, _ = write(tmp_path / "report.html", waiting, bounds=unknown)
    assert "No trial has finished yet" in text
    assert f"All trials ({num_rows})" in text


def test_an_earlier_page_is_replaced(frame, tmp_path):
    write(tmp_path / "report.html", frame, title="Study before")
    text, _ = write(tmp_path / "report.html", frame, title="Study after")
    assert "Study before" not in text
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
