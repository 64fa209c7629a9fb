"""The commands. The only place that prints to people, and where mistakes of theirs are caught."""

import json
import os
import sys
import traceback
import webbrowser
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from hgcnet.architecture import ArchitectureFile, Task, read_architecture, write_architecture
from hgcnet.complexity import count, layer_table
from hgcnet.errors import ArchitectureError, RunError, UserError
from hgcnet.presets import PRESETS, preset
from search import console as show

if TYPE_CHECKING:
    from search.preparation import PreparedStudy

app = typer.Typer(
    name="hgcnas",
    help="Searches for the HGCNets with the best accuracy for their FLOPs.\n\n"
    "A study file (TOML) declares the search space. `hgcnas run` trains short proxies of its networks "
    "and keeps every result in runs/NAME; the same command continues a study that was interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
out, err = Console(), Console(stderr=True)

StudyPath = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The study file.")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A study's name, or its run folder.")]
Network = Annotated[
    str, typer.Argument(metavar="ARCH.toml|PRESET", help="An architecture file or a preset's name.")
]
NetworkOrFolder = Annotated[
    str,
    typer.Argument(
        metavar="ARCH.toml|PRESET|FOLDER",
        help="An architecture file, a preset's name, or a model folder.",
    ),
]
Runs = Annotated[Path, typer.Option("--runs", help="The folder that holds the run folders.")]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        envvar="HGCNAS_STORAGE",
        help="postgresql://USER:PASSWORD@HOST/DATABASE in place of the run folder's SQLite.",
        show_envvar=True,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    if debug:
        os.environ["HGCNAS_DEBUG"] = "1"


