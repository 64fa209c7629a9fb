"""Who may read the dashboard: its own pages, on this machine or with its token."""

import secrets
from collections.abc import Iterable
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HOST = "127.0.0.1"  # where it is served by default: the dashboard itself has no login
LOOPBACK_NAMES = ("localhost", HOST, "::1")
_NOT_HERE = (
    "this page answers only to the names {}: another name may be an attack by a page on the web"
)
_NOT_OURS = "other pages may not read this one"
_NO_TOKEN = "the token is missing: open the whole address that `hgcnas dashboard` printed"


def is_loopback(address: str) -> bool:
    """Whether a numeric address can be reached from this machine alone."""
    return ip_address(address.partition("%")[0]).is_loopback


def guarded(
    application: "WSGIApplication", hosts: Iterable[str], token: str | None
) -> "WSGIApplication":
    """The application for those who may read it.

    By DNS rebinding a page on the web can make its own name point here; the browser then sends that name as
    `Host`. Without a token, only the names of this machine are answered. With one, `Host` is free, as a
    machine does not know all its names: such a page lacks the cookie, which belongs to another name.

    Args:
        hosts: names that are answered without a token; ignored with one.
        token: comes once in the address, and is then kept as a cookie.
    """
    allowed = tuple(hosts)

    def serve(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        host, origin = environ.get("HTTP_HOST", ""), environ.get("HTTP_ORIGIN")
        if token is None and _name_of(host) not in allowed:
            return _refuse(start_response, _NOT_HERE.format(", ".join(allowed)))
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return _refuse(start_response, _NOT_OURS)
        if token is None:
            return application(environ, start_response)
        # All ports of a machine share its cookies.
        cookie = f"hgcnas-{environ['SERVER_PORT']}"
        if _is(token, _cookie(environ, cookie)):
            return application(environ, start_response)
        query = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        if environ["REQUEST_METHOD"] in ("GET", "HEAD") and _is(token, dict(query).get("token")):
            rest = urlencode([(key, value) for key, value in query if key != "token"])
            path = "/" + quote(environ.get("PATH_INFO", "").encode("latin-1")).lstrip("/")
            headers = [
                ("Location", f"{path}?{rest}" if rest else path),
                ("Set-Cookie", f"{cookie}={token}; Path=/; HttpOnly; SameSite=Strict"),
                ("Content-Length", "0"),
            ]
            start_response("303 See Other", headers)
            return []
        return _refuse(start_response, _NO_TOKEN)

    return serve


def _name_of(host: str) -> str:
    """A `Host` without its port, which differs behind an ssh tunnel."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is(token: str, given: str | None) -> bool:
    return given is not None and secrets.compare_digest(token.encode(), given.encode())


def _cookie(environ: "WSGIEnvironment", name: str) -> str | None:
    """A cookie by its name. Cookies of other programs may hold anything."""
    pairs = (pair.strip().partition("=") for pair in environ.get("HTTP_COOKIE", "").split(";"))
    return next((value for key, _, value in pairs if key == name), None)


def _refuse(start_response: "StartResponse", reason: str) -> Iterable[bytes]:
    body = f"{reason}\n".encode()
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response("403 Forbidden", headers)
    return [body]
