"""The HTML page of a real in-memory study: complete, offline, escaped."""

import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from optuna.trial import TrialState
from plotly.offline import get_plotlyjs

from hgcnet.architecture import Task
from search.pareto import CostRange, HypervolumeBounds
from search.report.page import write_page
from search.retraining.confirmations import Confirmed
from search.training.quality import Answers, ClassScores

FLOPS = CostRange(metric="flops", low=1e6, high=1e7)
BOUNDS = HypervolumeBounds(costs=(FLOPS,), reference_accuracy=0.3)
HOSTILE = "</script><img src=x onerror=alert(1)>"


class Outline(HTMLParser):
    """Collects the tags with their attributes, and the text of table rows."""

    def __init__(self):
        super().__init__()
        self.tags, self.rows, self.is_in_cell = [], [], False

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.is_in_cell = True

    def handle_endtag(self, tag):
        self.is_in_cell = self.is_in_cell and tag not in ("td", "th")

    def handle_data(self, data):
        if self.is_in_cell:
            self.rows[-1][-1] += data.strip()


@pytest.fixture
def frame(made_up):
    common = {"seconds": 125.4, "num_params_total": 5500}
    hostile = {"failure": HOSTILE, "origin": f"enqueued: {HOSTILE}"}
    made_up.add(TrialState.COMPLETE, 2, [0.2, 0.6], **common)
    made_up.add(TrialState.COMPLETE, 1, [0.2, 0.3], **common)
    made_up.add(TrialState.FAIL, 3, [0.2, 0.9], **(common | hostile | {"seconds": 200_000}))
    made_up.study.enqueue_trial({"depth": 4})
    return made_up.frame


def write(path, frame, **changes):
    facts = {"Data set": "digits & letters"}
    values = {"title": "Study <one>", "facts": facts, "bounds": BOUNDS, "run": "my runs/one"}
    values |= {"task": Task()}
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


def test_the_figures_are_drawn(frame, tmp_path):
    text, _ = write(tmp_path / "report.html", frame)
    drawn = re.findall(r'Plotly\.newPlot\(\s*"([\w-]+)"', text)
    assert drawn == [
        *("pareto", "layers-0", "traits", "hypervolume", "curves", "importance", "time")
    ]


def test_text_is_escaped(frame, tmp_path):
    text, outline = write(tmp_path / "report.html", frame)
    assert "<img" not in text
    assert "digits &amp; letters" in text
    assert "<h1>Study &lt;one&gt;</h1>" in text
    assert text.count("<script") == text.count("</script>") == 2 + 7  # plotly, the tables, figures
    assert HOSTILE in [cell for row in outline.rows for cell in row]


def test_rows_of_the_front_say_how_to_export_them(frame, tmp_path):
    _, outline = write(tmp_path / "report.html", frame)
    header = outline.rows[0]
    assert header == ["trial", "measured", "FLOPs", "params", "architecture", "origin", "export"]
    architecture = "hgc 1x8g2 2x16g4+se1 b4 c0.5 s24"
    command = "hgcnas export 'my runs/one' --trial 1"
    assert outline.rows[1] == [
        *["1", "0.3000", "1.000M", "0.001M", architecture, "sampler", command]
    ]
    assert outline.rows[2][0] == "0"


def test_all_trials_are_listed_and_the_finished_ones_with_their_export(frame, tmp_path):
    _, outline = write(tmp_path / "report.html", frame)
    finished, _, failed, waiting = outline.rows[-4:]
    assert finished[9] == "hgcnas export 'my runs/one' --trial 0"
    assert failed[:8] == ["2", "failed", "", "0.9000", "3.000M", "0.003M", "2", "55:33:20"]
    assert failed[9:] == ["", f"enqueued: {HOSTILE}", HOSTILE]
    assert waiting == ["3", "waiting", *[""] * 4, "0", *[""] * 5]


def test_the_most_accurate_network_and_the_knee_are_shown_once_where_they_are_one(frame, tmp_path):
    text, _ = write(tmp_path / "report.html", frame.iloc[[0]])
    assert "The most accurate, and the knee of the front: trial 0" in text
    assert text.count("layers-0") == text.count('"layers-0"')
    assert "layers-1" not in text


