"""Reasons of failures: one line, no escapes of terminals, and the cause is in it."""

import traceback

import pytest

from search.workers.reasons import (
    MAX_REASON,
    causes_of_traceback,
    one_reason,
    reason_of,
    reason_of_traceback,
)


def raised(length: int = 0) -> Exception:
    """As it comes out of a training: what could not be done, and why."""
    try:
        try:
            open("/nowhere/at all")  # noqa: PTH123, SIM115
        except OSError as error:
            raise ValueError("cannot\nbegin" + length * "x") from error
    except ValueError as error:
        return error
    raise AssertionError


CHAIN = "ValueError: cannot begin, caused by FileNotFoundError: [Errno 2] No such file or directory: '/nowhere/at all'"


def test_an_exception_is_told_with_what_it_was_raised_from() -> None:
    assert reason_of(raised()) == CHAIN
    assert reason_of(KeyError("x")) == "KeyError: 'x'"


def test_a_printed_traceback_is_told_as_its_exception_would_be() -> None:
    text = "".join(traceback.format_exception(raised()))
    assert reason_of_traceback(text) == CHAIN
    assert causes_of_traceback(text) == [CHAIN.partition("caused by ")[2]]
    assert causes_of_traceback("Traceback: ...") == []
    assert reason_of_traceback("no traceback at all") == "no traceback at all"


def test_a_circle_of_causes_ends() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert reason_of(first) == "ValueError: a, caused by ValueError: b"


@pytest.mark.parametrize("length", [MAX_REASON, 10_000])
def test_a_long_reason_keeps_its_beginning_and_its_cause(length: int) -> None:
    reason = reason_of(raised(length))
    assert len(reason) == MAX_REASON
    assert reason.startswith("ValueError: cannot beginxxx")
    assert reason.endswith("caused by " + CHAIN.partition("caused by ")[2])


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("\x1b[36mray::Act.__init__()\x1b[39m (pid=3)", "ray::Act.__init__() (pid=3)"),
        ("\x1b[1;31mred\x1b[0m\n  \x1b]0;title\x07end", "red end"),
        ("\x1bEnext \x1b alone \x07", "next \\x1b alone \\x07"),
        ("größer als 1 µm", "größer als 1 µm"),
    ],
)
def test_nothing_is_kept_that_only_a_terminal_understands(text: str, kept: str) -> None:
    assert one_reason(text) == kept
