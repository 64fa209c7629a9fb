"""Runs a study from its file to its end, or resumes it."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from hgcnet.architecture import write_architecture
from hgcnet.atomic_write import replace_file, writing
from hgcnet.errors import RunError
from search.dashboard.content import DashboardContent
from search.data.data_record import read_files
from search.data.splits import Splits
from search.export import export_trial
from search.forecast import warn_of_memory
from search.prepare import PreparedStudy
from search.results.stored_study import StoredStudy
from search.stop_signals import GRACE
from search.study.progress import Progress
from search.study.retrying_storage import RetryingStorage
from search.study.run_folder import RunFolder
from search.study.same_study import last_driver, stored_identity
from search.study.search_loop import SearchLoop
from search.study.storage import open_writer
from search.study.writer import StudyWriter
from search.training.checkpoints import Checkpoints
from search.training.recipe import Recipe
from search.versions import versions
from search.workers.ray_cluster import check_workers, joined_ray
from search.workers.ray_tune import run_trials

Observe = Callable[[Progress], None]

_NOTHING_TO_JOIN = "--join: needs a database, given by --storage or HGCNAS_STORAGE"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """How a run ended."""

    progress: Progress
    reason: str
    did_nothing: bool = False
    is_stopped: bool = False  # on request


def run(
    prepared: PreparedStudy,
    folder: RunFolder,
    *,
    join: bool = False,
    storage_url: str | None = None,
    ray_address: str | None = None,
    grace: float = GRACE,
    observe: Observe = lambda progress: None,
) -> RunOutcome:
    """Starts a study, or continues it; returns when its budget is used or it was stopped.

    Nothing is written before all checks have passed.

    Args:
        join: continue a study that another run folder started in the storage.

    Raises:
        UserError: the study cannot be run as asked.
    """
    with ExitStack() as stack:
        if folder.exists:
            stack.enter_context(folder.locked())
            database = stack.enter_context(_opened(folder, storage_url))
            identity = _claimed(prepared, folder, database, join)
            if identity is not None and identity != folder.identity:
                folder.keep_identity(identity)
            loop, content = _open_loop(prepared, folder, database, observe)
            if not loop.has_work:
                return RunOutcome(
                    progress=loop.progress(), reason=loop.end_reason, did_nothing=True
                )
            splits = stack.enter_context(_workers_and_images(prepared, ray_address))
        else:  # the folder is made once workers and images are there
            identity = None
            if storage_url is not None:  # a shared database may have a driver already
                database = stack.enter_context(_opened(folder, storage_url))
                identity = _claimed(prepared, folder, database, join)
            elif join:
                raise RunError(_NOTHING_TO_JOIN)
            splits = stack.enter_context(_workers_and_images(prepared, ray_address))
            folder.create(prepared.file.document, versions(), storage_url, identity)
            stack.enter_context(folder.locked())
            if storage_url is None:
                database = stack.enter_context(_opened(folder, storage_url))
            loop, content = _open_loop(prepared, folder, database, observe)
        file = prepared.file
        run_trials(
            loop,
            splits,
            file.proxy,
            file.workers,
            quality_metric=file.quality_metric,
            grace=grace,
        )
        content.write(is_last=True)
        return RunOutcome(
            progress=loop.progress(), reason=loop.end_reason, is_stopped=loop.is_stopped
        )


def _opened(folder: RunFolder, storage_url: str | None) -> closing[RetryingStorage]:
    """The study's database, for its one writer."""
    return closing(open_writer(folder.storage_url(storage_url), folder.name))


def _claimed(
    prepared: PreparedStudy, folder: RunFolder, database: RetryingStorage, join: bool
) -> str | None:
    """The identity of this folder's study in a shared database; None in the folder's own.

    Raises:
        RunError: without `join`, another folder started the database's study of that name; with it,
            there is no study to join.
    """
    if folder.exists and folder.kept_in is None:
        if join:
            raise RunError(_NOTHING_TO_JOIN)
        return None
    stored = stored_identity(database, folder.name)
    if stored is None:
        if join:
            raise RunError(f"--join: the storage has no study {folder.name!r}")
        return folder.identity or uuid4().hex
    if folder.exists and stored in ("", folder.identity):  # the first studies have none
        return folder.identity
    if not join:
        raise RunError(
            f"{folder.path}: the storage already has a study {folder.name!r}, started from another "
            f"folder (last written by {last_driver(database, folder.name)}); give yours another name, "
            "or continue that one with --join"
        )
    # A study of another file is refused here, before a folder is made.
    StudyWriter(database, prepared.file, prepared.space, prepared.inspection.record)
    return stored


@contextmanager
def _workers_and_images(prepared: PreparedStudy, ray_address: str | None) -> Iterator[Splits]:
    """Ray with the resources that the trials ask for, and the images that they train on."""
    if ray_address is None:  # the memory of a cluster's machines is unknown here
        warn_of_memory(prepared)
    with joined_ray(ray_address) as resources:
        check_workers(resources, prepared.file.workers, prepared.file.source)
        yield Recipe(data=prepared.file.data, proxy=prepared.file.proxy).load()


def _open_loop(
    prepared: PreparedStudy, folder: RunFolder, database: RetryingStorage, observe: Observe
) -> tuple[SearchLoop, DashboardContent]:
    """The study's loop, and what its dashboard shows, up to date with the storage."""
    file, space = prepared.file, prepared.space
    record, kept = prepared.inspection.record, folder.data_file
    writer = StudyWriter(database, file, space, record, read_files(kept), folder.identity)
    if record.files and not kept.exists():
        with writing(kept):
            replace_file(kept, (json.dumps(record.document()) + "\n").encode())
    checkpoints = Checkpoints(folder.path / "checkpoints")
    start_with, next_enqueued = prepared.start_with, folder.next_enqueued
    loop = SearchLoop(file, space, writer, start_with, observe, next_enqueued, checkpoints)
    content = DashboardContent(
        writer, file, space, folder.artifacts, say=lambda text: observe(loop.progress(text))
    )
    loop.after_each_event = content.update
    # What a killed driver left half written, or did not begin.
    content.write(is_last=not loop.has_work)
    return loop, content


def write_results(stored: StoredStudy) -> tuple[Path, ...]:
    """Writes report.html, trials.csv, trials.parquet and, once a trial has finished, best.toml into the
    run folder; returns their paths.

    Raises:
        RunError: they cannot be written, or the study cannot be read.
    """
    from search.report.report_files import write_report_files  # plotly takes a second to load

    paths = write_report_files(stored, stored.folder.path)
    if not stored.trials()["on_front"].any():
        return paths
    best = stored.folder.path / "best.toml"
    write_architecture(best, export_trial(stored, stored.select("best")))
    return *paths, best