@pytest.mark.parametrize("rows", [slice(0), slice(3, 4), slice(2, 4), slice(0, 1)])
def test_a_study_of_any_few_trials_has_a_page(frame, rows, tmp_path):
    unknown = HypervolumeBounds(costs=(FLOPS,), reference_accuracy=None)
    few = frame[rows]
    text, _ = write(tmp_path / "report.html", few, bounds=unknown)
    assert ("No trial has finished yet" in text) == (few["state"] != "finished").all()
    assert f"All trials ({len(few)})" in text


def test_a_study_of_other_objectives_has_a_page_by_them(made_up, tmp_path):
    for depth, accuracy in ((2, 0.6), (1, 0.3)):
        made_up.add(TrialState.COMPLETE, depth, [accuracy], num_params_total=1)
    params = CostRange(metric="num_params", low=1e3, high=1e4)
    bounds = HypervolumeBounds(costs=(params,), reference_accuracy=0.3)
    text, _ = write(tmp_path / "report.html", made_up.frame, bounds=bounds)
    assert "params (weights and biases)" in text
    assert "FLOPs (multiply-adds of one image)" not in text


def confirmed(names, **columns):
    """Networks of a confirmation, as `read_confirmations` gives them."""
    rows = {
        "name": names,
        "architecture": "hgc 1x8g2",
        "flops": [50e6 + index for index in range(len(names))],
        "num_params": 3e5,
        "mean": 0.93,
        "low": 0.928,
        "high": 0.932,
        "seeds": 3,
        "proxy_accuracy": float("nan"),
        "proxy_estimate": float("nan"),
        "on_front": False,
        "test_accuracy": float("nan"),
        "paper_error": float("nan"),
    }
    return pd.DataFrame(rows | columns)


def read_back(recipe, networks, tested=None):
    return {recipe: Confirmed(networks=networks, tested=tested)}


def test_networks_trained_again_stand_beside_the_paper_only_where_it_measured_them(frame, tmp_path):
    ours = confirmed(["trial 1", "hgcnet_42_g4"])
    text, _ = write(tmp_path / "report.html", frame, confirmed=read_back("9 epochs", ours))
    assert "Retrained: 9 epochs" in text
    assert "Compared with the paper" not in text
    theirs = ours.assign(paper_error=[float("nan"), 6.36], test_accuracy=[float("nan"), 0.9312])
    text, outline = write(
        tmp_path / "report.html", frame, confirmed=read_back("300 epochs", theirs)
    )
    assert "Compared with the paper" in text
    row = outline.rows.index(["hgcnet_42_g4", "7.00", "0.20", "6.88", "6.36", "3"])
    assert outline.rows[row - 1] == [
        *("network", "error", "±", "test error", "the paper's test error", "seeds")
    ]


def test_the_chosen_network_has_a_line_for_each_class_on_the_test_images(frame, tmp_path):
    networks = confirmed(["trial 1"])
    cat = ClassScores(name=HOSTILE, images=7, recall=6 / 7, precision=0.75, f1=0.8)
    dog = ClassScores(name="dog", images=9, recall=7 / 9, precision=0.875, f1=0.8235)
    answers = Answers(classes=(cat, dog), confusion=((6, 1), (2, 7)))
    text, outline = write(
        tmp_path / "report.html", frame, confirmed=read_back("9 epochs", networks, answers)
    )
    assert "on the test images, by class" in text
    assert HOSTILE not in text
    assert ["dog", "9", "0.7778", "0.8750", "0.8235"] in outline.rows
    assert ["class", f"predicted {HOSTILE}", "predicted dog"] in outline.rows
    assert ["dog", "2", "7"] in outline.rows


def test_an_earlier_page_is_replaced(frame, tmp_path):
    write(tmp_path / "report.html", frame, title="Study before")
    text, _ = write(tmp_path / "report.html", frame, title="Study after")
    assert "Study before" not in text
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
