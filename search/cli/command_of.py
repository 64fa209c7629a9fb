"""Makes commands of typed functions: arguments from the signature, helps from the docstring.

The tables below hold what a signature cannot say (limits, short spellings, the environment): by parameter,
or by FUNCTION.PARAMETER for one function alone.
"""

import inspect
import math
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any, get_args

import typer
from rich.markup import escape

from hgcnet.errors import RunError
from search import api
from search.cli.completion import COMPLETED
from search.cli.printing import Said, err, out, print_json, say
from search.data.data_config import DataConfig
from search.study_file.descriptions import descriptions_of
from search.study_file.schema import MAX_EPOCHS, MAX_RESOLUTION, MAX_TRIALS, MIN_RESOLUTION
from search.training.proxy_config import ProxyConfig

_METAVARS = {
    "study": "STUDY.toml",
    "data": "STUDY.toml|FOLDER|FILE.npz",
    "run": "RUN",
    "network": "ARCH.toml|PRESET|FOLDER",
    "model": "FOLDER",
    "paths": "PATHS",
    "init.name": "NAME",
    "init.file": "FILE.toml",
    "enqueue.network": "ARCH.toml|PRESET",
}
_SPELLINGS = {
    "output": "-o --output",
    "from_model": "--from",
    "open_page": "--open",
    "proxies": "--proxy",
    "as_json": "--json",
}
_ENVIRONMENT = {"storage": "HGCNAS_STORAGE", "ray_address": "RAY_ADDRESS"}
_LIMITS: dict[str, tuple[float, float | None]] = {  # other numbers are at least 1
    "trials": (1, MAX_TRIALS),
    "trial": (0, None),
    "epochs": (1, MAX_EPOCHS),
    "seeds": (1, 1000),
    "simulate.seeds": (1, 10_000),
    "seed": (0, 2**32 - 1),
    "learning_rate": (1e-9, 1e3),
    "weight_decay": (0, 1e3),
    "resolution": (MIN_RESOLUTION, MAX_RESOLUTION),
    "networks": (3, 1_000_000),
    "measure_fidelity.networks": (3, 10_000),
    "near_front": (0, 1_000_000),
    "reference_seeds": (1, 100),
    "workers": (1, 100_000),
    "port": (0, 65535),
    "grace": (1, 86_400),
}
_LAST = ["runs", "storage", "ray_address", "as_json"]  # in --help
_FILLED_IN = ("observe", "result", "say")  # by the command itself
_JSON = "print one JSON document and nothing else."


def command_of(
    function: Callable[..., Any],
    words: Callable[..., Said] | None = None,
    showing: Callable[..., AbstractContextManager[Any]] | None = None,
) -> Callable[..., None]:
    """A command that calls a function and prints its result, also as JSON.

    Args:
        function: its parameters are arguments and options of the command.
        words: turns the function's `result` into what is printed. It takes the options that it names, also
            those that the function does not have. Without it the function returns what is printed.
        showing: a context manager that yields the function's `observe` and shows the progress on `console`.
            It takes the options that it names.
    """

    def command(as_json: bool = False, **given: Any) -> None:
        with ExitStack() as stack:
            if showing is not None:
                given["console"] = console = err if as_json else out
                given["say"] = partial(console.print, soft_wrap=True)
                given["observe"] = stack.enter_context(_call(showing, given))
            result = _call(function, given)
        document, lines = result if words is None else _call(words, given | {"result": result})
        if as_json:
            print_json(document)
        else:
            say(*lines)

    return _declare(command, function, *([] if words is None else [words]))


def printing_command(function: Callable[..., None]) -> Callable[..., None]:
    """A command of a function that prints by itself."""
    return _declare(lambda **given: function(**given), function)


def _call(function: Callable[..., Any], given: Mapping[str, Any]) -> Any:
    """Calls a function with those of the values that it has a parameter for."""
    names = inspect.signature(function).parameters
    return function(**{name: value for name, value in given.items() if name in names})


