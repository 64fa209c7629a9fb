"""The commands about studies: from running one to exporting its best network."""

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hgcnet.architecture import write_architecture
from hgcnet.errors import RunError, UserError
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
    read_network,
)
from search.study.progress import progress_line
from search.units import count_text, duration

if TYPE_CHECKING:
    from search.prepare import PreparedStudy


def run(
    study: StudyPath,
    trials: Annotated[
        int | None, typer.Option(min=1, help="The budget of trials, instead of the file's.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Check it, and say its size and expected time; start nothing."
        ),
    ] = False,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    ray_address: RayAddress = None,
    as_json: Json = False,
) -> None:
    """Start a study, or continue it where it was left.

    Ctrl-C stops it cleanly; the same command goes on. A used-up budget is raised by --trials.
    """
    from search.forecast import forecast
    from search.prepare import prepare
    from search.results.stored_study import read_study
    from search.results.summary import summarise_study
    from search.run import drive
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
            _print_forecast(prepared, facts)
        return
    folder = RunFolder(runs / file.name)
    if not as_json:
        out.print(
            f"study {file.name}: {file.budget.trials} trials by {file.sampler.kind} on "
            f"{file.data.dataset}, in a space of {prepared.space.space.size:,} points"
        )
    printer = terminal.ProgressPrinter(err if as_json else out)
    with printer.showing():
        outcome = drive(
            prepared,
            folder,
            storage_url=storage,
            ray_address=ray_address,
            observe=printer.take_study,
        )
    stored = read_study(folder, storage)
    frame = stored.trials()
    if as_json:
        print_json(
            summarise_study(stored)
            | {"reason": outcome.reason, "nothing_to_do": outcome.did_nothing}
        )
        return
    if outcome.did_nothing:
        out.print(f"Nothing to do: {outcome.reason}. --trials N raises it.")
    else:
        out.print(f"The study ended: {outcome.reason}, after {duration(outcome.progress.seconds)}.")
    out.print(progress_line(outcome.progress))
    out.print(terminal.front_table(frame))
    out.print(
        f"Next: hgcnas report {file.name} · hgcnas dashboard {file.name} · hgcnas export {file.name}",
        highlight=False,
    )


def list_studies(runs: Runs = Path("runs"), storage: Storage = None, as_json: Json = False) -> None:
    """List the studies with their counts and best accuracies."""
    from search.results.stored_study import read_study
    from search.results.summary import summarise_study
    from search.study.run_folder import list_runs

    rows, unreadable = [], []
    for folder in list_runs(runs):
        try:
            rows.append(summarise_study(read_study(folder, storage)))
        except UserError as error:
            unreadable.append(error)
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
    from search.report.page import write_page
    from search.results.stored_study import read_study
    from search.results.summary import report_facts
    from search.results.trials import write_csv, write_parquet
    from search.retraining.confirm import read_confirmations
    from search.study.run_folder import find_run

    folder = find_run(run, runs)
    stored = read_study(folder, storage)
    frame = stored.estimated_trials()
    page = folder.path / "report.html"
    try:
        write_page(
            page,
            title=f"hgcnas: {stored.file.name}",
            facts=report_facts(stored),
            frame=frame,
            bounds=stored.bounds,
            run=stored.file.name,
            task=stored.space.space.task,
            rung_epochs=stored.rung_epochs,
            confirmed=read_confirmations(folder.path),
        )
        write_csv(frame, folder.path / "trials.csv")
        write_parquet(frame, folder.path / "trials.parquet")
    except OSError as error:
        raise RunError(f"{folder.path}: cannot be written: {error.strerror}") from error
    files = [str(folder.path / name) for name in ("report.html", "trials.csv", "trials.parquet")]
    if as_json:
        print_json({"files": files})
    else:
        out.print("\n".join(files), highlight=False, soft_wrap=True)
    if open_page:
        webbrowser.open(page.resolve().as_uri())


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
            "It only shows, and only to this machine, as it has no login. From another one: "
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
            help="best, the most accurate; knee, where more FLOPs begin to buy little; or "
            "max-flops=60e6, the most accurate within so many."
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
    from search.export import export_trial, select_trial
    from search.results.stored_study import read_study
    from search.study.run_folder import find_run

    folder = find_run(run, runs)
    stored = read_study(folder, storage)
    number = trial if trial is not None else select_trial(stored.estimated_trials(), select)
    file = export_trial(stored, number)
    estimated = file.provenance.get("estimated_accuracy")
    path = output or folder.path / "best.toml"
    write_architecture(path, file)
    if as_json:
        print_json({"file": str(path), **file.provenance})
        return
    out.print(
        f"{path}: trial {number}, {file.provenance['val_accuracy']:.4f} "
        f"{'' if estimated is None else f'(estimated to be {estimated:.4f}) '}at "
        f"{count_text(file.provenance['flops'])} FLOPs, "
        f"{count_text(file.provenance['num_params'])} params\n{file.architecture}",
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
    from search.results.stored_study import read_study
    from search.study.run_folder import find_run

    folder = find_run(run, runs)
    stored = read_study(folder, storage)
    architecture = read_network(network).architecture
    try:
        stored.space.encode(architecture)
    except UserError as error:
        raise RunError(f"{network}: {error}") from error
    if (number := stored.fingerprints().get(architecture.fingerprint)) is not None:
        raise RunError(f"{network}: the study has it already, as trial {number}")
    folder.put_in_queue(Path(network).stem, architecture)
    if as_json:
        print_json({"fingerprint": architecture.fingerprint})
    else:
        out.print(f"{network} is next in {stored.file.name} (if its budget leaves room for it)")


def _print_forecast(prepared: "PreparedStudy", facts: dict[str, Any]) -> None:
    file = prepared.file
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
