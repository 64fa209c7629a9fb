"""The commands about studies: from running one to exporting its best network."""

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hgcnet.architecture import ArchitectureFile, write_architecture
from hgcnet.errors import RunError
from search.cli import terminal
from search.cli.arguments import (
    Json,
    Network,
    RayAddress,
    Run,
    Runs,
    Storage,
    StudyPath,
    err,
    out,
    print_json,
)
from search.study.progress import progress_line
from search.units import count_text, duration

if TYPE_CHECKING:
    from search.results.stored_study import StoredStudy
    from search.run import RunOutcome
    from search.study_file.schema import StudyFile


def run(
    study: StudyPath,
    trials: Annotated[
        int | None, typer.Option(min=1, help="The budget of trials, instead of the file's.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Validate the study and print its size and estimated duration, without running it.",
        ),
    ] = False,
    no_report: Annotated[
        bool,
        typer.Option(
            "--no-report", help="Write no report.html, trials.csv, trials.parquet and best.toml."
        ),
    ] = False,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    ray_address: RayAddress = None,
    as_json: Json = False,
) -> None:
    """Start a study, or continue it; it ends with a report and best.toml in the run folder.

    Ctrl-C stops it cleanly; the same command continues. A used-up budget is raised by --trials.
    """
    from search.forecast import forecast
    from search.prepare import prepare
    from search.results.stored_study import read_study
    from search.results.summary import summarise_study
    from search.run import run as run_study
    from search.run import write_results
    from search.study.run_folder import RunFolder
    from search.study_file.reading import read_study_file

    file = read_study_file(study)
    if trials is not None:
        file = file.with_trials(trials)
    prepared = prepare(file)
    if dry_run:
        facts = forecast(prepared)
        if as_json:
            print_json(facts)
        else:
            _print_forecast(file, facts)
        return
    folder = RunFolder(runs / file.name)
    if not as_json:
        out.print(
            f"study {file.name}: {file.budget.trials} trials by {file.sampler.kind} on "
            f"{file.data.dataset}, in a space of {prepared.space.space.size:,} points"
        )
    printer = terminal.ProgressPrinter(err if as_json else out)
    with printer.showing():
        outcome = run_study(
            prepared,
            folder,
            storage_url=storage,
            ray_address=ray_address,
            observe=printer.take_study,
        )
    stored = read_study(folder, storage)
    if not as_json:
        _print_outcome(outcome, stored)
    files = () if no_report else write_results(stored)
    if as_json:
        ending = {"reason": outcome.reason, "nothing_to_do": outcome.did_nothing}
        print_json(summarise_study(stored) | ending | {"files": [str(path) for path in files]})
    else:
        _print_results(stored, files)


def list_studies(runs: Runs = Path("runs"), storage: Storage = None, as_json: Json = False) -> None:
    """List the studies with their counts and best accuracies."""
    from search import api

    rows, unreadable = api.list_studies(runs=runs, storage=storage)
    if as_json:
        print_json(rows)
    elif rows:
        out.print(terminal.runs_table(rows))
    else:
        out.print(f"No studies in {runs}. `hgcnas run STUDY.toml` starts one.")
    if unreadable:
        raise RunError("\n".join(map(str, unreadable)))


def status(
    run: Run, runs: Runs = Path("runs"), storage: Storage = None, as_json: Json = False
) -> None:
    """Show a study's counts, its front so far, and the time used and left. It may be running."""
    from search.results.stored_study import read_study
    from search.results.summary import summarise_study
    from search.study.run_folder import find_run

    stored = read_study(find_run(run, runs), storage)
    summary = summarise_study(stored)
    if as_json:
        print_json(summary)
        return
    for line in terminal.status_lines(summary):
        out.print(line, highlight=False)
    out.print(terminal.front_table(stored.trials()))


def report(
    run: Run,
    open_page: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    as_json: Json = False,
) -> None:
    """Write report.html (one self-contained page), trials.csv and trials.parquet."""
    from search import api

    paths = api.write_report(run, runs=runs, storage=storage)
    if as_json:
        print_json({"files": [str(path) for path in paths]})
    else:
        out.print("\n".join(map(str, paths)), highlight=False, soft_wrap=True)
    if open_page:
        webbrowser.open(paths[0].resolve().as_uri())


