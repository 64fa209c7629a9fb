"""Mistakes that a person can mend. The command line prints them in one line and exits with 2.

UserError
├── ArchitectureError   an architecture file or preset name that cannot be used
├── StudyFileError      a study file with one or more mistakes
├── SpaceError          a search space in which nothing meets the limits, or an architecture outside it
├── DataError           a data set that is absent, unreadable or too small
├── RunError            a run folder, storage or study in the wrong state for what was asked
└── MissingPackageError something was asked for that needs a package which is not installed
"""


class UserError(Exception):
    """Says what is wrong, where, and what would be right."""


class ArchitectureError(UserError):
    """An architecture file or preset name that cannot be used."""


class StudyFileError(UserError):
    """A study file with one or more mistakes, one a line."""


class SpaceError(UserError):
    """A space in which nothing meets the limits, or an architecture outside the space."""


class DataError(UserError):
    """A data set that is absent, unreadable or too small."""


class RunError(UserError):
    """A run folder, storage or study in the wrong state for what was asked."""


class MissingPackageError(UserError):
    """Something was asked for that needs a package which is not installed."""

    def __init__(self, purpose: str, package: str, extra: str | None = None) -> None:
        install = f"hgcnas[{extra}]" if extra else package
        super().__init__(f"{purpose} needs the package {package}: pip install '{install}'")
