"""The report of a study, and its trials as CSV and Parquet, written into a folder."""

from pathlib import Path

from hgcnet.atomic_write import writing
from search.report.page import write_page
from search.results.stored_study import StoredStudy
from search.results.summary import report_facts
from search.results.trials import write_csv, write_parquet
from search.retraining.confirmations import read_confirmations
from search.training.quality import QUALITY_NAMES


def write_report_files(stored: StoredStudy, folder: Path) -> tuple[Path, ...]:
    """Writes report.html, trials.csv and trials.parquet into a folder; returns their paths.

    Raises:
        RunError: they cannot be written, or the study cannot be read.
    """
    frame = stored.trials()
    page, csv, parquet = (folder / name for name in ("report.html", "trials.csv", "trials.parquet"))
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_page(
            page,
            title=f"hgcnas: {stored.file.name}",
            facts=report_facts(stored),
            frame=frame,
            bounds=stored.bounds,
            run=stored.file.name,
            task=stored.space.space.task,
            rung_epochs=stored.file.rung_epochs,
            confirmed=read_confirmations(stored.folder.path),
            quality=QUALITY_NAMES[stored.file.quality_metric],
            answers=stored.answers(),
        )
        write_csv(frame, csv)
        write_parquet(frame, parquet)
    return page, csv, parquet
