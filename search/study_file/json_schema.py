"""The JSON Schema of study files, for editors: made from the types that check them."""

from typing import Any

from search.study_file.reading import ADAPTER
from space.declaration import parameters_schema


def study_file_schema() -> dict[str, Any]:
    """What a study file may be, as a JSON Schema, but for what no key shows alone.

    An editor that is told of it (`#:schema schema.json` in the first line of a study file, for Taplo and
    Even Better TOML) completes and checks the keys.
    """
    schema = _without_null(ADAPTER.json_schema(mode="validation"))
    schema["properties"]["space"] = parameters_schema()
    schema["required"].append("space")
    for table in (schema, *schema["$defs"].values()):
        table["additionalProperties"] = False
    version = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": version, **schema, "title": "A study file of hgcnas"}


def _without_null(schema: Any) -> Any:
    """TOML has none: a key without a value is left out. Titles that only repeat a key go, too."""
    if isinstance(schema, list):
        return [_without_null(item) for item in schema if item != {"type": "null"}]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _without_null(value) for key, value in schema.items() if value is not None}
    if isinstance(kept.get("title"), str):
        del kept["title"]
    return kept
