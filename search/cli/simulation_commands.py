"""The commands that search without training: a table of trained networks, and simulations on it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from hgcnet.errors import RunError
from search.cli import terminal
from search.cli.arguments import (
    Json,
    RayAddress,
    Runs,
    StudyPath,
    err,
    out,
    print_json,
    training_progress,
)
from search.units import duration


def tabulate(
    study: StudyPath,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Default: table.parquet in the run folder."),
    ] = None,
    networks: Annotated[
        int, typer.Option(min=3, max=1_000_000, help="How many to draw uniformly from the space.")
    ] = 500,
    near_front: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="How many more, next to the front of those.")
    ] = 100,
    without_ray: Annotated[
        bool, typer.Option("--without-ray", help="Train in this process, one after another.")
    ] = False,
    runs: Runs = Path("runs"),
    ray_address: RayAddress = None,
    as_json: Json = False,
) -> None:
    """Train many networks of a space and write their curves as a table, for `hgcnas simulate`.

    A tenth of them are trained a second time with another seed, so that the
    noise is known. The same command goes on after an interruption.
    """
    from search.prepare import prepare
    from search.simulation.table import train_table, write_table
    from search.study_file.reading import read_study_file

    prepared = prepare(read_study_file(study))
    folder = runs / prepared.file.name / "table"
    with training_progress(as_json) as observe:
        frame, is_complete = train_table(
            prepared,
            folder,
            uniform=networks,
            near_front=near_front,
            ray_address=ray_address,
            without_ray=without_ray,
            observe=observe,
        )
    path = output or folder.parent / "table.parquet"
    write_table(frame, prepared, path)
    facts = {
        "file": str(path),
        "networks": frame["fingerprint"].nunique(),
        "trainings": len(frame),
        "seconds": round(float(frame["seconds"].sum()), 1),
        "complete": is_complete,
    }
    if as_json:
        print_json(facts)
        return
    out.print(
        f"{path}: {facts['networks']} networks, {facts['trainings']} trainings, "
        f"{duration(frame['seconds'].sum())} of training",
        highlight=False,
        soft_wrap=True,
    )
    if not is_complete:
        out.print("Some trainings are missing; the same command goes on.")


def simulate(
    study: StudyPath,
    table: Annotated[
        Path, typer.Option(help="A table of this study, written by `hgcnas tabulate`.")
    ],
    workers: Annotated[
        int, typer.Option(min=1, max=100_000, help="How many trainings run at once.")
    ] = 1,
    seeds: Annotated[
        int, typer.Option(min=1, max=10_000, help="How many searches by each sampler.")
    ] = 20,
    samplers: Annotated[
        str, typer.Option(help="Which to compare, with commas between.")
    ] = "random,tpe,known_cost",
    trials: Annotated[
        int | None,
        typer.Option(min=1, max=1_000_000, help="Of each search; default: the study's budget."),
    ] = None,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Search without training, on a table of trained networks, under a virtual clock.

    The samplers and the early stopping are those of studies. Prints medians over
    seeds of the hypervolume (of accuracies without noise), and how many more
    trained networks random search needs for the same.
    """
    from search.report.page import write_figures
    from search.report.retrained import simulated
    from search.simulation.surrogate import cross_validate
    from search.simulation.virtual_clock import (
        read_tabulated_space,
        simulate_searches,
        summarise_searches,
    )
    from search.study_file.reading import read_study_file
    from search.study_file.schema import SAMPLERS

    kinds = [kind.strip() for kind in samplers.split(",")]
    if unknown := [kind for kind in kinds if kind not in SAMPLERS]:
        raise RunError(f"--samplers: {unknown[0]!r} is not one of {', '.join(SAMPLERS)}")
    file = read_study_file(study)
    world, rows = read_tabulated_space(file, table)
    quality = cross_validate(rows, world.space.space)
    console = err if as_json else out
    if not quality.is_trusted:
        err.print(
            f"{table}: the surrogate's tau is {quality.tau:.2f} in cross-validation, below 0.7: "
            "conclude nothing from this",
            highlight=False,
            soft_wrap=True,
        )
    with terminal.searches(console, len(kinds) * seeds) as observe:
        frame = simulate_searches(
            world,
            samplers=kinds,
            workers=workers,
            trials=trials or file.budget.trials,
            seeds=seeds,
            observe=observe,
        )
    summary = summarise_searches(frame)
    page = runs / file.name / "simulate.html"
    axes = {
        "Against trained networks": simulated(frame, "trained", "trained networks"),
        "Against epochs": simulated(frame, "epochs", "epochs trained"),
        "Against time": simulated(frame, "seconds", "seconds of the virtual clock"),
    }
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        write_figures(page, f"hgcnas: {file.name}, {workers} workers", axes)
    except OSError as error:
        raise RunError(f"{page}: cannot be written: {error.strerror}") from error
    if as_json:
        rows_of_samplers = json.loads(summary.to_json(orient="records"))  # null: never
        print_json({"surrogate": asdict(quality), "samplers": rows_of_samplers})
        return
    out.print(
        f"{quality.networks} networks; the surrogate: tau {quality.tau:.2f}, residual "
        f"{quality.residual:.4f}, noise of a seed {quality.noise:.4f}",
        highlight=False,
        soft_wrap=True,
    )
    out.print(terminal.simulation_table(summary))
    out.print(str(page), highlight=False, soft_wrap=True)
