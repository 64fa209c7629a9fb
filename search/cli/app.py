"""The command line: the commands put together, and where errors of people are caught."""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from hgcnet.errors import UserError
from search.cli import network_commands, retraining_commands, simulation_commands, study_commands
from search.cli.arguments import complain

app = typer.Typer(
    name="hgcnas",
    help="Searches for the HGCNets with the best accuracy for their FLOPs.\n\n"
    "A study file (TOML) declares the search space. `hgcnas run` trains short proxies of its network_commands "
    "and keeps every result in runs/NAME; the same command continues a study that was interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    if debug:
        os.environ["HGCNAS_DEBUG"] = "1"


# In this order they stand in --help.
COMMANDS: dict[str, Callable[..., None]] = {
    "run": study_commands.run,
    "list": study_commands.list_studies,
    "status": study_commands.status,
    "report": study_commands.report,
    "dashboard": study_commands.dashboard,
    "export": study_commands.export,
    "enqueue": study_commands.enqueue,
    "confirm": retraining_commands.confirm,
    "compare": retraining_commands.compare,
    "fidelity": retraining_commands.fidelity,
    "tabulate": simulation_commands.tabulate,
    "simulate": simulation_commands.simulate,
    "train": network_commands.train,
    "describe": network_commands.describe,
    "export-onnx": network_commands.export_graph,
}
for name, command in COMMANDS.items():
    app.command(name=name)(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """The console command: exit code 2 for a error of the user's, 1 for a failure."""
    try:
        code = app(arguments, standalone_mode=False) or 0
    except UserError as error:
        complain(str(error))
        code = 2
    except typer.Abort:
        code = 130
    except KeyboardInterrupt:
        code = 130
    except typer.Exit as error:
        code = error.exit_code
    except Exception as error:  # the last line of defence: a traceback helps only those who ask
        if hasattr(error, "format_message"):  # a wrong command line
            complain(error.format_message())
            code = 2
        else:
            complain(
                f"{type(error).__name__}: {error} (a fault of hgcnas, not of yours; "
                "`hgcnas --debug COMMAND ...` shows where)"
            )
            code = 1
        if os.environ.get("HGCNAS_DEBUG"):
            traceback.print_exc()
    sys.exit(code)
