"""The commands about studies: from running one to exporting its best network."""

import json
import shlex
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hgcnet.architecture import ArchitectureFile, read_architecture, write_architecture
from hgcnet.errors import RunError
from search import api
from search.cli import terminal
from search.cli.data_commands import class_table
from search.cli.printing import Said, err, out, print_json, say
from search.dashboard.guard import HOST
from search.data.data_config import DOWNLOADS
from search.stop_signals import GRACE, allow_seconds
from search.study.progress import progress_line
from search.study.run_folder import RunFolder, find_run
from search.study_file.json_schema import study_file_schema
from search.study_file.reading import read_study_file
from search.study_file.reference import study_file_reference
from search.study_file.schema import StudyFile
from search.study_file.templates import write_template
from search.training.quality import QUALITY_METRICS
from search.units import count_text, duration

if TYPE_CHECKING:
    from search.results.stored_study import StoredStudy


def run(
    study: Path,
    *,
    trials: int | None = None,
    dry_run: bool = False,
    no_report: bool = False,
    join: bool = False,
    workers: int | None = None,
    runs: Path = Path("runs"),
    storage: str | None = None,
    ray_address: str | None = None,
    grace: float = GRACE,
    as_json: bool = False,
) -> None:
    """Starts a study, or resumes it. At the end, writes a report and best.toml into the run folder.

    Ctrl-C, SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 stop it cleanly (exit code 128 + the signal's number). Rerun
    the same command to resume. Raise a used-up budget by --trials.

    Args:
        trials: budget of trials, in place of the file's.
        dry_run: validate the study and print its size and expected time, without running it.
        no_report: do not write report.html, trials.csv, trials.parquet and best.toml.
        join: continue a study of this name that another run folder started in the storage.
        grace: seconds to stop in after a signal; half of them are for last checkpoints of running trainings.
    """
    from search.forecast import forecast
    from search.prepare import prepare
    from search.results.stored_study import read_study
    from search.results.summary import summarise_study
    from search.run import run as run_study
    from search.run import write_results

    allow_seconds(
        grace, f"--grace {grace:g}: the time to stop is over; rerun the same command to resume"
    )
    file = read_study_file(study)
    if trials is not None:
        file = file.with_trials(trials)
    if workers is not None:
        file = file.with_workers(workers)
    prepared = prepare(file)
    if dry_run:
        facts = forecast(prepared)
        if as_json:
            print_json(facts)
        else:
            _print_forecast(file, facts)
            say(class_table(prepared.inspection))
        return
    folder = RunFolder(runs / file.name)
    if not as_json:
        say(
            f"study {file.name}: {file.budget.trials} trials by {file.sampler.kind} on "
            f"{file.data.dataset}, in a space of {prepared.space.space.size:,} points"
        )
    with terminal.ProgressPrinter(err if as_json else out).showing() as printer:
        outcome = run_study(
            prepared,
            folder,
            join=join,
            storage_url=storage,
            ray_address=ray_address,
            grace=grace,
            observe=printer.take_study,
        )
    stored = read_study(folder, storage)
    if not as_json:
        time = duration(outcome.progress.seconds)
        ended = f"The study ended: {outcome.reason}, after {time}."
        if outcome.is_stopped:
            ended = (
                f"The study was {outcome.reason} after {time}; rerun the same command to resume."
            )
        if outcome.did_nothing:
            ended = f"Nothing to do: {outcome.reason}. --trials N raises it."
        say(ended, progress_line(outcome.progress), terminal.front_table(stored.trials()))
    files = () if no_report else write_results(stored)
    if as_json:
        ending = {"reason": outcome.reason, "nothing_to_do": outcome.did_nothing}
        print_json(summarise_study(stored) | ending | {"files": [str(path) for path in files]})
    else:
        _print_results(stored, files)


def list_studies(
    *, runs: Path = Path("runs"), storage: str | None = None, as_json: bool = False
) -> None:
    """Lists the studies of a folder with their counts and best accuracies."""
    rows, unreadable = api.list_studies(runs=runs, storage=storage)
    if as_json:
        print_json(rows)
    else:
        where = f"{runs} and the storage" if storage else str(runs)
        nothing = f"No studies in {where}. `hgcnas run STUDY.toml` starts one."
        say(terminal.runs_table(rows) if rows else nothing)
    if unreadable:
        raise RunError("\n".join(map(str, unreadable)))


def status(run: str, *, runs: Path = Path("runs"), storage: str | None = None) -> Said:
    """Shows a study's counts, front, time used and time left, also while it runs."""
    from search.results.stored_study import read_study
    from search.results.summary import summarise_study

    stored = read_study(find_run(run, runs, storage), storage)
    summary = summarise_study(stored)
    return summary, [*terminal.status_lines(summary), terminal.front_table(stored.trials())]


def report(result: tuple[Path, ...], open_page: bool = False) -> Said:
    """Prints their paths.

    Args:
        open_page: open the page in the browser.
    """
    if open_page:
        webbrowser.open(result[0].resolve().as_uri())
    paths = [str(path) for path in result]
    return {"files": paths}, [*paths]


