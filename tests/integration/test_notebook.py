"""What a notebook can do: run a study, read it while and after, take a network out of it."""

import json
import threading
from contextlib import chdir
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import hgcnet
import search
from hgcnet.errors import RunError
from tests.parts.small_study import write_study

GUIDE = Path(__file__).parents[2] / "studies" / "guides" / "from-python.ipynb"


@pytest.mark.parametrize("ray", ["shared", pytest.param("of its own", marks=pytest.mark.long)])
def test_a_study_runs_in_a_thread_and_is_read_meanwhile_and_afterwards(
    ray: str, shared_ray: Any, tmp_path: Path
) -> None:
    shared_ray.start() if ray == "shared" else shared_ray.stop()
    changes = {"budget__trials": 3, "proxy__train_images": 200}
    study = write_study(tmp_path, early_stopping={"kind": "none"}, **changes)
    runs = tmp_path / "runs"
    lines: list[str] = []
    seen: list[pd.DataFrame] = []
    returned: list[pd.DataFrame] = []

    def observe(progress: search.Progress) -> None:
        lines.append(search.progress_line(progress))
        seen.append(search.load_trials("small", runs=runs))

    def run() -> None:
        returned.append(search.run_study(study, runs=runs, observe=observe))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

    (trials,) = returned
    assert trials["state"].tolist() == 3 * ["finished"]
    assert lines[-1].startswith("3/3 trained")
    assert any("running" in frame["state"].tolist() for frame in seen)
    pd.testing.assert_frame_equal(search.load_trials("small", runs=runs), trials)
    pd.testing.assert_frame_equal(search.load_trials(runs / "small"), trials)

    # The same call in the main thread, relative to the folder as in a notebook, with more trials.
    with chdir(tmp_path):
        more = search.run_study("small.toml", trials=4)
        assert search.run_study("small.toml", trials=4)["number"].tolist() == [0, 1, 2, 3]
        pd.testing.assert_frame_equal(
            more[:3].drop(columns="on_front"), trials.drop(columns="on_front")
        )
        best = search.export_architecture("small")
        first = search.export_architecture("runs/small", trial=0)
        hgcnet.write_architecture("net.toml", best)
        model = hgcnet.load("net.toml")
        with pytest.raises(RunError, match="trial 9: does not exist; the study has 0 to 3"):
            search.export_architecture("small", trial=9)
    assert best.provenance["val_accuracy"] == more["val_accuracy"].max()
    assert first.provenance["fingerprint"] == trials["fingerprint"][0]
    assert model.architecture.fingerprint == best.provenance["fingerprint"]


@pytest.mark.long
class TestTheGuide:
    """studies/guides/from-python.ipynb."""

    cells = json.loads(GUIDE.read_text(encoding="utf-8"))["cells"]

    def test_it_runs_from_its_first_cell_to_its_last(self, ray_here: Any, tmp_path: Path) -> None:
        names: dict[str, Any] = {"__name__": "__main__"}
        with chdir(tmp_path):
            for cell in self.cells:
                if cell["cell_type"] == "code":
                    exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
        assert names["finished"]["estimated_accuracy"].notna().all()
        assert names["untrained"].architecture == names["model"].architecture
        assert len(names["predictions"]) == 5

    def test_it_is_kept_without_outputs(self) -> None:
        for cell in self.cells:
            assert not cell.get("outputs")
            assert cell.get("execution_count") is None
