"""Optuna Dashboard over one study's storage, on this machine only."""

from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna_dashboard

from hgcnet.errors import RunError
from search.stored_study import StoredStudy

HOST = "127.0.0.1"  # the dashboard has no login, and can delete studies


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
    application = optuna_dashboard.wsgi(stored.storage)
    try:
        return make_server(
            HOST, port, application, server_class=_ThreadingServer, handler_class=_QuietHandler
        )
    except OSError as error:
        raise RunError(
            f"--port {port}: {HOST}:{port} cannot be used: {error.strerror}; try another one"
        ) from error


def study_address(stored: StoredStudy, server: WSGIServer) -> str:
    """Where a browser finds the study."""
    return f"http://{HOST}:{server.server_port}/dashboard/studies/{stored.study._study_id}"
