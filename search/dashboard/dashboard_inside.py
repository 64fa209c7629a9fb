"""What is used of Optuna Dashboard beyond its public interface; seen in Optuna Dashboard 0.18 to 0.21.

It shows notes, graphs and files that are system attributes of the study: here is their form.

Its own `save_note` and `save_plotly_graph_object` write the same form, but do not fit. They take notes of
running trials alone, and a trial is on the front only once it has finished. They rewrite everything each
time. They write the version of a note before its text: a driver that is killed in between leaves half a
note that counts as a new one.
"""

import json
from collections.abc import Mapping
from typing import Any

import optuna

from search.versions import warn_moved

SEEN = "optuna-dashboard 0.18 to 0.21"
PIECE = 2045  # characters of an attribute that the dashboard reads

Attributes = dict[str, Any]


def note(trial_id: int | None, text: str, stored: Mapping[str, Any]) -> Attributes:
    """The attributes of a note on a trial, or on the study (None).

    The version tells an open page that the text has changed. It comes last, so that a note is shown only
    when it is complete.
    """
    version_key = _version_key(trial_id)
    pieces = _pieces(_text_key(trial_id), text, stored)
    version = int(stored.get(version_key, 0))
    is_new = version == 0 or any(stored.get(key) != piece for key, piece in pieces.items())
    return pieces | {version_key: version + is_new}


def has_note(trial_id: int, stored: Mapping[str, Any]) -> bool:
    """Whether a trial has a note."""
    return _version_key(trial_id) in stored


def num_notes(stored: Mapping[str, Any]) -> int:
    """How many trials have a note."""
    return sum(key.endswith(":note_ver") for key in stored) - (_version_key(None) in stored)


def graph(name: str, figure: str, stored: Mapping[str, Any]) -> Attributes:
    """The attributes of a figure of plotly, given as its JSON."""
    return _pieces(f"dashboard:plot_data:{name}:", figure, stored)


def artifact(trial_id: int, identity: str, filename: str, mimetype: str) -> Attributes:
    """The attribute of a file, which is stored under its identity among the artifacts.

    (It could be one of the trial; but a finished trial takes no attributes.)
    """
    facts = {"artifact_id": identity, "filename": filename, "mimetype": mimetype, "encoding": None}
    return {f"dashboard:artifacts:{trial_id}:{identity}": json.dumps(facts)}


def check_is_shown(study: optuna.Study, stored: Mapping[str, Any]) -> None:
    """Warns if this Optuna Dashboard reads notes in another form than this one."""
    import optuna_dashboard  # it takes a second to load

    prefix = _text_key(None)
    pieces = [stored[key] for key in (f"{prefix}{n}" for n in range(len(stored))) if key in stored]
    read = getattr(optuna_dashboard, "get_note", lambda study: None)
    if _version_key(None) in stored and read(study) != "".join(pieces):
        name = "note in the form of this study's"
        warn_moved("optuna-dashboard", name, SEEN, "notes, graphs and files may be missing")


def _version_key(trial_id: int | None) -> str:
    return "dashboard:note_ver" if trial_id is None else f"dashboard:{trial_id}:note_ver"


def _text_key(trial_id: int | None) -> str:
    return _version_key(trial_id).replace("note_ver", "note_str:")


def _pieces(prefix: str, text: str, stored: Mapping[str, Any]) -> Attributes:
    """A text in pieces; pieces left of a longer text become empty."""
    starts = range(0, len(text), PIECE)
    pieces = {f"{prefix}{n}": text[start : start + PIECE] for n, start in enumerate(starts)}
    return pieces | {key: "" for key in stored if key.startswith(prefix) and key not in pieces}
