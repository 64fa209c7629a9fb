"""The reference of study files in Markdown: a table for each table, made from the JSON Schema."""

import json
from collections.abc import Mapping
from typing import Any

from search.study_file.descriptions import descriptions_of
from search.study_file.json_schema import study_file_schema
from space.parameters import Growth

_TABLES = (  # in the order in which people write them
    *("budget", "data", "space", "limits", "objectives"),
    *("sampler", "early_stopping", "proxy", "workers"),
)
_MOST_IN_A_COLUMN = 6
_INTRODUCTION = """\
# Study file reference

A study file is TOML. These are all keys, made from the types that check them by `hgcnas schema --markdown`. Keys
without a default are required; `-` marks a key that may be left out. A wrong study file stops before anything starts,
with one line for each error. After the start, only `[budget]` and `[workers]` may change.

With `#:schema schema.json` in its first line, an editor completes, explains and checks the keys (Even Better TOML in
VS Code, or Taplo). `hgcnas schema > schema.json` writes that file beside your own studies.
"""
_DECLARATIONS = """\
A parameter of the space is one of

```toml
depth = 6                                             # fixed
depth = [7, 7, 6]                                     # fixed, one value for each stage
depth = { choice = [2, 4, 8] }                        # a choice, the same for all stages
depth = { low = 2, high = 14, per_stage = true }      # a range, for each stage on its own; step = 1
growth = { base = { choice = [8, 12] }, schedule = "linear" }   # a growth schedule
```

`low` and `high` are both included. If `stages` varies, a list needs a value for each of the largest number of stages.
The last stage needs a pixel: five stages after a stem of stride 4 need a resolution of 63. A growth schedule has the
growth of the first stage as its `base`, and one or a choice of these:
"""


def study_file_reference() -> str:
    """The document `studies/reference.md`."""
    schema = study_file_schema()
    tables = {name: _resolved(schema, schema["properties"][name]) for name in _TABLES}
    objective = tables["objectives"] = schema["$defs"]["Objective"]
    first_lines = {key: of for key, of in schema["properties"].items() if not _is_table(schema, of)}
    first = {"properties": first_lines, "required": schema["required"]}
    parts = [_INTRODUCTION, "## The first lines\n", _rows(schema, first)]
    for name, table in tables.items():
        heading = f"[[{name}]]" if table is objective else f"[{name}]"
        parts += [f"## {heading}\n", table["description"] + "\n"]
        if name == "space":
            parts += [_DECLARATIONS + descriptions_of(Growth)["schedule"] + "\n"]
        parts += [_rows(schema, table)]
    return "\n".join(parts)


def _is_table(schema: Mapping[str, Any], declared: Mapping[str, Any]) -> bool:
    return bool(_resolved(schema, declared).get("properties"))


def _resolved(schema: Mapping[str, Any], declared: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference names, or the declaration itself."""
    name = str(declared.get("$ref", "")).rpartition("/")[2]
    return schema["$defs"][name] if name else declared


def _rows(schema: Mapping[str, Any], table: Mapping[str, Any]) -> str:
    lines = ["| key | type | default | |", "|---|---|---|---|"]
    for key, of in table["properties"].items():
        default = f"`{json.dumps(of['default'])}`" if "default" in of else ""
        if not default and key not in table.get("required", ()):
            default = "-"
        kind = "one of the names below" if _is_long(of) else _type(of)
        lines.append(f"| `{key}` | {kind} | {default} | {of['description']} |")
    lists = [f"\n`{key}`: {_type(of)}" for key, of in table["properties"].items() if _is_long(of)]
    return "\n".join([*lines, *lists]) + "\n"


def _is_long(of: Mapping[str, Any]) -> bool:
    """Whether a column of the table is too narrow for the values."""
    return len(of.get("enum", ())) > _MOST_IN_A_COLUMN


def _type(of: Mapping[str, Any]) -> str:
    """The type of a value as text, such as "integer, at least 1"."""
    if "enum" in of:
        return ", ".join(f"`{value}`" for value in of["enum"])
    if ways := of.get("anyOf"):  # of a parameter of the space: the first is the bare value
        forms = ["fixed", "choice"]
        forms += ["range"] if any("low" in way.get("properties", {}) for way in ways) else []
        forms += ["schedule"] if any("base" in way.get("properties", {}) for way in ways) else []
        per_stage = "; also per stage" if any(way.get("type") == "array" for way in ways) else ""
        return f"{_type(ways[0])}: {', '.join(forms[:-1])} or {forms[-1]}{per_stage}"
    if ways := of.get("oneOf"):
        return ", or ".join(map(_type, ways))
    match of.get("type"):
        case "array":
            return f"list of {_type(of['items'])}"
        case "integer" | "number" as number:
            return f"{number}{_bounds(of)}"
        case "boolean":
            return "`true`, `false`"
        case "string":
            return "text"
    return "a table"


def _bounds(of: Mapping[str, Any]) -> str:
    low, high = of.get("minimum"), of.get("maximum")
    above = of.get("exclusiveMinimum")
    if above == 0 and of["type"] == "integer":
        low, above = 1, None
    bounds = [f"above {above}"] if above is not None else []
    bounds += [f"at least {low}"] if low is not None and high is None else []
    bounds += [f"{low} to {high:,.10g}"] if low is not None and high is not None else []
    bounds += [f"at most {high:,.10g}"] if low is None and high is not None else []
    return f", {', '.join(bounds)}" if bounds else ""
