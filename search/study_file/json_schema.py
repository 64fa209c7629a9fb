"""The JSON Schema of study files, for editors: made from the types that check them."""

from typing import Any

from search.data.data_config import DataConfig
from search.study_file.descriptions import described
from search.study_file.reading import ADAPTER
from search.study_file.schema import (
    Budget,
    EarlyStopping,
    Objective,
    SamplerConfig,
    Tables,
    Workers,
)
from search.training.proxy_config import ProxyConfig
from space.declaration import parameters_schema
from space.limits import Band, Limits
from space.parameters import Growth, Parameters

_KINDS = (
    Band,
    Budget,
    DataConfig,
    EarlyStopping,
    Limits,
    Objective,
    ProxyConfig,
    SamplerConfig,
    Workers,
)


def study_file_schema() -> dict[str, Any]:
    """The JSON Schema of study files, without the checks across keys.

    An editor that knows it (`#:schema schema.json` in the first line of a study file, for Taplo and
    Even Better TOML) completes, explains and checks the keys.
    """
    schema = described(_without_null(ADAPTER.json_schema(mode="validation")), Tables)
    space = schema["properties"]["space"] = described(parameters_schema(), Parameters)
    described(space["properties"]["growth"]["anyOf"][-1], Growth)
    schema["required"].append("space")
    for kind in _KINDS:
        described(schema["$defs"][kind.__name__], kind)
    for table in (schema, *schema["$defs"].values()):
        table["additionalProperties"] = False
    version = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": version, **schema, "title": "A study file of hgcnas"}


def _without_null(schema: Any) -> Any:
    """TOML has no null: a key without a value is left out. Titles only repeat the keys: they go, too."""
    if isinstance(schema, list):
        return [_without_null(item) for item in schema if item != {"type": "null"}]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _without_null(value) for key, value in schema.items() if value is not None}
    if isinstance(kept.get("title"), str):
        del kept["title"]
    if len(kept.get("anyOf", ())) == 1:
        kept |= kept.pop("anyOf")[0]
    return kept
