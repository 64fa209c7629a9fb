"""The commands about studies: from running one to exporting its best network."""

import json
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
    """Starts a study, or continues it; it ends with a report and best.toml in the run folder.

    Ctrl-C stops it cleanly, and so do SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 (exit code 128 + the signal's
    number); the same command continues. A used-up budget is raised by --trials.

    Args:
        trials: the budget of trials, instead of the file's.
        dry_run: validate the study and print its size and expected time, without running it.
        no_report: write no report.html, trials.csv, trials.parquet and best.toml.
        join: go on with a study of this name that another run folder began in the storage.
        grace: seconds from a signal to the end; half of them are for a last checkpoint of what runs.
    """
    from search.forecast import forecast
    from search.prepare import prepare
    from search.results.stored_study import read_study
    from search.results.summary import summarise_study
    from search.run import run as run_study
    from search.run import write_results

    allow_seconds(grace, f"--grace {grace:g}: it ends here; the same command continues")
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
            ended = f"The study was {outcome.reason} after {time}; the same command continues."
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
    """Lists the studies with their counts and best accuracies."""
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
    """Shows a study's counts, its front so far, and the time used and left. It may be running."""
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
    """Serves Optuna Dashboard over the study on this machine, also while it runs. Ctrl-C ends it.

    Args:
        host: the address to serve it on, as 0.0.0.0 in a container; who is not on this machine then needs
            the token in the address that is printed.
        port: 0 takes any free port.
    """
    from search.dashboard.server import create_server, study_address
    from search.results.stored_study import read_study

    stored = read_study(find_run(run, runs, storage), storage)
    with create_server(stored, port, host) as server:
        say(f"{study_address(stored, server)}   (Ctrl-C ends it)")
        port = server.server_port
        if server.token is None:
            err.print(
                "Read-only, and for this machine only, as it has no login. From another machine: "
                f"--host 0.0.0.0, or ssh -L {port}:{HOST}:{port} HERE",
            )
        else:
            err.print(
                "Read-only, for who has this address with its token; it is sent unencrypted. Another name of "
                "this machine in its place, as localhost, does as well.",
            )
        server.serve_forever()


def export(
    result: ArchitectureFile, run: str, runs: Path, storage: str | None, output: Path | None = None
) -> Said:
    """Writes them as an architecture file; hgcnet.load(FILE) rebuilds the network.

    Args:
        output: by default best.toml in the run folder.
    """
    if output is None:
        folder = find_run(run, runs, storage)
        folder.check_exists("say where to, by -o FILE")
    path = output or folder.path / "best.toml"
    write_architecture(path, result)
    document = {"file": str(path), **result.provenance}
    return document, [_exported(path, result), str(result.architecture)]


def enqueue(result: ArchitectureFile, run: str, network: str) -> Said:
    """The network is next if the study's budget leaves room for it."""
    line = f"{network} is next in {Path(run).name} (if its budget leaves room for it)"
    return {"fingerprint": result.architecture.fingerprint}, [line]


def _print_results(stored: "StoredStudy", files: tuple[Path, ...]) -> None:
    """The files that a run ends with, the exported network last."""
    for path in files:
        is_network = path.name == "best.toml"
        say(_exported(path, read_architecture(path)) if is_network else str(path))
    name, best = stored.file.name, stored.folder.path / "best.toml"
    more = f"hgcnas dashboard {name} · hgcnas describe {best}" if files else f"hgcnas report {name}"
    say(f"Next: {more}")


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
        f"data   {file.data.dataset}: {facts['classes']} classes, {facts['train_images']:,} images to "
        f"train on, {facts['val_images']:,} to validate; of test images there are {facts['test_images']:,}",
        f"GPUs   {facts['gpus_here']} here; {file.workers.gpus:g} asked for each trial",
        f"time   {time}{to_read}",
        *([] if memory is None else [f"memory {MemoryNeed(**memory).text}"]),
    )


def schema(markdown: bool = False) -> Said:
    """Prints the JSON Schema of study files, by which editors complete, explain and check the keys.

    Args:
        markdown: print the reference of all keys instead, for people.
    """
    document = study_file_schema()
    return document, [study_file_reference() if markdown else json.dumps(document, indent=2)]


def init(name: str, file: Path | None = None) -> Said:
    """Writes a study file to start from: a copy of one that comes with hgcnas, with its comments.

    Args:
        name: quickstart, cifar10, own-images or another one; a wrong name lists them.
        file: where to; by default NAME.toml.
    """
    path = write_template(name, file)
    return {"file": str(path)}, [f"{path} is written; `hgcnas run {path}` starts the study"]
