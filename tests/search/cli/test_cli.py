"""What the commands say before anything starts: dry runs, and what people get wrong."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import hgcnet
from search.study_file.reading import parse_study_file
from search.study_file.templates import find_templates
from tests.parts.commands import hgcnas, refused
from tests.parts.small_study import write_study


def test_a_dry_run_says_what_would_be_and_writes_nothing(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    facts = hgcnas("run", str(study), "--dry-run", "--json", cwd=tmp_path).json
    assert facts["points"] == 118_098
    assert 0 < facts["feasible_share"] < 1
    assert facts["hours"] > 0
    assert [path.name for path in tmp_path.iterdir()] == ["small.toml"]


def test_a_dry_run_for_people_says_the_space_the_data_and_the_time(tmp_path: Path) -> None:
    write_study(tmp_path, workers={"cpus": 1, "gpus": 0})
    said = hgcnas("run", "small.toml", "--dry-run", cwd=tmp_path).output.splitlines()
    assert said[0] == "study  small, 5 trials by known_cost"
    assert re.fullmatch(
        r"space  118,098 points, \d+\.\d\d% within the limits \([\d,]+ different networks\)",
        said[1],
    )
    assert said[2] == "FLOPs  17.7k to 1.53M; limits: flops 100k"
    assert said[3] == (
        "data   digits: 10 classes, 400 training, 305 validation and 270 test images"
    )
    assert said[4].endswith(" here; each trial asks for 0")
    assert re.fullmatch(
        r"time   about \S+ without early stopping: [\d.]+ s a trial, \d+ at once", said[5]
    )
    assert re.fullmatch(
        r"memory about [\d.]+ GB: driver [\d.]+, images for all workers 0\.0, workers [\d.]+"
        r"; [\d.]+ GB are available",
        said[6],
    )


def test_what_no_machine_like_this_has_cpus_for_has_no_time(tmp_path: Path) -> None:
    write_study(tmp_path, workers={"cpus": 4096})
    facts = hgcnas("run", "small.toml", "--dry-run", "--json", cwd=tmp_path).json
    assert (facts["hours"], facts["trials_at_once"], facts["memory"]) == (None, None, None)
    said = hgcnas("run", "small.toml", "--dry-run", cwd=tmp_path).output.splitlines()
    assert re.fullmatch(
        r"time   unknown: workers\.cpus: each trial asks for 4096; \d+ available", said[5]
    )


def test_the_workers_of_the_command_line_are_those_of_the_forecast(tmp_path: Path) -> None:
    write_study(tmp_path, workers={"cpus": 1, "at_once": 7})
    command = ("run", "small.toml", "--dry-run", "--json", "--workers", "1")
    assert hgcnas(*command, cwd=tmp_path).json["trials_at_once"] == 1


def test_without_the_gpus_that_a_study_asks_for_its_time_is_unknown(tmp_path: Path) -> None:
    write_study(tmp_path, workers={"gpus": 64})
    said = hgcnas("run", "small.toml", "--dry-run", cwd=tmp_path).output.splitlines()
    gpus, time = said[4:6]
    assert gpus.endswith(" here; each trial asks for 64")
    assert time == "time   unknown: there is no GPU here to measure on"


# What people type wrong: arguments, and the one line that they get for it. (… stands for typer's words.)
WRONG_COMMANDS = [
    (["run", "absent.toml"], "absent.toml: there is no such file"),
    (["run", "small.toml", "--trials", "0"], "'--trials': …1"),
    (["run", "small.toml", "--trials", "many"], "valid integer"),
    (["run", "small.toml", "--ray-address", "ray://head:10001"], "ray:// would run the search"),
    (["run", "."], "cannot be read: Is a directory"),
    (["run"], "Missing argument 'STUDY.toml'"),
    (["fly"], "No such command 'fly'"),
    (
        ["status", "nobody"],
        "nobody: there is no such study in runs, which has none; `hgcnas run STUDY.toml` starts one",
    ),
    (["report", "nobody"], "nobody: there is no such study"),
    (["export", "nobody"], "nobody: there is no such study"),
    (["enqueue", "nobody", "hgcnet_42_g4"], "nobody: there is no such study"),
    (
        ["dashboard", "nobody", "--port", "70000"],
        "'--port': …65535",
    ),
    (
        ["compare", "small.toml"],
        "sampler.start_with: is empty; list the networks to compare there",
    ),
    (
        ["train", "hgcnet_42_g4", "--dataset", "mnist"],
        "--dataset mnist: is not one of digits, cifar10, ",
    ),
    (["describe", "hgcnet_42_g5"], "hgcnet_42_g4"),
    (["describe", "absent.toml"], "absent.toml: cannot be read: No such file or directory"),
    (["describe", "small.toml"], "is not an architecture file: it has no [architecture] table"),
    (
        ["describe", "hgcnet_42_g4", "--resolution", "2"],
        "'--resolution': …8",
    ),
]


@pytest.mark.parametrize(
    ("arguments", "message"), WRONG_COMMANDS, ids=[" ".join(row[0]) for row in WRONG_COMMANDS]
)
def test_a_wrong_command_line_gets_one_line_and_leaves_nothing(
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    write_study(tmp_path)
    said = refused(tmp_path, *arguments)
    assert re.search(".*".join(map(re.escape, message.split("…"))), said)
    assert len(said.splitlines()) == 1


# Study files that read well and still cannot be run: (changes, message).
WRONG_STUDIES = [
    (
        {"limits__flops": 10.0},
        "limits: no architecture of the space meets flops 10; the fewest possible are",
    ),
    ({"limits__num_params": 1.0}, "limits: no architecture of the space meets"),
    ({"data__dataset": "npz", "data__root": "absent.npz"}, "absent.npz"),
    ({"data__dataset": "image_folder", "data__root": "absent"}, "absent"),
    ({"proxy__train_images": 5}, "proxy.train_images: 5 is not between 10"),
    ({"proxy__train_images": 10_000}, "proxy.train_images: 10000 is not between 10"),
    ({"sampler__start_with": ["nothing"]}, "sampler.start_with[0]: nothing is not a file, a model"),
    ({"sampler__start_with": ["hgcnet_42_g4"]}, "sampler.start_with[0]: hgcnet_42_g4: "),
    ({"budget__trials": 0}, "budget.trials: 0 is not above 0"),
    ({"space__depht": 3}, "space.depht: unknown key"),
]


@pytest.mark.parametrize(
    ("changes", "message"), WRONG_STUDIES, ids=[str(row[0]) for row in WRONG_STUDIES]
)
def test_a_study_that_cannot_run_is_refused_and_leaves_nothing(
    tmp_path: Path,
    changes: dict[str, object],
    message: str,
) -> None:
    write_study(tmp_path, **changes)
    said = refused(tmp_path, "run", "small.toml")
    assert message in said
    assert len(said.splitlines()) == 1


def test_the_version_is_that_of_the_package(tmp_path: Path) -> None:
    assert hgcnas("--version", cwd=tmp_path).output == f"hgcnas {version('hgcnas')}\n"
    assert hgcnet.__version__ == version("hgcnas")


@pytest.mark.parametrize("name", find_templates())
def test_a_study_file_to_start_from_is_read(name: str, tmp_path: Path) -> None:
    said = hgcnas("init", name, cwd=tmp_path).output
    assert said == f"{name}.toml is written; `hgcnas run {name}.toml` starts the study\n"
    written, template = (tmp_path / f"{name}.toml").read_text(), find_templates()[name].read_text()
    assert template == f"#:schema schema.json\n{written}"
    assert hgcnas("init", name, "mine/study.toml", "--json", cwd=tmp_path).json == {
        "file": "mine/study.toml"
    }
    assert parse_study_file(tomllib.loads(written), "x").name == name
    other = (tmp_path / "mine" / "study.toml").read_text()
    assert other == written.replace(f'name = "{name}"', 'name = "study"')


def test_a_file_whose_name_cannot_be_a_study_keeps_the_name_of_the_template(tmp_path: Path) -> None:
    hgcnas("init", "quickstart", "my study.toml", cwd=tmp_path)
    assert tomllib.loads((tmp_path / "my study.toml").read_text())["name"] == "quickstart"


def test_no_file_is_written_over_and_a_wrong_name_lists_the_right_ones(tmp_path: Path) -> None:
    (tmp_path / "quickstart.toml").write_text("mine")
    assert refused(tmp_path, "init", "quickstart") == (
        "hgcnas: quickstart.toml: already exists; give another name: "
        "hgcnas init quickstart FILE.toml\n"
    )
    assert (tmp_path / "quickstart.toml").read_text() == "mine"
    assert "quickstrat: is not one of cifar10, " in refused(tmp_path, "init", "quickstrat")
