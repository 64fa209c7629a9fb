"""What is wrong with a document, in one line for each mistake: pydantic's errors in our words."""

import math
from collections.abc import Callable, Iterator
from datetime import date, time
from typing import Any

from pydantic_core import ErrorDetails


def unusable_values(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Paths of values that TOML has and JSON, as which the tables are checked, has not."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from unusable_values(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from unusable_values(item, f"{path}[{index}]")
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, f"{value} is not a finite number"
    elif isinstance(value, int) and value.bit_length() > 63:
        yield path, "the integer has more than the 64 bits of TOML's"
    elif isinstance(value, date | time):
        yield path, f"{value} is a date or a time, which no key takes; texts need quotes"


def describe(details: ErrorDetails, known_keys: Callable[[str], list[str]]) -> list[str]:
    """One of pydantic's errors as lines `key.path: what is wrong`.

    `known_keys` gives the keys of a table by its name, "" for the whole file. A check of ours can
    report several mistakes of one table at once (`PydanticCustomError` of the type "mistakes").
    """
    path = ""
    for part in details["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    if details["type"] == "mistakes":
        return [f"{path}.{mistake}" for mistake in details["ctx"]["mistakes"]]
    return [f"{path}: {_reason(details, known_keys)}"]


def _reason(details: ErrorDetails, known_keys: Callable[[str], list[str]]) -> str:
    given, context = details["input"], details.get("ctx", {})
    match details["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden" | "unexpected_keyword_argument":
            table = str(details["loc"][0]) if len(details["loc"]) > 1 else ""
            return f"unknown key; known are {', '.join(known_keys(table))}"
        case "literal_error":
            return f"{given!r} is not one of {context['expected']}"
        case "string_pattern_mismatch":
            return f"{given!r} is not 1 to 100 letters, digits, - and _"
        case "greater_than":
            return f"{given!r} is not above {context['gt']:.10g}"
        case "greater_than_equal":
            return f"{given!r} is below {context['ge']:.10g}"
        case "less_than_equal":
            return f"{given!r} is above {context['le']:.10g}"
        case "dataclass_type" | "dataclass_exact_type":
            return f"{given!r} is not a table"
        case "tuple_type" if details["loc"] == ("objectives",):
            return f"{given!r} is not a list of tables, each under [[objectives]]"
        case "tuple_type":
            return f"{given!r} is not a list"
        case "string_type":
            return f"{given!r} is not a text in quotes"
        case "int_type" | "int_from_float":
            return f"{given!r} is not an integer"
        case "float_type":
            return f"{given!r} is not a number"
        case "bool_type":
            return f"{given!r} is not true or false"
        case _:
            return f"{given!r} is not {details['msg'].removeprefix('Input should be ')}"
