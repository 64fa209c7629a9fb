"""Running a study from its file to its end, or from where it was left: the whole loop in one place."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from optuna.storages import RDBStorage

from search.dashboard.content import DashboardContent
from search.data.splits import load_splits
from search.prepare import PreparedStudy
from search.study.progress import Progress
from search.study.run_folder import RunFolder
from search.study.search_loop import SearchLoop
from search.study.storage import open_writer
from search.study.writer import StudyWriter
from search.training.checkpoints import Checkpoints
from search.versions import versions
from search.workers.ray_cluster import check_resources, joined_ray
from search.workers.ray_tune import run_trials


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """How a run ended."""

    progress: Progress
    reason: str
    did_nothing: bool


def drive(
    prepared: PreparedStudy,
    folder: RunFolder,
    *,
    storage_url: str | None = None,
    ray_address: str | None = None,
    observe: Callable[[Progress], None] = lambda progress: None,
) -> RunOutcome:
    """Starts a study, or continues it; returns when its budget is used or it was stopped.

    Nothing is written before everything that can be checked was checked.

    Raises:
        UserError: the study cannot be run as asked.
    """
    file = prepared.file
    with ExitStack() as stack:

        def open_database() -> RDBStorage:
            storage = open_writer(folder.storage_url(storage_url), file.name)
            stack.callback(storage.engine.dispose)
            return storage

        def open_loop() -> tuple[SearchLoop, DashboardContent]:
            folder.create(file.document, versions(), storage_url)
            stack.enter_context(folder.locked())
            writer = StudyWriter(database or open_database(), file, prepared.space)

            def watch(progress: Progress) -> None:
                observe(progress)
                content.update()

            loop = SearchLoop(
                file,
                prepared.space,
                writer,
                prepared.start_with,
                watch,
                folder.next_enqueued,
                Checkpoints(folder.path / "checkpoints"),
            )
            content = DashboardContent(
                writer,
                file,
                prepared.space,
                folder.artifacts,
                say=lambda text: observe(loop.progress(text)),
            )
            # What a driver that was killed left half written, or never came to.
            content.write(is_last=not loop.has_work)
            return loop, content

        # A database elsewhere may have a driver already.
        is_new = not folder.exists
        database = open_database() if is_new and storage_url is not None else None
        opened = None if is_new else open_loop()
        if opened is not None and not (loop := opened[0]).has_work:
            return RunOutcome(progress=loop.progress(), reason=loop.end_reason, did_nothing=True)
        resources = stack.enter_context(joined_ray(ray_address))
        check_resources(resources, file.workers, file.source)
        splits = load_splits(
            file.data,
            resolution=file.proxy.resolution or file.data.resolution,
            train_images=file.proxy.train_images,
            val_images=file.proxy.val_images,
        )
        loop, content = opened or open_loop()
        run_trials(loop, splits, file.proxy, file.workers)
        content.write(is_last=True)
        return RunOutcome(progress=loop.progress(), reason=loop.end_reason, did_nothing=False)
