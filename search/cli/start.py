"""The console script: the command line, if what it needs is installed."""

import sys

from hgcnet.errors import MissingPackageError
from search.installed import check_installed


def main() -> None:
    """As `search.cli.app.main`, whose imports a light install lacks: there it says so, exit code 2."""
    try:
        check_installed("the command line")
    except MissingPackageError as error:
        print(f"hgcnas: {error}", file=sys.stderr)
        sys.exit(2)
    from search.cli.app import main as run_command

    run_command()
