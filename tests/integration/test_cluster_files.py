"""`studies/cluster/`: the batch script under stand-ins for SLURM and Ray, the image's files, the manifest."""

import inspect
import os
import re
import shlex
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import hgcnet
from search import api
from search.versions import code_digest
from tests.parts.processes import ROOT, Family, Processes

CLUSTER = ROOT / "studies" / "cluster"
SCRIPT = CLUSTER / "slurm.sbatch"
DOCKERFILE = CLUSTER / "Dockerfile"
JOB = {"SLURM_JOB_ID": "77", "SLURM_CPUS_PER_TASK": "4", "HGCNAS_SECRETS": "", "HGCNAS_VENV": ""}
# Each writes how it was called, and with what of the secrets in its environment.
SAY = 'echo "$0 $* [${HGCNAS_STORAGE:-}] [${RAY_AUTH_TOKEN:-}]" >> "$CALLS"\n'
STAND_INS = {
    "hgcnas": SAY
    + "trap 'echo got USR1; exit 138' USR1\ntrap 'echo got TERM; exit 143' TERM\n"
    + 'touch "$CALLS.begun"\nuntil [ -e "$CALLS.end" ]; do sleep 0.05; done\n',
    "srun": SAY + 'while [[ $1 == --* ]]; do shift; done\nexec "$@"\n',
    "ray": 'if [ "$1" = status ]; then printf " 1 node_a\\n 1 node_b\\n 1 node_c\\n"; exit; fi\n'
    + SAY
    + "exec sleep 1000\n",
    "scontrol": SAY,
}


class Batch:
    """The script as a batch job, with stand-ins for all that it starts."""

    def __init__(self, processes: Processes, without: str = "") -> None:
        self._processes = processes
        self._folder, self._bin = processes.folder, processes.folder / "bin"
        self._calls = self._folder / "calls"
        self._bin.mkdir()
        for name, text in STAND_INS.items():
            if name != without:
                (self._bin / name).write_text(f"#!/bin/bash\n{text}")
                (self._bin / name).chmod(0o755)

    def start(self, *arguments: str, **environment: str) -> Family:
        path = f"{self._bin}:/usr/bin:/bin"
        given = {
            "PATH": path,
            "CALLS": str(self._calls),
            "HGCNAS_STORAGE": "",
            "RAY_AUTH_TOKEN": "",
        }
        # As SLURM does: a copy of the script, somewhere else.
        copied = shutil.copy(SCRIPT, self._folder / "slurm_script")
        return self._processes.start("/bin/bash", copied, *arguments, **given | JOB | environment)

    def begun(self, job: Family) -> None:
        """Until the study runs."""
        job.wait_until((self._folder / "calls.begun").exists, "the study runs")

    def end_study(self) -> None:
        """Lets the study reach its end."""
        (self._folder / "calls.end").touch()

    def calls(self, name: str) -> list[str]:
        """How a stand-in was called."""
        lines = self._calls.read_text().splitlines() if self._calls.exists() else []
        begin = f"{self._bin / name} "
        return [line.removeprefix(begin) for line in lines if line.startswith(begin)]


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        ((), {}, "name the study file: sbatch slurm.sbatch STUDY.toml"),
        (
            ("x.toml",),
            {"SLURM_JOB_ID": ""},
            "this is not a SLURM job; submit it by sbatch slurm.sbatch STUDY.toml",
        ),
        (("x.toml",), {"SLURM_CPUS_PER_TASK": ""}, "give --cpus-per-task: .*"),
        (("x.toml",), {"HGCNAS_SECRETS": "none"}, "HGCNAS_SECRETS: none cannot be read"),
        (
            ("x.toml",),
            {"HGCNAS_SECRETS": "open"},
            "HGCNAS_SECRETS: others may read open; chmod 600 it",
        ),
    ],
)
def test_the_script_says_in_one_line_what_it_lacks(
    arguments: tuple[str, ...], environment: dict[str, str], said: str, processes: Processes
) -> None:
    (processes.folder / "open").write_text("")
    (processes.folder / "open").chmod(0o640)
    batch = Batch(processes)
    job = batch.start(*arguments, **environment)
    assert job.end() == 2
    assert re.fullmatch(f"slurm.sbatch: {said}\n", job.errors)
    assert batch.calls("hgcnas") == []


def test_the_script_says_that_there_is_no_hgcnas(processes: Processes) -> None:
    job = Batch(processes, without="hgcnas").start("x.toml")
    assert job.end() == 2
    assert job.errors.startswith("slurm.sbatch: no hgcnas on the PATH")


