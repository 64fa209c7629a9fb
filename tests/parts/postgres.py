"""A real PostgreSQL on loopback, with a password to look for afterwards."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.parts.processes import PATIENCE, wait_until


class Postgres:
    """One server in a temporary folder; it listens on 127.0.0.1 only."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self.secret = f"planted{secrets.token_hex(8)}"  # what is looked for
        self._password = f"{self.secret}/@:"  # must be quoted in a URL
        self._folder = Path(tempfile.mkdtemp(prefix="faults-pg-", dir="/tmp"))
        self._user: dict[str, Any] = _unprivileged_user()
        if self._user:
            os.chown(self._folder, self._user["user"], self._user["group"])
        self._port = _free_port()
        self._server: subprocess.Popen[bytes] | None = None
        self._initialise()

    def _initialise(self) -> None:
        password = self._folder / "password"
        password.write_text(self._password)
        password.chmod(0o644)  # to be read by that user
        subprocess.run(
            [
                self._binaries / "initdb",
                f"--pgdata={self._folder / 'data'}",
                "--username=hgcnas",
                f"--pwfile={password}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
            cwd=self._folder,
            **self._user,
        )
        password.unlink()

    def start(self) -> None:
        """Returns when it takes connections."""
        command = [self._binaries / "postgres", "-D", self._folder / "data", "-F"]
        address = ["-h", "127.0.0.1", "-p", str(self._port), "-k", self._folder]
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [*command, *address], stdout=log, stderr=log, cwd=self._folder, **self._user
            )
        is_ready = [self._binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self._port)]
        wait_until(lambda: subprocess.run(is_ready).returncode == 0, "PostgreSQL is ready")

    def stop(self) -> None:
        """At once, as in a crash: no session is closed, no data file is written."""
        assert self._server is not None
        self._server.send_signal(3)
        self._server.wait(PATIENCE)

    def remove(self) -> None:
        """The server and its folder."""
        if self._server is not None and self._server.poll() is None:
            self.stop()
        shutil.rmtree(self._folder)

    def url(self, database: str, role: str = "hgcnas") -> str:
        """As a user would give it."""
        password = quote(self._password, safe="")
        return f"postgresql://{role}:{password}@127.0.0.1:{self._port}/{database}"

    def allow_to_look(self, database: str, role: str) -> None:
        """Makes a role that may read what is in a database, and nothing else."""
        self.query(f"CREATE ROLE {role} LOGIN PASSWORD '{self._password}'")
        for text in (
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
        ):
            self.query(text, database=database)

    def create_database(self, name: str) -> str:
        """An empty one; its URL."""
        self.query(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def query(self, text: str, *values: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Runs a statement as the administrator."""
        import psycopg

        with psycopg.connect(
            host="127.0.0.1",
            port=self._port,
            user="hgcnas",
            password=self._password,
            dbname=database,
            autocommit=True,
        ) as connection:
            cursor = connection.execute(text, values)
            return cursor.fetchall() if cursor.description else []

    def terminate_sessions(self, database: str) -> int:
        """Ends every connection to a database, as an administrator may; how many there were."""
        ended = self.query(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
            database,
        )
        return len(ended)


def find_binaries() -> Path:
    """The folder with `initdb` and `postgres` of the newest PostgreSQL here. Skips without one."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    found = [Path(path).resolve().parent] if (path := shutil.which("initdb")) else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parts[-2]))
    for folder in reversed(found):
        if all((folder / name).exists() for name in ("initdb", "postgres", "pg_isready")):
            return folder
    pytest.skip("no PostgreSQL server here: initdb is neither on PATH nor in /usr/lib/postgresql")


def _unprivileged_user() -> dict[str, Any]:
    """For subprocess: PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    users = {user.pw_name: user for user in pwd.getpwall()}
    user = users.get("postgres") or users["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
