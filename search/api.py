"""What notebooks and scripts call. Commands of `hgcnas` take their arguments and helps from here.

Ray, torch, plotly, pandas and Optuna take seconds to load, and the Tab key waits for this file: each
function loads what it needs. Many functions have these:

Args:
    study: the study file.
    run: a study's name, or its run folder.
    runs: the folder of studies; each has a run folder in it, `runs/<its name>`.
    storage: a database, postgresql://USER:PASSWORD@HOST/DATABASE, instead of SQLite in the run folder;
        by default the environment's HGCNAS_STORAGE.
    ray_address: HOST:PORT of a Ray cluster to join, or auto; by default RAY_ADDRESS, else this machine.
    workers: how many trainings run at once; by default `[workers] at_once` of the study, else as many as
        there is room for.
    seeds: how many trainings of each network.
    epochs: of each training; by default the study's.
    train_images: images to train on; by default the study's.
    resolution: of the images, in pixels; by default the study's.
    observe: is called after every training with how far it is.

Raises:
    hgcnet.errors.UserError: it cannot be done as asked; the message says where, and what would be right.
        Everything that can be checked is checked before anything is written.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hgcnet.architecture import ArchitectureFile
from hgcnet.errors import RunError, StudyFileError, UserError, shown
from hgcnet.networks import find_network
from hgcnet.preparation import FITS, Fit
from search.data.data_config import DataConfig
from search.data.datasets import DATASETS
from search.stop_signals import GRACE
from search.study.progress import Progress, progress_line  # noqa: F401, as `search` gives it
from search.study.run_folder import RunFolder, find_run, list_runs
from search.study_file.reading import read_study_file, resolution_error
from search.study_file.schema import SAMPLERS, StudyFile
from search.training.proxy_config import ProxyConfig
from search.training.recipe import Recipe, with_options

if TYPE_CHECKING:
    import pandas as pd

    from search.data.inspection import DataInspection
    from search.predict_files import PredictedFiles
    from search.results.stored_study import StoredStudy
    from search.retraining.compare import Comparison
    from search.retraining.confirm import Confirmation
    from search.retraining.fidelity import Fidelity
    from search.retraining.full_training import FullTraining
    from search.retraining.retraining_loop import RetrainingProgress
    from search.simulation.table import NetworkTable
    from search.simulation.virtual_clock import Simulation
    from search.training.proxy_training import EpochResult

    ObserveTrainings = Callable[[RetrainingProgress], None]


def run_study(
    study: str | Path,
    *,
    trials: int | None = None,
    report: bool = True,
    join: bool = False,
    workers: int | None = None,
    runs: str | Path = "runs",
    storage: str | None = None,
    ray_address: str | None = None,
    grace: float = GRACE,
    observe: Callable[[Progress], None] | None = None,
) -> "pd.DataFrame":
    """Starts the study of a study file, or continues it where it was left; `hgcnas run` as a function.

    It returns when the budget is used, with report.html, trials.csv, trials.parquet and best.toml (the
    architecture file of the most accurate network) in the run folder. Interrupting it (Ctrl-C, the
    notebook's stop button) stops it cleanly, and a second interrupt ends the process at once; the same
    call continues. It can run in a thread, which no interrupt reaches. A Ray that the process has
    initialised already is used as it is.

    Args:
        trials: the budget of trials, instead of the file's.
        report: whether to write those four files.
        join: go on with a study of this name that another run folder began in the storage.
        grace: seconds to stop in, once interrupted; half of them are for the epochs that run.
        observe: is called with the study's state after every event. `search.progress_line` words it:
            `lambda progress: print(search.progress_line(progress), end="\\r")`.

    Returns:
        One row a trial, those of earlier runs included, as `load_trials`.
    """
    from search.prepare import prepare
    from search.run import run, write_results

    file = _with_options(read_study_file(study), trials=trials, workers=workers)
    folder, url = RunFolder(Path(runs) / file.name), _given(storage, "HGCNAS_STORAGE")
    run(
        prepare(file),
        folder,
        join=join,
        storage_url=url,
        ray_address=_given(ray_address, "RAY_ADDRESS"),
        grace=grace,
        observe=observe or (lambda progress: None),
    )
    stored = _read(file.name, runs, storage)
    if report:
        write_results(stored)
    return stored.trials()


def forecast_study(
    study: str | Path, *, trials: int | None = None, workers: int | None = None
) -> dict[str, Any]:
    """Checks a study and says what it would be: its space, data, expected time and memory. Writes nothing.

    Returns:
        what JSON can hold; `hours`, `seconds_per_trial` and `memory` are None where this machine does not
        have what a trial asks for; `cannot_run_here` says what that is.
    """
    from search.forecast import forecast
    from search.prepare import prepare

    file = _with_options(read_study_file(study), trials=trials, workers=workers)
    return forecast(prepare(file))


def check_data(data: str | Path) -> "DataInspection":
    """Looks at every image of every part of a data set, before anything runs.

    What cannot be read is listed with the reasons, and what is there: classes with their images, sizes and
    colours of files, pictures that are in more than one part. A second look opens only what has changed.

    Args:
        data: a study file, an image folder or an .npz file.

    Raises:
        hgcnet.errors.UserError: there is no such data set, or it is not laid out as it should be.
    """
    from search.data.inspection import inspect_data

    return inspect_data(_data_config(Path(data)))


def load_trials(
    run: str | Path, *, runs: str | Path = "runs", storage: str | None = None
) -> "pd.DataFrame":
    """The trials of a study, also while it runs: one row each, oldest first.

    Columns (`search.results.trials.COLUMNS` has all, with their types): `number`, `state` ("finished",
    "stopped" early, "failed", "running" or "waiting"), `on_front`, `quality` in [0, 1] by the
    study's own objective after the last epoch of finished trials (and `val_accuracy`, `val_balanced_accuracy`,
    `val_macro_f1`, one of which it is), `estimated_accuracy` (what a model of all trainings makes of the
    network, without one seed's noise; NaN while fewer than ten have finished; it decides on the front),
    `flops` (multiply-adds of one image), `num_params`, `architecture` in one line, `depth`, `growth`,
    `groups` and `se` stage by stage ("7-7-6"), `seconds` of training, `failure` with its reason, and
    `curve`, the list of the quality after every epoch.

    Raises:
        hgcnet.errors.RunError: there is no such study, or it cannot be read.
    """
    return _read(run, runs, storage).trials()


def study_status(
    run: str | Path, *, runs: str | Path = "runs", storage: str | None = None
) -> dict[str, Any]:
    """Counts, best network, hypervolume, front and time of a study, as JSON can hold them."""
    from search.results.summary import summarise_study

    return summarise_study(_read(run, runs, storage))


def list_studies(
    *, runs: str | Path = "runs", storage: str | None = None
) -> tuple[list[dict[str, Any]], list[UserError]]:
    """The `study_status` of every study in a folder, and what is wrong with those that cannot be read.

    With a storage also of those that are in it and have no run folder here.
    """
    from search.results.stored_study import read_study, stored_names
    from search.results.summary import summarise_study

    url = _given(storage, "HGCNAS_STORAGE")
    found, unreadable = [], []
    folders = list_runs(Path(runs))
    if url is not None:
        here = {folder.name for folder in folders}
        try:
            names = stored_names(url)
        except UserError as error:
            unreadable, names = [error], []
        folders += [RunFolder(Path(runs) / name) for name in names if name not in here]
    for folder in folders:
        try:
            found.append(summarise_study(read_study(folder, url)))
        except UserError as error:
            unreadable.append(error)
    return found, unreadable


def write_report(
    run: str | Path,
    *,
    output: str | Path | None = None,
    runs: str | Path = "runs",
    storage: str | None = None,
) -> tuple[Path, ...]:
    """Writes report.html (one self-contained page), trials.csv and trials.parquet, to these paths.

    Args:
        output: the folder for them; by default the run folder.
    """
    from search.report.report_files import write_report_files

    stored = _read(run, runs, storage)
    if output is None:
        stored.folder.check_exists("say where to, by -o FOLDER")
    return write_report_files(stored, Path(output) if output else stored.folder.path)


def export_architecture(
    run: str | Path,
    *,
    trial: int | None = None,
    select: str = "best",
    runs: str | Path = "runs",
    storage: str | None = None,
) -> ArchitectureFile:
    """Exports the network of one finished trial: its architecture, its task and where it came from.

        file = search.export_architecture("quickstart", select="knee")
        model = hgcnet.HGCNet(file.architecture, file.task)  # fresh weights
        hgcnet.write_architecture("net.toml", file)  # hgcnet.load("net.toml") rebuilds it

    Args:
        trial: the number of a finished trial; `select` is then not looked at.
        select: a rule for the front: best, the most accurate; knee, where more cost begins to buy little;
            max-flops=60e6 or max-params=1e6, the most accurate within so many.

    Raises:
        hgcnet.errors.RunError: there is no such study or trial, or nothing meets the rule.
    """
    from search.export import export_trial

    stored = _read(run, runs, storage)
    return export_trial(stored, stored.select(select) if trial is None else trial)


def enqueue(
    run: str | Path, network: str, *, runs: str | Path = "runs", storage: str | None = None
) -> ArchitectureFile:
    """Asks a study, running or not, to train this network next.

    Args:
        network: an architecture file or a preset's name.

    Raises:
        hgcnet.errors.UserError: it lies outside the study's space, or the study has it already.
    """
    stored, file = _read(run, runs, storage), find_network(network)
    try:
        stored.space.encode(file.architecture)
    except UserError as error:
        raise RunError(f"{network}: {error}") from error
    if (number := stored.fingerprints().get(file.architecture.fingerprint)) is not None:
        raise RunError(f"{network}: the study has it already, as trial {number}")
    stored.folder.check_exists("enqueue it where the study runs")
    stored.folder.put_in_queue(Path(network).stem, file.architecture)
    return file


def train(
    network: str,
    dataset: str,
    *,
    output: str | Path | None = None,
    root: str = "~/.cache/hgcnas",
    epochs: int = 300,
    seeds: int = 1,
    seed: int = 0,
    batch_size: int = 128,
    learning_rate: float = 0.1,
    weight_decay: float = 1e-4,
    recipe: Literal["paper", "strong"] = "paper",
    class_weights: Literal["none", "balanced"] = "none",
    from_model: str | None = None,
    resolution: int | None = None,
    train_images: int | None = None,
    hold_out: bool = False,
    channels: Literal["grey", "rgb"] | None = None,
    fit: Fit | None = None,
    unreadable: Literal["refuse", "skip"] = "refuse",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    observe: "Callable[[int, EpochResult, float], None] | None" = None,
    say: Callable[[str], None] | None = None,
) -> "FullTraining":
    """Trains one network in full and writes it as model folders.

    By the paper's recipe: SGD with Nesterov momentum, a cosine from the learning rate to 0, crops and
    mirroring. "strong" adds label smoothing, averaged weights, RandAugment-like changes, random erasing and
    a warm-up. The test images are read once, at the end. Rerun it to resume from the last epoch. Arguments
    without an explanation below are keys of a study file (`studies/reference.md`).

    Args:
        network: an architecture file, a preset's name, or a model folder.
        dataset: one of digits, cifar10, cifar100, image_folder and npz, or torchvision:NAME.
        output: the folder of the models; by default models/NETWORK-DATASET.
        root: the folder (or .npz file) of the data set.
        epochs: of each training.
        seeds: how many trainings, each a model with its seed.
        seed: the number that those seeds come from.
        from_model: a model folder to begin with: its weights are taken where names and shapes agree.
        resolution: of the images, in pixels; by default the architecture file's.
        train_images: how many to train on; by default all.
        hold_out: keep the validation images out of the training, and measure their accuracy each epoch.
        channels: what images become; by default as in the study that the architecture file is from, or as
            the files are.
        fit: how images become squares, "crop", "pad" or "stretch"; by default as in that study, or "crop".
        device: "auto" is a GPU, if there is one.
        observe: is called after every epoch with the repetition, the epoch and the seconds so far.
        say: is called with a line about the weights of `from_model`.

    Raises:
        hgcnet.errors.UserError: the network, the data or the device are not to be had, a folder cannot be
            written, or the training diverged.
    """
    from search.retraining.full_training import train_in_full

    file = find_network(network)
    if dataset not in DATASETS:
        raise UserError(f"--dataset {dataset}: is not one of {', '.join(DATASETS)}")
    data = DataConfig(
        dataset=dataset,  # type: ignore[arg-type]
        root=root,
        resolution=resolution or file.task.resolution,
        channels=channels or _of_its_study(file, network, "channels", ("grey", "rgb")),
        fit=fit or _of_its_study(file, network, "fit", FITS) or "crop",
        unreadable=unreadable,
    )
    proxy = ProxyConfig(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        train_images=train_images,
        recipe=recipe,
        class_weights=class_weights,
    )
    name = Path(network).stem
    return train_in_full(
        name,
        file,
        Recipe(data=data, proxy=proxy, hold_out=hold_out),
        Path(output) if output else Path("models") / f"{name}-{dataset}",
        seeds=seeds,
        seed=seed,
        device=device,
        begin_with=from_model,
        say=say or (lambda line: None),
        observe=observe or (lambda repetition, epoch, seconds: None),
    )


def predict(
    model: str | Path,
    paths: Iterable[str | Path],
    *,
    top: int = 3,
    output: str | Path | None = None,
    observe: Callable[[int, int], None] | None = None,
) -> "PredictedFiles":
    """Says what pictures show, by a trained network: the most probable classes of each, by name.

    Files may be of any size and kind that Pillow reads; they are prepared as those of the training were.
    Those that cannot be read are named, and the others predicted.

    Args:
        model: a model folder, as `train` and `confirm` write it.
        paths: files, and folders of which all images are taken.
        top: how many classes of each.
        output: a CSV file for them.
        observe: is called after every file with how many are done, and of how many.
    """
    from search.predict_files import predict_files

    return predict_files(
        model,
        paths,
        top=top,
        output=Path(output) if output else None,
        observe=observe or (lambda done, total: None),
    )


def confirm(
    run: str | Path,
    *,
    epochs: int | None = None,
    seeds: int = 3,
    train_images: int | None = None,
    resolution: int | None = None,
    select: str | None = None,
    recipe: Literal["paper", "strong"] | None = None,
    workers: int | None = None,
    runs: str | Path = "runs",
    storage: str | None = None,
    ray_address: str | None = None,
    observe: "ObserveTrainings | None" = None,
) -> "Confirmation":
    """Trains the front of a study again, longer and with fresh seeds, beside the paper's networks.

    The network with the best mean on the validation images is then tested on the test images, and its models
    are kept in the run folder. Nothing is written to the study. Rerun it to resume.

    Args:
        select: a rule for the front, as max-flops=60e6: that network alone.
        recipe: the paper's, or a strong one of today; by default the study's.
    """
    from search.retraining.confirm import confirm_front

    stored = _read(run, runs, storage)
    stored = replace(stored, file=_with_options(stored.file, workers=workers))
    return confirm_front(
        stored,
        _recipe(
            stored.file,
            epochs=epochs,
            train_images=train_images,
            resolution=resolution,
            recipe=recipe,
        ),
        seeds=seeds,
        select=select,
        ray_address=_given(ray_address, "RAY_ADDRESS"),
        observe=observe or (lambda progress: None),
    )


def compare(
    study: str | Path,
    *,
    seeds: int = 5,
    against: str | None = None,
    epochs: int | None = None,
    train_images: int | None = None,
    resolution: int | None = None,
    test: bool = False,
    workers: int | None = None,
    runs: str | Path = "runs",
    ray_address: str | None = None,
    observe: "ObserveTrainings | None" = None,
) -> "Comparison":
    """Trains the networks of a study file's `start_with` with paired seeds, and compares them.

    Nothing is searched. Writes trainings.csv and compare.html, with the learning curves, into the run
    folder. Rerun it to resume.

    Args:
        against: the network that the others are compared with; by default the first.
        test: compare on the test images: only where the networks were fixed beforehand.
    """
    from search.prepare import prepare
    from search.report.pages import write_comparison
    from search.retraining.compare import compare_networks

    file = _with_options(read_study_file(study), workers=workers)
    prepared = prepare(file)
    if not prepared.start_with:
        raise StudyFileError(
            f"{study}: sampler.start_with: is empty; the networks to compare stand there"
        )
    comparison = compare_networks(
        prepared,
        _recipe(file, epochs=epochs, train_images=train_images, resolution=resolution),
        Path(runs) / file.name / "compare",
        seeds=seeds,
        against=against or next(iter(prepared.start_with)),
        on_test=test,
        ray_address=_given(ray_address, "RAY_ADDRESS"),
        observe=observe or (lambda progress: None),
    )
    write_comparison(comparison, f"hgcnas: {file.name}, {comparison.recipe}")
    return comparison


def measure_fidelity(
    study: str | Path,
    *,
    networks: int = 40,
    proxies: Sequence[Mapping[str, int]] = (),
    reference_epochs: int | None = None,
    reference_images: int | None = None,
    reference_seeds: int = 1,
    workers: int | None = None,
    runs: str | Path = "runs",
    ray_address: str | None = None,
    observe: "ObserveTrainings | None" = None,
) -> "Fidelity":
    """Measures which cheap score of a network best predicts a longer training, and at what cost.

    Draws networks evenly over log FLOPs (log params, where FLOPs are no objective), and trains each by
    every proxy and by a longer recipe. Writes fidelity.json, scores.csv and fidelity.html, with the plot,
    into the run folder. Rerun it to resume.

    Args:
        networks: how many to draw from the space.
        proxies: settings of proxies to judge beside the study's, as {"epochs": 4, "resolution": 12}; by
            default four like it.
        reference_epochs: of the longer training; by default three times the proxy's.
        reference_images: of the longer training; by default the proxy's.
        reference_seeds: longer trainings of each network; their mean counts.
    """
    from search.prepare import prepare
    from search.report.pages import write_fidelity
    from search.retraining.fidelity import default_proxies, train_and_correlate

    file = _with_options(read_study_file(study), workers=workers)
    base, folder = _recipe(file), Path(runs) / file.name / "fidelity"
    given = [_recipe(file, **settings) for settings in proxies]
    for proxy in () if given else default_proxies(base):
        if (error := resolution_error(proxy.resolution, file.parameters)) is not None:
            raise StudyFileError(
                f"{file.source}: of the proxies that fidelity tries by default, one is too small: {error}; name "
                "others by --proxy"
            )
    epochs = reference_epochs or 3 * base.proxy.epochs
    fidelity = train_and_correlate(
        prepare(file),
        folder,
        [base, *given] if given else default_proxies(base),
        with_options(base, epochs=epochs, train_images=reference_images),
        networks=networks,
        repetitions=reference_seeds,
        ray_address=_given(ray_address, "RAY_ADDRESS"),
        observe=observe or (lambda progress: None),
    )
    write_fidelity(fidelity, f"hgcnas: {file.name}")
    return fidelity


def tabulate(
    study: str | Path,
    *,
    output: str | Path | None = None,
    networks: int = 500,
    near_front: int = 100,
    without_ray: bool = False,
    workers: int | None = None,
    runs: str | Path = "runs",
    ray_address: str | None = None,
    observe: "ObserveTrainings | None" = None,
) -> "NetworkTable":
    """Trains many networks of a space and writes their curves as a table, for `simulate`.

    A tenth of them are trained again with another seed, so that the noise is known. Rerun it to resume.

    Args:
        output: the table's file; by default table.parquet in the run folder.
        networks: how many to draw uniformly from the space.
        near_front: how many more, next to the front of those.
        without_ray: train in this process, one after another.
    """
    from search.prepare import prepare
    from search.simulation.table import NetworkTable, write_table
    from search.simulation.tabulation import train_table

    prepared = prepare(_with_options(read_study_file(study), workers=workers))
    folder = Path(runs) / prepared.file.name
    trainings, is_complete = train_table(
        prepared,
        folder / "table",
        uniform=networks,
        near_front=near_front,
        ray_address=_given(ray_address, "RAY_ADDRESS"),
        without_ray=without_ray,
        observe=observe or (lambda progress: None),
    )
    path = Path(output) if output else folder / "table.parquet"
    write_table(trainings, prepared, path)
    return NetworkTable(path=path, trainings=trainings, is_complete=is_complete)


def simulate(
    study: str | Path,
    table: str | Path,
    *,
    samplers: Iterable[str] = ("random", "tpe", "known_cost"),
    workers: int = 1,
    seeds: int = 20,
    trials: int | None = None,
    runs: str | Path = "runs",
    observe: Callable[[str, int], None] | None = None,
) -> "Simulation":
    """Searches without training, on a table of trained networks, under a virtual clock.

    The samplers and the early stopping are those of studies. Writes simulate.html into the run folder.

    Args:
        table: a table of this study, as `tabulate` writes it.
        samplers: which to compare.
        workers: how many trainings run at once.
        seeds: how many searches by each sampler.
        trials: of each search; by default the study's budget.
        observe: is called with the sampler and the seed of every search that is done.
    """
    from search.report.pages import write_simulation
    from search.simulation.virtual_clock import simulate_samplers

    kinds = tuple(samplers)
    if unknown := [kind for kind in kinds if kind not in SAMPLERS]:
        raise RunError(f"--samplers: {unknown[0]!r} is not one of {', '.join(SAMPLERS)}")
    file = read_study_file(study)
    simulation = simulate_samplers(
        file,
        Path(table),
        Path(runs) / file.name / "simulate.html",
        samplers=kinds,
        workers=workers,
        trials=trials or file.budget.trials,
        seeds=seeds,
        observe=observe or (lambda sampler, seed: None),
    )
    write_simulation(simulation, f"hgcnas: {file.name}, {workers} workers")
    return simulation


def _read(run: str | Path, runs: str | Path, storage: str | None) -> "StoredStudy":
    from search.results.stored_study import read_study

    url = _given(storage, "HGCNAS_STORAGE")
    return read_study(find_run(str(run), Path(runs), url), url)


def _data_config(path: Path) -> DataConfig:
    """Of a study file, or of data alone."""
    if path.suffix == ".toml" and not path.is_dir():
        return read_study_file(path).data
    dataset: Literal["npz", "image_folder"] = "npz" if path.suffix == ".npz" else "image_folder"
    return DataConfig(dataset=dataset, root=str(path), resolution=64)


def _with_options(
    file: StudyFile, *, trials: int | None = None, workers: int | None = None
) -> StudyFile:
    """The study with what is given in place of the file's."""
    file = file if trials is None else file.with_trials(trials)
    return file if workers is None else file.with_workers(workers)


def _of_its_study(file: ArchitectureFile, name: str, key: str, known: tuple[str, ...]) -> Any:
    """How the study that a network is from prepared its images; None where nothing is said of it."""
    value = file.provenance.get(key)
    if value is not None and value not in known:
        names = ", ".join(known)
        raise UserError(f"{name}: provenance.{key}: {shown(value)} is not one of {names}")
    return value


def _recipe(file: StudyFile, **given: int | str | None) -> Recipe:
    """The study's proxy, with the settings that are given.

    Raises:
        StudyFileError: the resolution leaves no pixel to the last stage of some network.
    """
    study_recipe = Recipe(data=file.data, proxy=file.proxy, quality_metric=file.quality_metric)
    recipe = with_options(study_recipe, **given)
    if (error := resolution_error(recipe.resolution, file.parameters)) is not None:
        raise StudyFileError(f"{file.source}: resolution: {error}")
    return recipe


def _given(value: str | None, variable: str) -> str | None:
    """As the command line has it: the environment's, if none is given."""
    return value or os.environ.get(variable) or None