def test_a_study_on_one_node_gets_the_jobs_cpus_and_the_secrets(processes: Processes) -> None:
    secrets = processes.folder / "secrets"
    secrets.write_text("HGCNAS_STORAGE=postgresql://a:b@c/d\n")
    secrets.chmod(0o600)
    batch = Batch(processes)
    batch.end_study()
    job = batch.start("a study.toml", "--trials", "9", HGCNAS_SECRETS=str(secrets))
    job.succeed()
    assert batch.calls("hgcnas") == [
        "run a study.toml --trials 9 --workers 4 --grace 120 [postgresql://a:b@c/d] []"
    ]
    assert batch.calls("srun") == batch.calls("ray") == batch.calls("scontrol") == []


@pytest.mark.parametrize(
    ("number", "code", "requeued"),
    [(signal.SIGUSR1, 138, ["requeue 77 [] []"]), (signal.SIGTERM, 143, [])],
)
def test_a_signal_goes_to_the_study_and_the_end_of_the_time_puts_the_job_back(
    number: signal.Signals, code: int, requeued: list[str], processes: Processes
) -> None:
    batch = Batch(processes)
    job = batch.start("x.toml")
    batch.begun(job)
    job.send(number)  # B: to the batch script alone
    assert job.end() == code
    assert job.output == f"got {number.name.removeprefix('SIG')}\n"
    assert batch.calls("scontrol") == requeued


def test_several_nodes_are_one_ray_with_a_secret_of_its_own(processes: Processes) -> None:
    batch = Batch(processes)
    batch.end_study()
    job = batch.start("x.toml", SLURM_JOB_NUM_NODES="3", HGCNAS_STORAGE="postgresql://a:b@c/d")
    job.succeed()  # that nothing is left of Ray is for the fixture to say
    (study,) = batch.calls("hgcnas")
    found = re.fullmatch(
        r"run x.toml --workers 12 --grace 120 --ray-address (\S+:20077) \[postgresql://a:b@c/d\] \[([0-9a-f]{64})\]",
        study,
    )
    assert found, study
    address, token = found.groups()
    head, others = sorted(batch.calls("ray"), key=lambda call: "--head" not in call)
    each = f"--block --disable-usage-stats --num-cpus 4 --num-gpus 0 [] [{token}]"
    host = address.partition(":")[0]
    assert head == (
        f"start --head --include-dashboard false --port 20077 --node-ip-address {host} {each}"
    )
    assert others == f"start --address {address} {each}"
    steps = batch.calls("srun")
    assert sorted(re.findall(r"--nodes=(\d) --ntasks=(\d) --(\w+)=", " ".join(steps))) == [
        ("1", "1", "nodelist"),
        ("2", "2", "exclude"),
    ]
    assert not any(token in step.rpartition(" [")[0] for step in steps)


def test_the_script_asks_for_its_signal_before_its_grace_is_over() -> None:
    text = SCRIPT.read_text()
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)=?(.*)$", text, re.MULTILINE))
    assert asked["requeue"] == ""
    assert asked["open-mode"] == "append"
    left = re.fullmatch(r"B:USR1@(\d+)", asked["signal"])
    grace = re.search(r"^GRACE=(\d+)", text, re.MULTILINE)
    assert left
    assert grace
    assert int(grace[1]) + 30 <= int(left[1])


@pytest.mark.skipif(
    not {"grace", "workers"} <= set(inspect.signature(api.run_study).parameters),
    reason="--grace and --workers come with other parts of issue 22",
)
def test_the_files_use_options_that_the_command_has() -> None:
    given = {"--ray-address", "--workers", "--grace", "--runs"}
    text = SCRIPT.read_text() + (CLUSTER / "kuberay.yaml").read_text()
    assert all(option in text for option in given)
    known = set(inspect.signature(api.run_study).parameters)
    assert {option[2:].replace("-", "_") for option in given} <= known


