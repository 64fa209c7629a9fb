"""Read-only Optuna Dashboard for one study: on this machine, or beyond it with a token."""

import errno
import json
import secrets
import socket
from collections.abc import Iterable
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna_dashboard
from optuna.artifacts import FileSystemArtifactStore

from hgcnet.errors import RunError
from search.dashboard.dashboard_inside import check_is_shown
from search.dashboard.guard import HOST, LOOPBACK_NAMES, guarded, is_loopback
from search.results.stored_study import StoredStudy

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

REFUSAL = {"reason": "hgcnas serves this page read-only: only `hgcnas run` changes a study"}
_NO_ADDRESS = "--host {}: is not an address of this machine; 0.0.0.0 serves on all that it has"
_MAX_BODY = 2**24  # bytes read of a refused request, so that its sender gets the answer


class DashboardServer(ThreadingMixIn, WSGIServer):
    """A server with the token that its readers need; None if only this machine reaches it."""

    daemon_threads = True  # Ctrl-C does not wait for a browser's open connection
    token: str | None = None

    def server_bind(self) -> None:
        # Python's looks up the machine's name, which may take half a minute without a name server.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()


class _Server6(DashboardServer):
    address_family = socket.AF_INET6


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Logs no requests."""


def create_server(stored: StoredStudy, port: int, host: str = HOST) -> DashboardServer:
    """A server of the dashboard; `serve_forever` starts it. Port 0 takes a free one.

    If other machines reach `host`, it has a token, and answers nothing without it.

    Raises:
        RunError: the host or the port cannot be used.
    """
    family, address = _address(host)
    token = None if is_loopback(address) else secrets.token_urlsafe(24)
    study_id = stored.storage.get_study_id_from_name(stored.folder.name)
    check_is_shown(stored.study, stored.storage.get_study_system_attrs(study_id))
    # (A study whose run folder is not here has its files elsewhere.)
    artifacts = FileSystemArtifactStore(stored.folder.artifacts) if stored.folder.exists else None
    application = only_reading(optuna_dashboard.wsgi(stored.storage, artifacts))
    names = {*LOOPBACK_NAMES, host.lower(), address}
    try:
        server = make_server(
            address,
            port,
            guarded(application, sorted(names), token),
            server_class=_Server6 if family == socket.AF_INET6 else DashboardServer,
            handler_class=_QuietHandler,
        )
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise RunError(_NO_ADDRESS.format(host)) from error
        raise RunError(
            f"--port {port}: {host}:{port} cannot be used: {error.strerror}; try another one"
        ) from error
    server.token = token
    return server


def _address(host: str) -> tuple[int, str]:
    """The family and the numeric address of a host of this machine.

    Raises:
        RunError: it has none.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise RunError(_NO_ADDRESS.format(host)) from error
    return family, str(address[0])


def only_reading(application: "WSGIApplication") -> "WSGIApplication":
    """The application, with every request refused that could change the study."""

    def serve(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return application(environ, start_response)
        environ["wsgi.input"].read(min(int(environ.get("CONTENT_LENGTH") or 0), _MAX_BODY))
        body = json.dumps(REFUSAL).encode() + b"\n"
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response("403 Forbidden", headers)
        return [body]

    return serve


def study_address(stored: StoredStudy, server: DashboardServer) -> str:
    """The address of the study for a browser."""
    study = stored.storage.get_study_id_from_name(stored.folder.name)
    host = server.server_name
    if host in ("0.0.0.0", "::"):  # reached by every name of this machine
        host = socket.gethostname()
    place = f"[{host}]" if ":" in host else host
    token = "" if server.token is None else f"?token={server.token}"
    return f"http://{place}:{server.server_port}/dashboard/studies/{study}{token}"
