"""The errors of a document, one line each: pydantic's errors in our words."""

import math
from collections.abc import Callable
from datetime import date, time
from typing import Any

from pydantic_core import ErrorDetails

from hgcnet.errors import shown, shown_key


def take_out_unusable(value: Any, unusable: dict[str, str], path: str = "") -> Any:
    """The value, with None for what TOML can hold and JSON cannot: the tables are checked as JSON.

    `unusable` gets the error of each such value, by its path.
    """
    reason = None
    if isinstance(value, dict):
        paths = {key: f"{path}.{shown_key(key)}".lstrip(".") for key in value}
        return {key: take_out_unusable(value[key], unusable, paths[key]) for key in value}
    if isinstance(value, list):
        items = enumerate(value)
        return [take_out_unusable(item, unusable, f"{path}[{index}]") for index, item in items]
    if isinstance(value, float) and not math.isfinite(value):
        reason = f"{value} is not a finite number"
    elif isinstance(value, int) and value.bit_length() > 63:
        reason = "the integer does not fit into the 64 bits of TOML"
    elif isinstance(value, date | time):
        reason = f"{value} is a date or a time, which no key takes; put texts in quotes"
    if reason is None:
        return value
    unusable[path] = reason
    return None


def error_line(details: ErrorDetails, known_keys: Callable[[str], list[str]]) -> str:
    """One of pydantic's errors as a line `key.path: what is wrong`.

    `known_keys` gives the keys of a table by its path, "" for the whole file.
    """
    path, places, kind = "", details["loc"], details["type"]
    if places[:1] == ("objectives",):
        places = places[:2] + places[3:]  # without the tag: a name or a table
    if places[:1] == ("limits",):
        places = places[:2] + places[3:]  # a number or a band
    for part in places:
        path += f"[{part}]" if isinstance(part, int) else f".{shown_key(part)}"
    if kind == "tuple_type" and places == ("objectives",):
        kind = "objectives_type"
    table = ".".join(str(place) for place in places[:-1] if isinstance(place, str))
    known = ", ".join(known_keys(table))
    said = details["msg"].removeprefix("Input should be ")
    values = details.get("ctx", {}) | {
        "given": shown(details["input"]),
        "known": known,
        "said": said,
    }
    return f"{path.lstrip('.')}: {_REASONS.get(kind, '{given} is not {said}').format(**values)}"


_REASONS = {
    "missing": "is missing",
    "extra_forbidden": "unknown key; known are {known}",
    "unexpected_keyword_argument": "unknown key; known are {known}",
    "literal_error": "{given} is not one of {expected}",
    "string_pattern_mismatch": "{given} is not 1 to 100 letters, digits, - and _",
    "greater_than": "{given} is not above {gt:.10g}",
    "greater_than_equal": "{given} is below {ge:.10g}",
    "less_than_equal": "{given} is above {le:.10g}",
    "too_long": "{actual_length} values are more than {max_length}",
    "unfit": "{given} {said}",  # of our own checks
    "band": "{said}",
    "dataclass_type": "{given} is not a table",
    "dataclass_exact_type": "{given} is not a table",
    "objectives_type": "{given} is not a list of metrics",
    "union_tag_not_found": "{given} is neither the name of a metric nor a table",
    "tuple_type": "{given} is not a list",
    "string_type": "{given} is not a text in quotes",
    "int_type": "{given} is not an integer",
    "int_from_float": "{given} is not an integer",
    "float_type": "{given} is not a number",
    "bool_type": "{given} is not true or false",
}