def dashboard(
    run: str,
    *,
    host: str = HOST,
    port: int = 8080,
    runs: Path = Path("runs"),
    storage: str | None = None,
) -> None:
    """Serves Optuna Dashboard for a study, read-only, also while the study runs. Ctrl-C ends it.

    Args:
        host: address to serve on; 0.0.0.0 in a container, or for other machines. The printed address then has
            a token, without which nothing is served.
        port: port to serve on; 0 takes a free one.
    """
    from search.dashboard.server import create_server, study_address
    from search.results.stored_study import read_study

    stored = read_study(find_run(run, runs, storage), storage)
    with create_server(stored, port, host) as server:
        say(f"{study_address(stored, server)}   (Ctrl-C ends it)")
        port = server.server_port
        if server.token is None:
            err.print(
                "Read-only, and for this machine only: there is no login. From another machine: "
                f"--host 0.0.0.0, or ssh -L {port}:{HOST}:{port} HERE",
            )
        else:
            err.print(
                "Read-only, for everyone with this address and its token, which is sent unencrypted. Other "
                "names of this machine, such as localhost, work too.",
            )
        server.serve_forever()


def export(
    result: ArchitectureFile, run: str, runs: Path, storage: str | None, output: Path | None = None
) -> Said:
    """Writes an architecture file; hgcnet.load(FILE) rebuilds the network.

    Args:
        output: the architecture file; by default best.toml in the run folder.
    """
    if output is None:
        folder = find_run(run, runs, storage)
        folder.check_exists("name a file by -o FILE")
    path = output or folder.path / "best.toml"
    write_architecture(path, result)
    document = {"file": str(path), **result.provenance}
    return document, [_exported(path, result), str(result.architecture)]


def enqueue(result: ArchitectureFile, run: str, network: str) -> Said:
    """It is trained if the study's budget leaves room for it."""
    line = f"{network} is next in {Path(run).name} (if its budget leaves room for it)"
    return {"fingerprint": result.architecture.fingerprint}, [line]


def _print_results(stored: "StoredStudy", files: tuple[Path, ...]) -> None:
    """The files that a run ends with, the exported network last."""
    for path in files:
        is_network = path.name == "best.toml"
        say(_exported(path, read_architecture(path)) if is_network else str(path))
    name, data = stored.file.name, stored.file.data
    if not files:
        say(f"Next: hgcnas report {name}")
        return
    is_default = Path(data.root).expanduser() == Path(DOWNLOADS).expanduser()
    root = "" if is_default else f" --root {shlex.quote(data.root)}"
    train = f"hgcnas train {stored.folder.path / 'best.toml'} --dataset {data.dataset}{root}"
    say(f"Next: hgcnas dashboard {name} · {train}")


def _exported(path: Path, file: ArchitectureFile) -> str:
    facts = file.provenance
    estimate = facts.get("estimated_accuracy")
    estimated = "" if estimate is None else f"estimated {estimate:.4f}, "
    measured = next(facts[metric] for metric in QUALITY_METRICS if metric in facts)
    return (
        f"{path}: trial {facts['trial']}, {estimated}measured {measured:.4f}, "
        f"{count_text(facts['flops'])} FLOPs, {count_text(facts['num_params'])} params"
    )


def _print_forecast(file: StudyFile, facts: dict[str, Any]) -> None:
    networks = facts["networks"]
    listed = "" if networks is None else f" ({networks:,} different networks)"
    low, high = count_text(facts["flops_low"]), count_text(facts["flops_high"])
    time = "unknown: there is no GPU here to measure on"
    if file.workers.gpus <= facts["gpus_here"] and facts["cannot_run_here"] is not None:
        time = f"unknown: {facts['cannot_run_here']}"
    if facts["hours"] is not None:
        time = (
            f"about {duration(3600 * facts['hours'])} without early stopping: "
            f"{facts['seconds_per_trial']} s a trial, {facts['trials_at_once']} at once"
        )
    from search.forecast import MemoryNeed  # with torch, which has measured the time

    memory, reading = facts["memory"], facts["seconds_to_read"]
    to_read = f"; reading the images takes {duration(reading)} of it" if reading >= 1 else ""
    say(
        f"study  {file.name}, {file.budget.trials} trials by {file.sampler.kind}",
        f"space  {facts['points']:,} points, {facts['feasible_share']:.2%} within the limits{listed}",
        f"FLOPs  {low} to {high}; limits: {facts['limits']}",
        f"data   {file.data.dataset}: {facts['classes']} classes, {facts['train_images']:,} training, "
        f"{facts['val_images']:,} validation and {facts['test_images']:,} test images",
        f"GPUs   {facts['gpus_here']} here; each trial asks for {file.workers.gpus:g}",
        f"time   {time}{to_read}",
        *([] if memory is None else [f"memory {MemoryNeed(**memory).text}"]),
    )


def schema(markdown: bool = False) -> Said:
    """Prints the JSON Schema of study files, which editors use to complete, explain and check keys.

    Args:
        markdown: print the reference of all keys instead, in Markdown.
    """
    document = study_file_schema()
    return document, [study_file_reference() if markdown else json.dumps(document, indent=2)]


def init(name: str, file: Path | None = None) -> Said:
    """Writes a study file to start from: a copy of a template.

    Args:
        name: name of the template, such as quickstart, cifar10 or own-images; an unknown name lists all.
        file: file to write; by default NAME.toml.
    """
    path = write_template(name, file)
    return {"file": str(path)}, [f"{path} is written; `hgcnas run {path}` starts the study"]