def dashboard(
    run: Run,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free port.")] = 8080,
    runs: Runs = Path("runs"),
    storage: Storage = None,
) -> None:
    """Serve Optuna Dashboard over the study on 127.0.0.1, also while it runs. Ctrl-C ends it."""
    from search.dashboard.server import create_server, study_address
    from search.results.stored_study import read_study
    from search.study.run_folder import find_run

    stored = read_study(find_run(run, runs), storage)
    with create_server(stored, port) as server:
        out.print(
            f"{study_address(stored, server)}   (Ctrl-C ends it)", highlight=False, soft_wrap=True
        )
        port = server.server_port
        err.print(
            "Read-only, and for this machine only, as it has no login. From another machine: "
            f"ssh -L {port}:127.0.0.1:{port} HERE",
            highlight=False,
        )
        server.serve_forever()


def export(
    run: Run,
    trial: Annotated[
        int | None, typer.Option(min=0, help="The number of a finished trial.")
    ] = None,
    select: Annotated[
        str,
        typer.Option(
            help="Of the front: best, the most accurate; knee, where more cost begins to buy little; "
            "max-flops=60e6 or max-params=1e6, the most accurate within so many."
        ),
    ] = "best",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Default: best.toml in the run folder.")
    ] = None,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    as_json: Json = False,
) -> None:
    """Write the architecture file of one network of the study; hgcnet.load(FILE) rebuilds it."""
    from search import api
    from search.study.run_folder import find_run

    file = api.export_architecture(run, trial=trial, select=select, runs=runs, storage=storage)
    path = output or find_run(run, runs).path / "best.toml"
    write_architecture(path, file)
    if as_json:
        print_json({"file": str(path), **file.provenance})
        return
    out.print(
        f"{_exported(path, file)}\n{file.architecture}",
        highlight=False,
        soft_wrap=True,
    )


def enqueue(
    run: Run,
    network: Network,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    as_json: Json = False,
) -> None:
    """Ask a study, running or not, to train this architecture next."""
    from search import api

    file = api.enqueue(run, network, runs=runs, storage=storage)
    if as_json:
        print_json({"fingerprint": file.architecture.fingerprint})
    else:
        out.print(f"{network} is next in {Path(run).name} (if its budget leaves room for it)")


def _print_outcome(outcome: "RunOutcome", stored: "StoredStudy") -> None:
    if outcome.did_nothing:
        out.print(f"Nothing to do: {outcome.reason}. --trials N raises it.")
    else:
        out.print(f"The study ended: {outcome.reason}, after {duration(outcome.progress.seconds)}.")
    out.print(progress_line(outcome.progress))
    out.print(terminal.front_table(stored.trials()))


def _print_results(stored: "StoredStudy", files: tuple[Path, ...]) -> None:
    """The files that a run ends with, the exported network last."""
    from hgcnet.architecture import read_architecture

    name = stored.file.name
    for path in files:
        is_network = path.name == "best.toml"
        text = _exported(path, read_architecture(path)) if is_network else str(path)
        out.print(text, highlight=False, soft_wrap=True)
    more = f"hgcnas dashboard {name} · hgcnas describe {stored.folder.path / 'best.toml'}"
    out.print(
        f"Next: {more if files else f'hgcnas report {name}'}", highlight=False, soft_wrap=True
    )


def _exported(path: Path, file: ArchitectureFile) -> str:
    facts = file.provenance
    estimate = facts.get("estimated_accuracy")
    estimated = "" if estimate is None else f"estimated {estimate:.4f}, "
    return (
        f"{path}: trial {facts['trial']}, {estimated}measured {facts['val_accuracy']:.4f}, "
        f"{count_text(facts['flops'])} FLOPs, {count_text(facts['num_params'])} params"
    )


def _print_forecast(file: "StudyFile", facts: dict[str, Any]) -> None:
    networks = facts["networks"]
    listed = "" if networks is None else f" ({networks:,} different networks)"
    limit = "none" if file.limits.flops is None else count_text(file.limits.flops)
    low, high = count_text(facts["flops_low"]), count_text(facts["flops_high"])
    time = "unknown: there is no GPU here to measure on"
    if facts["hours"] is not None:
        time = (
            f"about {duration(3600 * facts['hours'])} without early stopping: "
            f"{facts['seconds_per_trial']} s a trial, {facts['trials_at_once']} at once"
        )
    lines = {
        "study": f"{file.name}, {file.budget.trials} trials by {file.sampler.kind}",
        "space": f"{facts['points']:,} points, {facts['feasible_share']:.2%} within the limits{listed}",
        "FLOPs": f"{low} to {high}; limit {limit}",
        "data": (
            f"{file.data.dataset}: {facts['classes']} classes, {facts['train_images']:,} images to "
            f"train on, {facts['val_images']:,} to validate"
        ),
        "GPUs": f"{facts['gpus_here']} here; {file.workers.gpus:g} asked for each trial",
        "time": time,
    }
    for label, text in lines.items():
        out.print(f"{label:6} {text}", highlight=False, soft_wrap=True)