def _declare(command: Callable[..., None], *functions: Callable[..., Any]) -> Callable[..., None]:
    """Adds the parameters of functions to a command's own; their docstrings become its help."""
    parameters: dict[str, inspect.Parameter] = {}
    keys = {**descriptions_of(DataConfig), **descriptions_of(ProxyConfig)}
    explained = keys | _explanations(api.__doc__) | {"as_json": _JSON}
    for function in (*functions, command):
        explained |= _explanations(inspect.getdoc(function))
        for name, parameter in inspect.signature(function).parameters.items():
            if name not in _FILLED_IN and parameter.kind is not parameter.VAR_KEYWORD:
                parameters.setdefault(name, parameter)
    names = sorted(parameters, key=lambda name: _LAST.index(name) if name in _LAST else -1)
    owner = functions[0].__name__
    declared = [_declaration(parameters[name], owner, explained.get(name, "")) for name in names]
    command.__signature__ = inspect.Signature(declared)  # type: ignore[attr-defined]
    command.__doc__ = escape("\n\n".join(map(_description, functions)))
    return command


def _declaration(parameter: inspect.Parameter, owner: str, text: str) -> inspect.Parameter:
    """A parameter in typer's form: an argument if it has a metavar, else an option."""
    name, default, kind = parameter.name, parameter.default, parameter.annotation
    metavar = _METAVARS.get(f"{owner}.{name}", _METAVARS.get(name))
    is_number = {int, float} & {kind, *get_args(kind)}
    limits = _LIMITS.get(f"{owner}.{name}", _LIMITS.get(name, (1, None)))
    low, high = limits if is_number else (None, None)
    completed = COMPLETED.get(f"{owner}.{name}", COMPLETED.get(name))
    kind, parser = _READ.get(name, (Path if Path in get_args(kind) else kind, None))
    text = escape(text[:1].upper() + text[1:])  # `[workers]` is no style of Rich
    if parser is not None and default:
        default = ",".join(default)
    default = ... if default is parameter.empty else default
    declared = (
        typer.Argument(default, metavar=metavar, help=text, autocompletion=completed)
        if metavar
        else typer.Option(
            default,
            *_SPELLINGS.get(name, f"--{name.replace('_', '-')}").split(),
            help=text,
            min=low,
            max=high,
            envvar=_ENVIRONMENT.get(name),
            parser=parser,
            autocompletion=completed,
        )
    )
    return inspect.Parameter(name, parameter.KEYWORD_ONLY, default=declared, annotation=kind)


def _explanations(docstring: str | None) -> dict[str, str]:
    """The `Args:` of a docstring by name."""
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", docstring or "", re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


def _description(function: Callable[..., Any]) -> str:
    """The prose of a docstring, without examples and sections; each paragraph in one line."""
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    is_prose = re.compile(r"(?! |(Args|Returns|Raises):)").match
    return "\n\n".join(" ".join(text.split()) for text in paragraphs if is_prose(text))


def _proxy_settings(text: str) -> dict[str, int]:
    """ "epochs=4,resolution=12" -> the settings by name."""
    known = ("epochs", "resolution", "train_images", "batch_size")
    settings: dict[str, int] = {}
    for part in text.split(","):
        key, _, value = part.strip().partition("=")
        if key not in known or not re.fullmatch(r"[0-9]{1,9}", value):
            keys = ", ".join(known)
            raise RunError(f"--proxy {text}: {part!r} is not KEY=NUMBER, with KEY one of {keys}")
        low, high = _LIMITS.get(key, (1, 10**9))
        if not low <= int(value) <= (high or math.inf):
            raise RunError(f"--proxy {text}: {key}: {value} is not between {low} and {high}")
        settings[key] = int(value)
    return settings


# Parameters that are not of their annotated type on a command line: the type there, and a text's parser.
_READ: dict[str, tuple[Any, Callable[[str], Any] | None]] = {
    "samplers": (str, lambda text: [name.strip() for name in text.split(",")]),
    "proxies": (list[str], _proxy_settings),
    "paths": (list[Path], None),
}