def steps_of(dockerfile: Path) -> list[tuple[str, str]]:
    """Its instructions."""
    text = re.sub(r"\\\n", " ", dockerfile.read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def test_the_image_has_its_parts_in_order() -> None:
    steps = steps_of(DOCKERFILE)
    words = [word for word, _ in steps]
    assert set(words) <= {
        "ARG",
        "FROM",
        "RUN",
        "COPY",
        "ENV",
        "USER",
        "WORKDIR",
        "ENTRYPOINT",
        "CMD",
    }
    values = dict(steps)
    assert values["USER"] == "hgcnas"  # the last one: it is nobody of the machine's
    assert values["ENTRYPOINT"] == '["hgcnas"]'
    assert dict(rest.split("=") for word, rest in steps if word == "ARG")["TORCH_INDEX"] == ""
    installs = [rest for word, rest in steps if word == "RUN" and "pip install" in rest]
    assert "$TORCH_INDEX" in installs[0]  # torch first, or the next would bring another
    assert installs[0].endswith(" torch torchvision")
    assert all("--no-cache-dir" in rest and "--constraint" in rest for rest in installs)
    for rest in (rest for word, rest in steps if word == "RUN"):
        assert shlex.split(rest)


@pytest.mark.long
def test_what_the_image_copies_is_enough_to_install_it(processes: Processes, folder: Path) -> None:
    """Its COPY and its last pip install, in an empty folder; what they depend on is taken from here."""
    for word, rest in steps_of(DOCKERFILE):
        if word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                place = folder / target.strip("/")
                if (ROOT / source).is_dir():
                    shutil.copytree(
                        ROOT / source, place, ignore=shutil.ignore_patterns("*.pyc", "*.egg-info")
                    )
                else:
                    place.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / source, place)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(folder / "site")]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", *options, str(folder / "source")]
    processes.start(*pip, TMPDIR=str(folder)).succeed()
    code = (
        f"import sys; sys.path.insert(0, {str(folder / 'site')!r})\n"
        "import search; from search.versions import code_digest; from search.study_file import templates\n"
        "print(search.__file__, code_digest()); from search.cli.app import main; main(['--version'])"
    )
    said = processes.python(code).succeed().splitlines()
    where, digest = said[0].split()
    assert Path(where).is_relative_to(folder / "site")
    assert digest == code_digest()  # of what is installed as of the source
    assert hgcnet.__version__ in said[1]
    assert (folder / "site" / "search" / "studies" / "quickstart.toml").is_file()


class TestManifest:
    job: Any
    claim: Any
    claim, job = yaml.safe_load_all((CLUSTER / "kuberay.yaml").read_text())

    def pods(self) -> dict[str, Any]:
        cluster = self.job["spec"]["rayClusterSpec"]
        (group,) = cluster["workerGroupSpecs"]
        return {
            "head": cluster["headGroupSpec"]["template"]["spec"],
            "worker": group["template"]["spec"],
        }

    def test_it_is_a_job_of_kuberay_that_is_tried_again_and_cleans_up(self) -> None:
        assert (self.job["apiVersion"], self.job["kind"]) == ("ray.io/v1", "RayJob")
        spec = self.job["spec"]
        assert spec["shutdownAfterJobFinishes"] is True
        assert spec["backoffLimit"] > 0
        assert shlex.split(spec["entrypoint"])[:2] == ["hgcnas", "run"]
        assert spec["rayClusterSpec"]["authOptions"] == {"mode": "token"}
        head = spec["rayClusterSpec"]["headGroupSpec"]
        assert head["rayStartParams"]["num-cpus"] == "0"
        assert all(isinstance(value, str) for value in head["rayStartParams"].values())

    def test_its_ray_is_that_of_the_image(self) -> None:
        pinned = (ROOT / ".ci" / "constraints.txt").read_text()
        assert f"ray=={self.job['spec']['rayClusterSpec']['rayVersion']}\n" in pinned

    @pytest.mark.parametrize("pod", ["head", "worker"])
    def test_its_pods_have_shared_memory_within_their_memory_and_ask_for_what_they_get(
        self, pod: str
    ) -> None:
        spec = self.pods()[pod]
        (container,) = spec["containers"]
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        assert set(mounts) == set(volumes)
        assert mounts["shm"] == "/dev/shm"
        shm = volumes["shm"]["emptyDir"]
        assert shm["medium"] == "Memory"
        resources = container["resources"]
        assert resources["requests"] == resources["limits"]
        assert 2 * int(shm["sizeLimit"][:-2]) < int(resources["limits"]["memory"][:-2])

    def test_it_keeps_runs_in_its_claim_and_secrets_in_a_secret(self) -> None:
        head = self.pods()["head"]
        volumes = {volume["name"]: volume for volume in head["volumes"]}
        assert (
            volumes["runs"]["persistentVolumeClaim"]["claimName"] == self.claim["metadata"]["name"]
        )
        entrypoint = self.job["spec"]["entrypoint"]
        mounts = {mount["name"]: mount for mount in head["containers"][0]["volumeMounts"]}
        assert f"--runs {mounts['runs']['mountPath']}" in entrypoint
        assert f" {mounts['studies']['mountPath']}/study.toml " in entrypoint
        (storage,) = head["containers"][0]["env"]
        assert "value" not in storage
        assert storage["valueFrom"]["secretKeyRef"]["name"] == "hgcnas"
        grace = re.search(r"--grace (\d+)", entrypoint)
        assert grace
        assert int(grace[1]) < head["terminationGracePeriodSeconds"]


def test_the_readme_names_every_file_and_every_variable() -> None:
    text = (CLUSTER / "README.md").read_text()
    names = {path.name for path in CLUSTER.iterdir()} - {"README.md"}
    assert names == set(re.findall(r"\]\(([\w.]+)\)", text))
    assert os.access(SCRIPT, os.X_OK)
