"""The command line: all commands in one, and the exit code of each error."""

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, cast

import typer

from hgcnet import __version__
from hgcnet.errors import UserError
from search import api
from search.cli import data_commands, network_commands, retraining_commands, study_commands
from search.cli.command_of import command_of, printing_command
from search.cli.printing import complain, err, say
from search.cli.terminal import (
    showing_epochs,
    showing_files,
    showing_predictions,
    showing_searches,
    showing_trainings,
)
from search.data.inspection import DataWarning
from search.stop_signals import StoppableCommand, StopSignal, stoppable_command
from search.versions import VersionWarning
from search.workers.resources import MachineWarning

app = typer.Typer(
    name="hgcnas",
    help="Searches for the HGCNets with the best accuracy for their FLOPs.\n\n"
    "A study file (TOML) declares the search space. `hgcnas run` trains its networks for a few epochs and "
    "keeps every result in runs/NAME. Rerun the same command to resume an interrupted study.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(asked: bool) -> None:
    if asked:
        say(f"hgcnas {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Print the traceback of an error.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_say_version, is_eager=True
        ),
    ] = False,
) -> None:
    if debug:
        os.environ["HGCNAS_DEBUG"] = "1"


# In the order of --help.
COMMANDS: dict[str, Callable[..., None]] = {
    "init": command_of(study_commands.init),
    "check-data": printing_command(data_commands.check_data),
    "run": printing_command(study_commands.run),
    "list": printing_command(study_commands.list_studies),
    "status": command_of(study_commands.status),
    "report": command_of(api.write_report, study_commands.report),
    "dashboard": printing_command(study_commands.dashboard),
    "export": command_of(api.export_architecture, study_commands.export),
    "enqueue": command_of(api.enqueue, study_commands.enqueue),
    "confirm": command_of(api.confirm, retraining_commands.confirm, showing_trainings),
    "compare": command_of(api.compare, retraining_commands.compare, showing_trainings),
    "fidelity": command_of(api.measure_fidelity, retraining_commands.fidelity, showing_trainings),
    "tabulate": command_of(api.tabulate, retraining_commands.tabulate, showing_trainings),
    "simulate": command_of(api.simulate, retraining_commands.simulate, showing_searches),
    "schema": command_of(study_commands.schema),
    "train": command_of(api.train, network_commands.train, showing_epochs),
    "predict": command_of(api.predict, network_commands.predict, showing_predictions),
    "describe": command_of(network_commands.describe),
    "export-onnx": command_of(network_commands.export_graph),
}
for name, command in COMMANDS.items():
    app.command(name=name)(command)


@contextmanager
def _saying_warnings() -> Iterator[None]:
    """Prints warnings about versions, data and machines as one line, once; others as Python does."""
    said: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("always", VersionWarning)
        warnings.simplefilter("always", DataWarning)
        warnings.simplefilter("always", MachineWarning)
        # joblib warns where there is no shared memory; hgcnas runs nothing by joblib.
        warnings.filterwarnings("ignore", module="joblib")
        print_other = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any) -> None:
            if not issubclass(category, VersionWarning | DataWarning | MachineWarning):
                print_other(message, category, *where)
            elif str(message) not in said:
                said.add(str(message))
                complain(str(message))

        warnings.showwarning = cast(Any, show)
        yield


def main(arguments: Sequence[str] | None = None) -> None:
    """The console command: exit code 2 for an error of the user's, 1 for a failure, 128 + the number of the
    signal that stopped it."""
    with stoppable_command() as command:
        code = _run(command, arguments)
    sys.exit(code)


def _run(command: StoppableCommand, arguments: Sequence[str] | None) -> int:
    """Runs the command line; its exit code."""
    try:
        with _saying_warnings(), showing_files(err):
            code = app(arguments, standalone_mode=False) or 0
            if command.stop is not None:
                # typer gives 130 for a command that was cut off; the others have reported the stop.
                code = _code_of(command.stop, say_it=code != 0)
    except UserError as error:
        complain(str(error))
        code = 2
    except (typer.Abort, KeyboardInterrupt):
        code = _code_of(command.stop or StopSignal(signal.SIGINT), say_it=True)
    except typer.Exit as error:
        code = error.exit_code
    except Exception as error:  # a traceback helps only those who ask for it
        of_a_wrong_line = getattr(error, "format_message", None)
        code = 2 if of_a_wrong_line else 1
        fault = (
            f"{type(error).__name__}: {error} (internal error; rerun as `hgcnas --debug COMMAND ...` "
            "and report it)"
        )
        complain(of_a_wrong_line() if of_a_wrong_line else fault)
        if os.environ.get("HGCNAS_DEBUG"):
            traceback.print_exc()
    return int(code)


def _code_of(stop: StopSignal, *, say_it: bool) -> int:
    """The exit code of a stopped command; prints the signal, unless it was Ctrl-C."""
    if say_it and stop.number != signal.SIGINT:
        complain(str(stop))
    return stop.exit_code
