"""Optuna Dashboard over one study's storage, on this machine only, and only to look at."""

import json
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna_dashboard
from optuna.artifacts import FileSystemArtifactStore

from hgcnet.errors import RunError
from search.dashboard.dashboard_inside import check_is_shown
from search.results.stored_study import StoredStudy

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HOST = "127.0.0.1"  # the dashboard has no login
REFUSAL = {
    "reason": "hgcnas serves this page for reading only: a study is changed by `hgcnas run` alone"
}
_MAX_BODY = 2**24  # bytes of a refused request that are read, so that its sender takes the answer


class _ThreadingServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # Ctrl-C does not wait for a browser's open connection


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """A request is no news."""


def create_server(stored: StoredStudy, port: int) -> WSGIServer:
    """A server of the dashboard; `serve_forever` starts it. Port 0 takes any free one.

    Raises:
        RunError: the port cannot be had.
    """
    study_id = stored.storage.get_study_id_from_name(stored.folder.name)
    check_is_shown(stored.study, stored.storage.get_study_system_attrs(study_id))
    artifacts = FileSystemArtifactStore(stored.folder.artifacts)
    application = only_reading(optuna_dashboard.wsgi(stored.storage, artifacts))
    try:
        return make_server(
            HOST, port, application, server_class=_ThreadingServer, handler_class=_QuietHandler
        )
    except OSError as error:
        raise RunError(
            f"--port {port}: {HOST}:{port} cannot be used: {error.strerror}; try another one"
        ) from error


def only_reading(application: "WSGIApplication") -> "WSGIApplication":
    """The application without what would change anything: deleting, renaming, editing, telling."""

    def serve(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return application(environ, start_response)
        environ["wsgi.input"].read(min(int(environ.get("CONTENT_LENGTH") or 0), _MAX_BODY))
        body = json.dumps(REFUSAL).encode() + b"\n"
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response("403 Forbidden", headers)
        return [body]

    return serve


def study_address(stored: StoredStudy, server: WSGIServer) -> str:
    """Where a browser finds the study."""
    study = stored.storage.get_study_id_from_name(stored.folder.name)
    return f"http://{HOST}:{server.server_port}/dashboard/studies/{study}"
