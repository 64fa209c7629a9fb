"""The folder of one study: its files, its queue, and the lock that keeps it to one driver."""

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tomli_w

from hgcnet.architecture import (
    Architecture,
    ArchitectureFile,
    read_architecture,
    write_architecture,
)
from hgcnet.atomic_write import make_folder, reading, replace_file, writing
from hgcnet.errors import ArchitectureError, RunError
from search.file_lock import hold_lock


@dataclass(slots=True)
class RunFolder:
    """`runs/<name>`, a self-contained folder: copy, move or delete it freely."""

    path: Path
    _taken: list[Path] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The study's name."""
        return self.path.name

    @property
    def study_file(self) -> Path:
        """The study file with all defaults."""
        return self.path / "study.toml"

    @property
    def database(self) -> Path:
        """The SQLite storage."""
        return self.path / "study.db"

    @property
    def artifacts(self) -> Path:
        """The files that the dashboard shows with a trial: an artifact store of Optuna."""
        return self.path / "artifacts"

    @property
    def data_file(self) -> Path:
        """Which files of an image folder the study began with; see `search.data.data_record`."""
        return self.path / "data.json"

    @property
    def exists(self) -> bool:
        """Whether a study was started here.

        Raises:
            RunError: the folder may not be read.
        """
        with reading(self.path):
            try:
                self.study_file.stat()
            except (FileNotFoundError, NotADirectoryError):
                return False
        return True

    def check_exists(self, otherwise: str) -> None:
        """Checks for the files of a study, where its storage alone is not enough.

        Raises:
            RunError: they are elsewhere; `otherwise` says what to do.
        """
        if not self.exists:
            raise RunError(f"{self.path}: the study's run folder is not here; {otherwise}")

    @property
    def kept_in(self) -> str | None:
        """The storage of a study that is not kept here in `study.db`: its URL without the password."""
        return self._line("storage")

    @property
    def identity(self) -> str | None:
        """Of a study that is kept elsewhere: what distinguishes it from others of its name in that storage."""
        return self._line("identity")

    def _line(self, name: str) -> str | None:
        """The text of a file of one line; None if there is none."""
        with reading(self.path / name):
            try:
                return (self.path / name).read_text(encoding="utf-8").strip()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def storage_url(self, given: str | None) -> str:
        """Where the study is: here, or at the URL that was given.

        Raises:
            RunError: the study is kept elsewhere than given.
        """
        from search.study.storage import sqlite_url, without_password

        if self.kept_in is None and (self.database.exists() or given is None):
            return sqlite_url(self.path)
        if given is None:
            raise RunError(
                f"{self.path}: the study is kept in {self.kept_in}; give that URL with its password, "
                "by HGCNAS_STORAGE or --storage"
            )
        if self.kept_in not in (None, without_password(given)):
            raise RunError(
                f"{self.path}: the study is kept in {self.kept_in}, but {without_password(given)} was given; if "
                f"it was moved, write the new URL without its password into {self.path / 'storage'}"
            )
        return given

    def create(
        self,
        document: Mapping[str, Any],
        versions: Mapping[str, str],
        storage_url: str | None = None,
        identity: str | None = None,
    ) -> None:
        """Makes the folder with the study file in it. Does nothing where there is one.

        Args:
            storage_url: of a database elsewhere; it is written without its password.
            identity: of the study there.

        Raises:
            RunError: it cannot be written.
        """
        from search.study.storage import without_password

        header = "".join(f"# {name} {version}\n" for name, version in versions.items())
        with writing(self.path):
            make_folder(self.path)
            if not self.exists:
                if storage_url is not None:
                    replace_file(
                        self.path / "storage", f"{without_password(storage_url)}\n".encode()
                    )
                if identity is not None:
                    self.keep_identity(identity)
                text = f"# As the study was started, with every default. Written by hgcnas.\n{header}\n"
                replace_file(self.study_file, (text + tomli_w.dumps(dict(document))).encode())

    def keep_identity(self, identity: str) -> None:
        """Stores which study of a storage elsewhere belongs to this folder."""
        with writing(self.path):
            replace_file(self.path / "identity", f"{identity}\n".encode())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps every other driver out. The lock is released when its holder dies.

        Raises:
            RunError: another driver has it; the message names that one.
        """

        def refusal() -> str:
            holder = self.driver or "another process"
            return f"the study is being run by {holder}; a study has one driver at a time"

        with hold_lock(self.path / "driver.lock", refusal):
            try:
                since = datetime.now(UTC).isoformat(timespec="seconds")
                holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
                replace_file(self._holder, json.dumps(holder).encode())
                yield
            finally:
                self._holder.unlink(missing_ok=True)

    @property
    def driver(self) -> str | None:
        """Who runs the study now, as text; None if nobody does, or its driver died on this machine.

        Only for people: the lock is what keeps a second driver out.
        """
        try:
            holder = json.loads(self._holder.read_bytes())
            pid, host, since = int(holder["pid"]), str(holder["host"]), str(holder["since"])
        except (OSError, ValueError, LookupError, TypeError):
            return None
        is_here = host == socket.gethostname()
        if is_here and not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
            return None
        return f"process {pid} on {host} since {since}"

    @property
    def _holder(self) -> Path:
        return self.path / "driver.json"

    def put_in_queue(self, name: str, architecture: Architecture) -> None:
        """Leaves an architecture for the driver, which alone writes to the study."""
        queue = self.path / "queue"
        with writing(queue):
            make_folder(queue)
            path = queue / f"{architecture.fingerprint}.toml"
            write_architecture(
                path, ArchitectureFile(architecture=architecture, provenance={"name": name})
            )

    def next_enqueued(self) -> dict[str, Architecture]:
        """The architectures put in the queue since the last call, by name.

        A file is deleted only at the next call, when the study has its architecture: a driver that
        is killed in between reads it again, and the study ignores what it has.
        """
        for path in self._taken:
            path.unlink(missing_ok=True)
        self._taken = sorted((self.path / "queue").glob("*.toml"))
        found = {}
        for path in self._taken:
            try:
                file = read_architecture(path)
            except ArchitectureError:  # put there by hand; `enqueue` writes none such
                path.replace(path.with_suffix(".refused"))
            else:
                name = str(file.provenance.get("name", path.stem))
                found[path.stem if name in found else name] = file.architecture
        return found


def find_run(run: str, runs: Path, storage_url: str | None = None) -> RunFolder:
    """The run folder of a path or of a study's name.

    If a storage is given, the folder may be missing: the storage alone is enough to read a study.

    Raises:
        RunError: there is none; the message lists those that are there.
    """
    for path in (runs / run, Path(run)):
        if (folder := RunFolder(path)).exists:
            return folder
    if storage_url is not None and Path(run).name == str(run):  # a name, no path
        return RunFolder(runs / run)
    known = ", ".join(folder.name for folder in list_runs(runs))
    there = f"which has {known}" if known else "which has none; `hgcnas run STUDY.toml` starts one"
    raise RunError(f"{run}: there is no such study in {runs}, {there}")


def list_runs(runs: Path) -> list[RunFolder]:
    """All run folders in a folder, by name; also those that may not be read.

    Raises:
        RunError: the folder itself cannot be read.
    """
    if not runs.is_dir():
        return []
    with reading(runs):
        return [folder for path in sorted(runs.iterdir()) if _may_exist(folder := RunFolder(path))]


def _may_exist(folder: RunFolder) -> bool:
    try:
        return folder.exists
    except RunError:
        return True
