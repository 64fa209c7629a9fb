"""Why a training failed, with its cause: one line for the database and for people."""

import re

MAX_REASON = 500  # characters

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_CHAINED = "The above exception was the direct cause of the following exception:"
_FRAME = re.compile(r'\s+(File ".*", line \d+.*|[~^ ]+)')


def reason_of(error: BaseException) -> str:
    """An exception with what it was raised from."""
    links, seen = [], set[int]()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        links.append(f"{type(link).__name__}: {link}")
        link = link.__cause__
    return one_reason(", caused by ".join(links))


def reason_of_traceback(text: str) -> str:
    """The exception of a printed traceback with what it was raised from."""
    parts = _without_escapes(text).split(_CHAINED)
    return one_reason(", caused by ".join(map(_exception_of, reversed(parts))))


def causes_of_traceback(text: str) -> list[str]:
    """What its exception was raised from, the nearest first."""
    parts = _without_escapes(text).split(_CHAINED)[:-1]
    return [one_reason(_exception_of(part)) for part in reversed(parts)]


def one_reason(text: str) -> str:
    """In one line, without what only a terminal understands. The middle of a long one is left out: its end
    is the cause."""
    line = " ".join(_without_escapes(text).split())
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
    if len(line) <= MAX_REASON:
        return line
    return f"{line[: MAX_REASON // 2 - 5]} ... {line[-MAX_REASON // 2 :]}"


def _without_escapes(text: str) -> str:
    return _ESCAPE.sub("", text)


def _exception_of(traceback: str) -> str:
    """The text below the last frame."""
    lines = traceback.strip("\n").splitlines()
    frames = [index for index, line in enumerate(lines) if _FRAME.fullmatch(line)]
    below = lines[frames[-1] + 1 :] if frames else lines
    while frames and below and below[0][:1].isspace():  # the frame's line of code
        del below[0]
    return " ".join(below or lines).strip()
