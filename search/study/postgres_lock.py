"""The lock of a study on PostgreSQL: it ends with the session of its driver."""

import os
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from hgcnet.errors import RunError


class StudyLock:
    """The advisory lock of a study, which belongs to a session of PostgreSQL.

    Args:
        read_last_driver: says who opened the study last; None if nobody has.
    """

    def __init__(self, study: str, read_last_driver: Callable[[], str | None]) -> None:
        self._study = study
        self._read_last_driver = read_last_driver
        self._was_taken = False

    def take(self, connection: Any, _: object) -> None:
        """Called for every new session.

        Raises:
            RunError: another driver has the lock, or had it since the last session.
        """
        connection.autocommit = True
        try:
            self._wait_for(connection)
            last = self._read_last_driver() if self._was_taken else None
            if last not in (None, own_name()):
                raise RunError(f"the study {self._study!r} was taken over by {last}")
        except BaseException:  # also Ctrl-C: the pool never sees a connection that fails here
            connection.close()
            raise
        connection.autocommit = False
        self._was_taken = True

    def _wait_for(self, connection: Any) -> None:
        """Waits for the lock. Ends an old session of this process that the server still takes for alive."""
        key = int.from_bytes(sha256(f"hgcnas {self._study}".encode()).digest()[:8], signed=True)
        halves = (key >> 32 & 0xFFFFFFFF, key & 0xFFFFFFFF)
        for _attempt in range(50):
            if connection.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchone()[0]:
                return
            holder = connection.execute(_HOLDER, halves).fetchone()
            if holder is not None and holder[1] != own_name():
                raise RunError(
                    f"the study {self._study!r} is being run by {holder[1]}; a study has one driver "
                    "at a time"
                )
            if holder is not None:
                connection.execute("SELECT pg_terminate_backend(%s)", holder[:1])
            time.sleep(0.1)
        raise RunError(
            f"the study {self._study!r} cannot be locked: an old session of this driver holds the lock; "
            "end that session on the server"
        )


_HOLDER = """
SELECT activity.pid, activity.application_name
FROM pg_locks JOIN pg_stat_activity AS activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid = %s AND objid = %s
AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def own_name() -> str:
    """As other drivers see this process; PostgreSQL keeps 63 characters."""
    return f"process {os.getpid()} on {socket.gethostname()} since {_BEGIN:%Y-%m-%d %H:%M:%S}"[:63]


_BEGIN = datetime.now(UTC)
