"""What is wrong with a document, in one line for each error: pydantic's errors in our words."""

import math
from collections.abc import Callable
from datetime import date, time
from typing import Any

from pydantic_core import ErrorDetails

from hgcnet.errors import shown, shown_key


def take_out_unusable(value: Any, unusable: dict[str, str], path: str = "") -> Any:
    """The value, with None for what TOML has and JSON, as which the tables are checked, has not.

    `unusable` gets what is wrong with each such value by its path.
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
        reason = "the integer has more than the 64 bits of TOML's"
    elif isinstance(value, date | time):
        reason = f"{value} is a date or a time, which no key takes; texts need quotes"
    if reason is None:
        return value
    unusable[path] = reason
    return None


def error_lines(details: ErrorDetails, known_keys: Callable[[str], list[str]]) -> list[str]:
    """One of pydantic's errors as lines `key.path: what is wrong`.

    `known_keys` gives the keys of a table by its name, "" for the whole file. A check of ours can
    report several errors of one table at once (`PydanticCustomError` of the type "errors").
    """
    path, places = "", details["loc"]
    if places[:1] == ("objectives",):
        places = places[:2] + places[3:]  # without the tag: a name or a table
    for part in places:
        path += f"[{part}]" if isinstance(part, int) else f".{shown_key(part)}"
    path = path.lstrip(".")
    if details["type"] == "errors":
        return [f"{path}.{error}" for error in details["ctx"]["errors"]]
    return [f"{path}: {_reason(details, known_keys)}"]


def _reason(details: ErrorDetails, known_keys: Callable[[str], list[str]]) -> str:
    given, context = shown(details["input"]), details.get("ctx", {})
    match details["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden" | "unexpected_keyword_argument":
            table = str(details["loc"][0]) if len(details["loc"]) > 1 else ""
            return f"unknown key; known are {', '.join(known_keys(table))}"
        case "literal_error":
            return f"{given} is not one of {context['expected']}"
        case "string_pattern_mismatch":
            return f"{given} is not 1 to 100 letters, digits, - and _"
        case "greater_than":
            return f"{given} is not above {context['gt']:.10g}"
        case "greater_than_equal":
            return f"{given} is below {context['ge']:.10g}"
        case "less_than_equal":
            return f"{given} is above {context['le']:.10g}"
        case "too_long":
            return f"{context['actual_length']} values are more than {context['max_length']}"
        case "dataclass_type" | "dataclass_exact_type":
            return f"{given} is not a table"
        case "tuple_type" if details["loc"] == ("objectives",):
            return f"{given} is not a list of metrics"
        case "union_tag_not_found":
            return f"{given} is neither the name of a metric nor a table"
        case "tuple_type":
            return f"{given} is not a list"
        case "string_type":
            return f"{given} is not a text in quotes"
        case "int_type" | "int_from_float":
            return f"{given} is not an integer"
        case "float_type":
            return f"{given} is not a number"
        case "bool_type":
            return f"{given} is not true or false"
        case _:
            return f"{given} is not {details['msg'].removeprefix('Input should be ')}"
