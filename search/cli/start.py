"""The console script: the command line, if its packages are installed."""

import sys

from hgcnet.errors import MissingPackageError
from search.installed import check_installed
from search.stop_signals import StopSignal, stoppable_command


def main() -> None:
    """Runs `search.cli.app.main`. A light install lacks its packages: one line and exit code 2."""
    try:
        check_installed("the command line")
    except MissingPackageError as error:
        print(f"hgcnas: {error}", file=sys.stderr)
        sys.exit(2)
    try:
        with stoppable_command():
            from search.cli.app import main as run_command
    except StopSignal as stop:
        print(f"hgcnas: {stop}", file=sys.stderr)
        sys.exit(stop.exit_code)
    run_command()
