"""The functions of `search`. The commands of `hgcnas` take their options and helps from here.

Ray, torch, plotly, pandas and Optuna take seconds to load, and shell completion loads this file: each
function imports what it needs. Arguments that several functions share:

Args:
    study: path of the study file.
    run: name of the study, or its run folder.
    runs: folder that holds the run folders; the study NAME is in `runs/NAME`.
    storage: database of the study, postgresql://USER:PASSWORD@HOST/DATABASE; by default HGCNAS_STORAGE,
        else SQLite in the run folder.
    ray_address: HOST:PORT of a Ray cluster to join, or auto; by default RAY_ADDRESS, else this machine.
    workers: trainings at once; by default the study's `[workers] at_once`, else as many as there is room
        for.
    seeds: trainings of each network, each with its own seed.
    epochs: epochs of each training; by default the study's.
    train_images: images to train on; by default the study's.
    resolution: side of the images, in pixels; by default the study's.
    observe: called with the progress after every training.

Raises:
    hgcnet.errors.UserError: an error of the user's. The message names the place, what was given and what
        would be right. Everything that can be checked is checked before anything is written.
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
    """Starts the study of a study file, or resumes it.

    Returns when the budget is used, and leaves report.html, trials.csv, trials.parquet and best.toml (the
    architecture file of the most accurate network) in the run folder. Interrupting once (Ctrl-C, the
    notebook's stop button) stops cleanly; twice ends the process at once. Repeat the call to resume. It
    can run in a thread, which interrupts do not reach. A Ray that the process has initialised is used.

    Args:
        trials: budget of trials, in place of the file's.
        report: whether to write those four files.
        join: continue a study of this name that another run folder started in the storage.
        grace: seconds to stop in after an interrupt; half of them are for the running epochs.
        observe: called with the study's state after every event; `search.progress_line` makes a line of it:
            `lambda progress: print(search.progress_line(progress), end="\\r")`.

    Returns:
        One row per trial, those of earlier runs included, as `load_trials` gives them.
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
    """Validates a study, and predicts its time and memory. Writes nothing.

    Returns:
        its space, data, time and memory, as JSON can hold them. `hours`, `seconds_per_trial` and `memory`
        are None if this machine lacks what a trial needs; `cannot_run_here` then says what is missing.
    """
    from search.forecast import forecast
    from search.prepare import prepare

    file = _with_options(read_study_file(study), trials=trials, workers=workers)
    return forecast(prepare(file))


def check_data(data: str | Path) -> "DataInspection":
    """Opens every image of a data set, and reports problems before anything is trained.

    Lists the files that cannot be read, with the reasons. Counts images by class, size and colour mode, and
    finds images that are in several parts. A second check opens only files that have changed.

    Args:
        data: study file, image folder or .npz file.

    Raises:
        hgcnet.errors.UserError: there is no such data set, or its layout is wrong.
    """
    from search.data.inspection import inspect_data

    return inspect_data(_data_config(Path(data)))


def load_trials(
    run: str | Path, *, runs: str | Path = "runs", storage: str | None = None
) -> "pd.DataFrame":
    """Loads the trials of a study, also while it runs: one row each, oldest first.

    Columns (`search.results.trials.COLUMNS` has all, with their types):

    - `number`, and `state`: "finished", "stopped" (early), "failed", "running" or "waiting".
    - `on_front`: whether the trial is on the Pareto front.
    - `quality` in [0, 1], after the last epoch of finished trials: one of `val_accuracy`,
      `val_balanced_accuracy` and `val_macro_f1`, by the study's objectives. These are columns, too.
    - `estimated_accuracy`: the quality without seed noise, estimated by a model of all trainings. The front
      goes by it. NaN while fewer than ten trials have finished.
    - `flops`: multiply-adds of one image; `num_params`.
    - `architecture` in one line; `depth`, `growth`, `groups` and `se` stage by stage ("7-7-6").
    - `seconds` of training; `failure`: its reason; `curve`: list of the quality after every epoch.

    Raises:
        hgcnet.errors.RunError: there is no such study, or it cannot be read.
    """
    return _read(run, runs, storage).trials()


def study_status(
    run: str | Path, *, runs: str | Path = "runs", storage: str | None = None
) -> dict[str, Any]:
    """Gives counts, best network, hypervolume, front and time of a study, as JSON can hold them."""
    from search.results.summary import summarise_study

    return summarise_study(_read(run, runs, storage))


def list_studies(
    *, runs: str | Path = "runs", storage: str | None = None
) -> tuple[list[dict[str, Any]], list[UserError]]:
    """Gives the `study_status` of every study in a folder, and the errors of those that cannot be read.

    With a storage, also of its studies that have no run folder here.
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
    """Writes report.html (one self-contained page), trials.csv and trials.parquet.

    Args:
        output: folder for these files; by default the run folder.

    Returns:
        their paths.
    """
    from search.report.report_files import write_report_files

    stored = _read(run, runs, storage)
    if output is None:
        stored.folder.check_exists("name another folder by -o FOLDER")
    return write_report_files(stored, Path(output) if output else stored.folder.path)


def export_architecture(
    run: str | Path,
    *,
    trial: int | None = None,
    select: str = "best",
    runs: str | Path = "runs",
    storage: str | None = None,
) -> ArchitectureFile:
    """Exports the network of a finished trial: its architecture, task and provenance.

        file = search.export_architecture("quickstart", select="knee")
        model = hgcnet.HGCNet(file.architecture, file.task)  # fresh weights
        hgcnet.write_architecture("net.toml", file)  # hgcnet.load("net.toml") rebuilds it

    Args:
        trial: number of a finished trial; `select` is then ignored.
        select: rule that picks a network of the front: best, the most accurate; knee, beyond which more cost
            gains little; max-flops=60e6 or max-params=1e6, the most accurate within the limit.

    Raises:
        hgcnet.errors.RunError: there is no such study or trial, or nothing meets the rule.
    """
    from search.export import export_trial

    stored = _read(run, runs, storage)
    return export_trial(stored, stored.select(select) if trial is None else trial)


def enqueue(
    run: str | Path, network: str, *, runs: str | Path = "runs", storage: str | None = None
) -> ArchitectureFile:
    """Queues a network as the next trial of a study, running or not.

    Args:
        network: architecture file or preset.

    Raises:
        hgcnet.errors.UserError: the network is outside the study's space, or the study has it already.
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
    """Trains one network in full, and writes a model folder for each seed.

    The default is the paper's recipe: SGD with Nesterov momentum, a cosine from the learning rate to 0, crops
    and mirroring. The test images are read once, at the end. Rerun it to resume from the last epoch.

    Args:
        network: architecture file, preset or model folder.
        dataset: data set: digits, cifar10, cifar100, image_folder, npz or torchvision:NAME.
        output: folder for the model folders; by default models/NETWORK-DATASET.
        root: folder (or .npz file) of the data set.
        epochs: epochs of each training.
        seeds: number of trainings, each with its own seed and model folder.
        seed: base seed.
        from_model: model folder to start from. Its weights are used where names and shapes agree.
        resolution: side of the images, in pixels; by default the architecture file's.
        train_images: images to train on, a stratified part; by default all.
        hold_out: keep the validation images out of the training, and measure the accuracy on them after
            each epoch.
        channels: what images are converted to; by default as in the network's study, else grey
            only if all training files are.
        fit: how an image becomes a square: `crop` keeps the central square, `pad` adds white, `stretch`
            changes the aspect. By default as in the network's study, else `crop`.
        device: device to train on; `auto` is a GPU if there is one.
        observe: called after every epoch with the repetition, the epoch and the seconds so far.
        say: called with a line about the weights of `from_model`.
        The others are keys of a study file (`studies/reference.md`).

    Raises:
        hgcnet.errors.UserError: the network, the data or the device is not available, a folder cannot be
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
    """Predicts the most probable classes of images by a trained network.

    Images may have any size and format that Pillow reads; they are prepared as in the training. Files that
    cannot be read are listed, and the others predicted.

    Args:
        model: model folder, written by `train` or `confirm`.
        paths: image files, and folders of images.
        top: number of classes for each image.
        output: CSV file for the predictions.
        observe: called after every file with the number done and the number of all.
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
    """Retrains the front of a study with fresh seeds, beside the paper's networks.

    Set `epochs` to train longer. Of the study's networks, the one with the highest mean on the validation
    images is then evaluated on the test images. Its models are kept in the run folder. Nothing is written
    to the study. Rerun it to resume.

    Args:
        select: rule that picks one network of the front to retrain, such as max-flops=60e6; by default all.
        recipe: recipe of the trainings, as for `train`; by default the study's.
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

    Searches nothing. Writes trainings.csv and compare.html, with the learning curves, into the run folder.
    Rerun it to resume.

    Args:
        against: network that the others are compared with; by default the first.
        test: compare on the test images. Only valid if the networks were fixed beforehand.
    """
    from search.prepare import prepare
    from search.report.pages import write_comparison
    from search.retraining.compare import compare_networks

    file = _with_options(read_study_file(study), workers=workers)
    prepared = prepare(file)
    if not prepared.start_with:
        raise StudyFileError(
            f"{study}: sampler.start_with: is empty; list the networks to compare there"
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
    """Measures how well cheap scores of a network predict a longer training, and what they cost.

    Draws networks evenly over log FLOPs (log params if FLOPs are no objective), and trains each by every
    proxy and by a longer recipe. Writes fidelity.json, scores.csv and fidelity.html into the run folder.
    Rerun it to resume.

    Args:
        networks: number of networks to draw from the space.
        proxies: settings of proxies to measure beside the study's, such as {"epochs": 4, "resolution": 12};
            by default variants of it.
        reference_epochs: epochs of the longer training; by default three times the proxy's.
        reference_images: training images of the longer training; by default the proxy's.
        reference_seeds: longer trainings of each network; the reference is their mean.
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
                f"{file.source}: one of the default proxies is too small: {error}; give others by --proxy"
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
    """Trains many networks of a space, and writes a table of their learning curves for `simulate`.

    Retrains a tenth of them with another seed, to measure the seed noise. Rerun it to resume.

    Args:
        output: file of the table; by default table.parquet in the run folder.
        networks: number of networks to draw uniformly from the space.
        near_front: number of further networks, which differ in one parameter from the front of those.
        without_ray: train in this process, one network after another.
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
    """Simulates searches on a table of trained networks, without training, under a virtual clock.

    Uses the samplers and the early stopping of studies. Writes simulate.html into the run folder.

    Args:
        table: table of this study, written by `tabulate`.
        samplers: samplers to compare.
        workers: simulated trainings at once.
        seeds: searches by each sampler, each with its own seed.
        trials: trials of each search; by default the study's budget.
        observe: called with the sampler and the seed after every search.
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
    """The data of a study file, or of an image folder or .npz file."""
    if path.suffix == ".toml" and not path.is_dir():
        return read_study_file(path).data
    dataset: Literal["npz", "image_folder"] = "npz" if path.suffix == ".npz" else "image_folder"
    return DataConfig(dataset=dataset, root=str(path), resolution=64)


def _with_options(
    file: StudyFile, *, trials: int | None = None, workers: int | None = None
) -> StudyFile:
    """The study, with the given options in place of the file's."""
    file = file if trials is None else file.with_trials(trials)
    return file if workers is None else file.with_workers(workers)


def _of_its_study(file: ArchitectureFile, name: str, key: str, known: tuple[str, ...]) -> Any:
    """How a network's study prepared its images; None if unknown."""
    value = file.provenance.get(key)
    if value is not None and value not in known:
        names = ", ".join(known)
        raise UserError(f"{name}: provenance.{key}: {shown(value)} is not one of {names}")
    return value


def _recipe(file: StudyFile, **given: int | str | None) -> Recipe:
    """The study's proxy, changed by the given settings.

    Raises:
        StudyFileError: the resolution leaves no pixel to the last stage of some network.
    """
    study_recipe = Recipe(data=file.data, proxy=file.proxy, quality_metric=file.quality_metric)
    recipe = with_options(study_recipe, **given)
    if (error := resolution_error(recipe.resolution, file.parameters)) is not None:
        raise StudyFileError(f"{file.source}: resolution: {error}")
    return recipe


def _given(value: str | None, variable: str) -> str | None:
    """The value, or that of an environment variable, as on the command line."""
    return value or os.environ.get(variable) or None