@app.command()
def run(
    study: StudyPath,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Instead of the file's [budget] trials.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what the study would be; writes nothing.")
    ] = False,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    ray_address: Annotated[
        str | None,
        typer.Option(envvar="RAY_ADDRESS", help="HOST:PORT of a Ray cluster to join, or auto."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Start a study, or continue it where it was left.

    Ctrl-C stops it cleanly; the same command goes on. A used-up budget is raised by --trials.
    """
    from search.preparation import forecast, prepare
    from search.run import run_study
    from search.run_folder import RunFolder
    from search.stored_study import read_study
    from search.study_file import read_study_file
    from search.summary import summarise

    file = read_study_file(study)
    if trials is not None:
        file = file.with_trials(trials)
    prepared = prepare(file)
    if dry_run:
        facts = forecast(prepared)
        if as_json:
            _print_json(facts)
        else:
            _print_forecast(prepared, facts)
        return
    folder = RunFolder(runs / file.name)
    if not as_json:
        out.print(
            f"study {file.name}: {file.budget.trials} trials by {file.sampler.kind} on "
            f"{file.data.dataset}, in a space of {prepared.space.space.size:,} points"
        )
    printer = show.ProgressPrinter(err if as_json else out)
    with printer.showing():
        outcome = run_study(
            prepared, folder, storage_url=storage, ray_address=ray_address, observe=printer
        )
    stored = read_study(folder, storage)
    frame = stored.trials()
    if as_json:
        _print_json(
            summarise(stored) | {"reason": outcome.reason, "nothing_to_do": outcome.did_nothing}
        )
        return
    if outcome.did_nothing:
        out.print(f"Nothing to do: {outcome.reason}. --trials N raises it.")
    else:
        out.print(
            f"The study ended: {outcome.reason}, after {show.duration(outcome.progress.seconds)}."
        )
    out.print(show.progress_line(outcome.progress))
    out.print(show.front_table(frame))
    out.print(
        f"Next: hgcnas report {file.name} · hgcnas dashboard {file.name} · hgcnas export {file.name}",
        highlight=False,
    )


@app.command(name="list")
def list_studies(runs: Runs = Path("runs"), storage: Storage = None, as_json: Json = False) -> None:
    """List the studies of a folder."""
    from search.run_folder import list_runs
    from search.stored_study import read_study
    from search.summary import summarise

    rows, unreadable = [], []
    for folder in list_runs(runs):
        try:
            rows.append(summarise(read_study(folder, storage)))
        except UserError as error:
            unreadable.append(error)
    if as_json:
        _print_json(rows)
    elif rows:
        out.print(show.runs_table(rows))
    else:
        out.print(f"No studies in {runs}. `hgcnas run STUDY.toml` starts one.")
    if unreadable:
        raise RunError("\n".join(map(str, unreadable)))


@app.command()
def status(
    run: Run, runs: Runs = Path("runs"), storage: Storage = None, as_json: Json = False
) -> None:
    """Show a study's counts, its front so far, and the time used and left. It may be running."""
    from search.run_folder import find_run
    from search.stored_study import read_study
    from search.summary import summarise

    stored = read_study(find_run(run, runs), storage)
    summary = summarise(stored)
    if as_json:
        _print_json(summary)
        return
    driver = summary["driver"]
    out.print(
        f"study {summary['study']} on {summary['data_set']}: {summary['trained']}/{summary['budget']} "
        f"trained ({summary['finished']} finished, {summary['stopped']} stopped), "
        f"{summary['failed']} failed, {summary['running']} running"
    )
    left = summary["seconds_left"]
    out.print(
        f"time used {show.duration(summary['seconds_used'])}, left "
        f"{'unknown' if left is None else 'about ' + show.duration(left)}; "
        f"{'driven by ' + driver if driver else 'no driver is running'}"
    )
    if summary["hypervolume"] is not None:
        out.print(f"hypervolume {summary['hypervolume']:.4f}")
    out.print(show.front_table(stored.trials()))


@app.command()
def report(
    run: Run,
    open_page: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    as_json: Json = False,
) -> None:
    """Write report.html (one self-contained page), trials.csv and trials.parquet."""
    from search.report.page import write_page
    from search.results import write_csv, write_parquet
    from search.run_folder import find_run
    from search.stored_study import read_study
    from search.summary import report_facts

    folder = find_run(run, runs)
    stored = read_study(folder, storage)
    frame = stored.trials()
    page = folder.path / "report.html"
    try:
        write_page(
            page,
            title=f"hgcnas: {stored.file.name}",
            facts=report_facts(stored),
            frame=frame,
            bounds=stored.bounds,
            run=stored.file.name,
        )
        write_csv(frame, folder.path / "trials.csv")
        write_parquet(frame, folder.path / "trials.parquet")
    except OSError as error:
        raise RunError(f"{folder.path}: cannot be written: {error.strerror}") from error
    files = [str(folder.path / name) for name in ("report.html", "trials.csv", "trials.parquet")]
    if as_json:
        _print_json({"files": files})
    else:
        out.print("\n".join(files), highlight=False, soft_wrap=True)
    if open_page:
        webbrowser.open(page.resolve().as_uri())


@app.command()
def dashboard(
    run: Run,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free port.")] = 8080,
    runs: Runs = Path("runs"),
    storage: Storage = None,
) -> None:
    """Serve Optuna Dashboard over the study on 127.0.0.1, also while it runs. Ctrl-C ends it."""
    from search.dashboard import create_server, study_address
    from search.run_folder import find_run
    from search.stored_study import read_study

    stored = read_study(find_run(run, runs), storage)
    with create_server(stored, port) as server:
        out.print(
            f"{study_address(stored, server)}   (Ctrl-C ends it)", highlight=False, soft_wrap=True
        )
        port = server.server_port
        err.print(
            "Only this machine can open it, as it has no login and can delete studies. From another "
            f"one: ssh -L {port}:127.0.0.1:{port} HERE",
            highlight=False,
        )
        server.serve_forever()


@app.command()
def export(
    run: Run,
    trial: Annotated[
        int | None, typer.Option(min=0, help="The number of a finished trial.")
    ] = None,
    select: Annotated[
        str, typer.Option(help="best, knee, or max-flops=60e6: the most accurate within a budget.")
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
    from search.run_folder import find_run
    from search.stored_study import read_study

    folder = find_run(run, runs)
    stored = read_study(folder, storage)
    number = trial if trial is not None else select_trial(stored.trials(), select)
    file = export_trial(stored, number)
    path = output or folder.path / "best.toml"
    write_architecture(path, file)
    if as_json:
        _print_json({"file": str(path), **file.provenance})
        return
    out.print(
        f"{path}: trial {number}, {file.provenance['val_accuracy']:.4f} at "
        f"{show.count_text(file.provenance['flops'])} FLOPs, "
        f"{show.count_text(file.provenance['num_params'])} params\n{file.architecture}",
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def enqueue(
    run: Run,
    network: Network,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    as_json: Json = False,
) -> None:
    """Ask a study, running or not, to train this architecture next."""
    from search.run_folder import find_run
    from search.stored_study import read_study

    folder = find_run(run, runs)
    stored = read_study(folder, storage)
    architecture = _read_network(network).architecture
    try:
        stored.space.encode(architecture)
    except UserError as error:
        raise RunError(f"{network}: {error}") from error
    if (number := stored.fingerprints().get(architecture.fingerprint)) is not None:
        raise RunError(f"{network}: the study has it already, as trial {number}")
    folder.put_in_queue(Path(network).stem, architecture)
    if as_json:
        _print_json({"fingerprint": architecture.fingerprint})
    else:
        out.print(f"{network} is next in {stored.file.name} (if its budget leaves room for it)")


@app.command()
def describe(
    network: NetworkOrFolder,
    num_classes: Annotated[
        int | None, typer.Option(min=1, help="Default: the file's, or 10.")
    ] = None,
    in_channels: Annotated[
        int | None, typer.Option(min=1, help="Default: the file's, or 3.")
    ] = None,
    resolution: Annotated[
        int | None, typer.Option(min=8, max=1024, help="Default: the file's, or 32.")
    ] = None,
    latency: Annotated[
        bool,
        typer.Option("--latency", help="Also time one image on this machine's CPU, in one thread."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Print the layer table: shapes, FLOPs (multiply-adds of one image), params, share of each."""
    file = _read_network(network)
    given = {"num_classes": num_classes, "in_channels": in_channels, "resolution": resolution}
    task = replace(file.task, **{key: value for key, value in given.items() if value is not None})
    layers, total = layer_table(file.architecture, task), count(file.architecture, task)
    facts: dict[str, Any] = {}
    if latency:
        from hgcnet.latency import hardware_name, measure_latency

        timed = measure_latency(file.architecture, task)
        facts = {
            "hardware": hardware_name(),
            "threads": 1,
            "latency": {row.form: asdict(row) for row in timed},
        }
    if as_json:
        _print_json(
            {
                "fingerprint": file.architecture.fingerprint,
                **asdict(total),
                "task": asdict(task),
                "layers": [asdict(layer) for layer in layers],
                **facts,
            }
        )
        return
    out.print(show.layers_table(layers, total))
    out.print(
        f"{total.flops:,} FLOPs, {total.num_params:,} params "
        f"({total.num_params_total:,} with batch normalisation), fingerprint "
        f"{file.architecture.fingerprint}",
        soft_wrap=True,
    )
    if latency:
        out.print(
            f"one image on {facts['hardware']}, 1 thread, float32:\n{show.latency_lines(timed)}",
            highlight=False,
            soft_wrap=True,
        )


@app.command(name="export-onnx")
def export_graph(
    network: NetworkOrFolder,
    output: Annotated[Path, typer.Option("-o", "--output", help="The ONNX file.")],
    form: Annotated[
        Literal["grouped", "dense"],
        typer.Option(
            help="grouped: the structure, with the FLOPs and params that are counted everywhere. "
            "dense: composed and merged weights; fewer, larger nodes that execute more."
        ),
    ] = "grouped",
    resolution: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Default: the file's, or 32.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a network as ONNX for batches of any size: trained, if it is a model folder."""
    from hgcnet.model import HGCNet
    from hgcnet.onnx_graph import export_onnx
    from hgcnet.portable import load, read_record

    file = _read_network(network)
    record = read_record(network) if _is_model_folder(network) else None
    model = load(network) if record else HGCNet(file.architecture, file.task)
    counts = export_onnx(
        model,
        output,
        form=form,
        resolution=resolution,
        mean=record.mean if record else None,
        std=record.std if record else None,
    )
    total = count(
        file.architecture, replace(file.task, resolution=resolution or file.task.resolution)
    )
    if as_json:
        facts = {"file": str(output), "form": form, "trained": record is not None}
        _print_json(facts | asdict(counts) | {"structure": asdict(total)})
        return
    lines = [
        f"{output}: {form}, executes {show.count_text(counts.flops)} FLOPs with "
        f"{show.count_text(counts.num_params)} params"
    ]
    if form == "dense":
        lines.append(
            f"The structure has {show.count_text(total.flops)} and "
            f"{show.count_text(total.num_params)}: what studies and limits speak of."
        )
    if record is None:
        lines.append("The weights are fresh: good for timing, not for classifying.")
    out.print("\n".join(lines), highlight=False, soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """The console command: exit code 2 for a mistake of the user's, 1 for a failure."""
    try:
        code = app(arguments, standalone_mode=False) or 0
    except UserError as error:
        _complain(str(error))
        code = 2
    except typer.Abort:
        code = 130
    except KeyboardInterrupt:
        code = 130
    except typer.Exit as error:
        code = error.exit_code
    except Exception as error:  # the last line of defence: a traceback helps only those who ask
        if hasattr(error, "format_message"):  # a wrong command line
            _complain(error.format_message())
            code = 2
        else:
            _complain(f"{type(error).__name__}: {error} (this is a fault; --debug shows where)")
            code = 1
        if os.environ.get("HGCNAS_DEBUG"):
            traceback.print_exc()
    sys.exit(code)


def _complain(text: str) -> None:
    for line in text.splitlines():
        print(f"hgcnas: {line}", file=sys.stderr)


def _print_json(document: Any) -> None:
    print(json.dumps(document, default=str, allow_nan=False))


def _read_network(network: str) -> ArchitectureFile:
    """The architecture of a preset's name, of a file or of a model folder."""
    if network in PRESETS:
        return ArchitectureFile(architecture=PRESETS[network], task=Task())
    if _is_model_folder(network):
        from hgcnet.portable import read_record

        return read_record(network).file
    if network.endswith(".toml") or Path(network).exists():
        return read_architecture(network)
    try:
        return ArchitectureFile(architecture=preset(network), task=Task())
    except ArchitectureError as error:
        raise ArchitectureError(f"{network}: no such file; {error}") from error


def _is_model_folder(network: str) -> bool:
    return network not in PRESETS and Path(network).is_dir()


def _print_forecast(prepared: "PreparedStudy", facts: dict[str, Any]) -> None:
    file = prepared.file
    networks = facts["networks"]
    listed = "" if networks is None else f" ({networks:,} different networks)"
    limit = "none" if file.limits.flops is None else show.count_text(file.limits.flops)
    low, high = show.count_text(facts["flops_low"]), show.count_text(facts["flops_high"])
    time = "unknown: there is no GPU here to measure on"
    if facts["hours"] is not None:
        time = (
            f"about {show.duration(3600 * facts['hours'])} without early stopping: "
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
