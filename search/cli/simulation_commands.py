"""The commands that search without training: a table of trained networks, and simulations on it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

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
    from search import api

    with training_progress(as_json) as observe:
        table = api.tabulate(
            study,
            output=output,
            networks=networks,
            near_front=near_front,
            without_ray=without_ray,
            runs=runs,
            ray_address=ray_address,
            observe=observe,
        )
    seconds = float(table.trainings["seconds"].sum())
    facts = {
        "file": str(table.path),
        "networks": table.trainings["fingerprint"].nunique(),
        "trainings": len(table.trainings),
        "seconds": round(seconds, 1),
        "complete": table.is_complete,
    }
    if as_json:
        print_json(facts)
        return
    out.print(
        f"{table.path}: {facts['networks']} networks, {facts['trainings']} trainings, "
        f"{duration(seconds)} of training",
        highlight=False,
        soft_wrap=True,
    )
    if not table.is_complete:
        out.print("Some trainings are missing; the same command continues.")


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
    from search import api

    kinds = [kind.strip() for kind in samplers.split(",")]
    with terminal.searches(err if as_json else out, len(kinds) * seeds) as observe:
        simulation = api.simulate(
            study,
            table,
            samplers=kinds,
            workers=workers,
            seeds=seeds,
            trials=trials,
            runs=runs,
            observe=observe,
        )
    quality = simulation.surrogate
    if not quality.is_trusted:
        err.print(
            f"{table}: the surrogate's tau is {quality.tau:.2f} in cross-validation, below 0.7: "
            "conclude nothing from this",
            highlight=False,
            soft_wrap=True,
        )
    if as_json:
        rows = json.loads(simulation.summary.to_json(orient="records"))  # null: never
        print_json({"surrogate": asdict(quality), "samplers": rows})
        return
    out.print(
        f"{quality.networks} networks; the surrogate: tau {quality.tau:.2f}, residual "
        f"{quality.residual:.4f}, noise of a seed {quality.noise:.4f}",
        highlight=False,
        soft_wrap=True,
    )
    out.print(terminal.simulation_table(simulation.summary))
    out.print(str(simulation.page), highlight=False, soft_wrap=True)
