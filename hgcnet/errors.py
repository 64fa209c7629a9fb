"""Mistakes that a person can mend. The command line prints them in one line and exits with 2.

UserError
├── ArchitectureError   an architecture file or preset name that cannot be used
├── StudyFileError      a study file with one or more mistakes
├── SpaceError          a search space in which nothing meets the limits, or an architecture outside it
├── DataError           a data set that is absent, unreadable or too small
└── RunError            a run folder, storage or study in the wrong state for what was asked
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
