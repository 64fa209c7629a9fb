"""Who may read the dashboard: by the name that a browser asks for, by its origin, by a token."""

from collections.abc import Iterable
from typing import Any

import pytest

from search.dashboard.guard import LOOPBACK_NAMES, guarded, is_loopback


def application(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [b"the study"]


def ask(
    token: str | None = None, path: str = "/dashboard", **environ: str
) -> tuple[str, dict[str, str]]:
    """The status and the headers of an answer; a content that is the study's comes with 200 alone."""
    answer: list[Any] = []
    path, _, query = path.partition("?")
    environ = {
        "REQUEST_METHOD": "GET",
        "SERVER_PORT": "8080",
        "HTTP_HOST": "127.0.0.1:8080",
        "PATH_INFO": path,
        "QUERY_STRING": query,
    } | environ
    content = guarded(application, LOOPBACK_NAMES, token)(
        environ,
        lambda status, headers: answer.extend((status, dict(headers))),  # type: ignore[arg-type, return-value]
    )
    assert (b"".join(content) == b"the study") == (answer[0] == "200 OK")
    return answer[0], answer[1]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8080", "localhost:8080", "localhost:9999", "LOCALHOST", "[::1]:8080", "127.0.0.1"],
)
def test_the_names_of_this_machine_are_answered_at_any_port(host: str) -> None:
    assert ask(HTTP_HOST=host)[0] == "200 OK"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost.evil",
        "",
        "[",
        "10.0.0.1",
    ],
)
def test_another_name_for_this_machine_is_refused(host: str) -> None:
    assert ask(HTTP_HOST=host)[0] == "403 Forbidden"


def test_pages_of_other_origins_are_refused_and_its_own_are_not() -> None:
    assert ask(HTTP_ORIGIN="http://127.0.0.1:8080")[0] == "200 OK"
    for origin in ("http://evil.example", "http://127.0.0.1:8081", "null", ""):
        assert ask(HTTP_ORIGIN=origin)[0] == "403 Forbidden"
    assert ask("secret", HTTP_ORIGIN="null", HTTP_COOKIE="hgcnas-8080=secret")[0] == "403 Forbidden"


def test_a_token_is_asked_for_once_and_then_a_cookie() -> None:
    far = {"HTTP_HOST": "gpu-box.lan:8080"}
    for path in (
        "/dashboard",
        "/dashboard?token=",
        "/api/studies/1?token=wrong",
        "/dashboard?token=\xe4",
    ):
        assert ask("secret", path, **far)[0] == "403 Forbidden"
    status, headers = ask("secret", "/dashboard/studies/1?a=b%20c&token=secret", **far)
    assert status == "303 See Other"
    assert headers["Location"] == "/dashboard/studies/1?a=b+c"
    cookie, *attributes = headers["Set-Cookie"].split("; ")
    assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Strict"}
    assert ask("secret", HTTP_COOKIE=f'other={{"a"}}; {cookie}; b=c', **far)[0] == "200 OK"
    for wrong in ("hgcnas-8080=wrong", "hgcnas-8081=secret", "secret", ""):
        assert ask("secret", HTTP_COOKIE=wrong, **far)[0] == "403 Forbidden"


def test_a_token_changes_nothing_by_a_post_and_leads_nowhere_else() -> None:
    assert ask("secret", "/a?token=secret", REQUEST_METHOD="POST")[0] == "403 Forbidden"
    assert (
        ask("secret", "//evil.example/a\r\nb?token=secret")[1]["Location"]
        == "/evil.example/a%0D%0Ab"
    )


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("fe80::1%eth0", False),
    ],
)
def test_what_is_reached_from_here_alone(address: str, loopback: bool) -> None:
    assert is_loopback(address) is loopback
