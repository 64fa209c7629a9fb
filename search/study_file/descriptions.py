"""The descriptions of study file keys: the strings below the fields of the dataclasses that hold them."""

import ast
import inspect
import textwrap
from collections.abc import Mapping
from dataclasses import MISSING, fields
from itertools import pairwise
from typing import Any


def descriptions_of(kind: type[Any]) -> Mapping[str, str]:
    """The description of each field of a dataclass: the string below it, in one line.

    Python does not keep such strings, so this reads the source.
    """
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for above, below in pairwise(body.body):
        match above, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = " ".join(text.split())
    return {field.name: found[field.name] for field in fields(kind) if field.name in found}


def described(schema: dict[str, Any], kind: type[Any]) -> dict[str, Any]:
    """Gives a table's JSON Schema, in place, descriptions and defaults of the dataclass that holds it."""
    schema["description"] = " ".join((kind.__doc__ or "").split())
    texts = descriptions_of(kind)
    for field in fields(kind):
        if field.name in texts:
            of = schema["properties"][field.name]
            of["description"] = texts[field.name]
            if field.default is not MISSING and field.default is not None:
                of.setdefault("default", field.default)
    return schema
