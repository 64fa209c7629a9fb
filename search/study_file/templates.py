"""The study files that come with hgcnas, for people to start from."""

import re
from pathlib import Path

import search
from hgcnet.atomic_write import make_folder, replace_file, writing
from hgcnet.errors import RunError
from search.study_file.schema import NAME

# In an installed copy they lie in the package, in a clone of the repository beside it.
_PLACES = (Path(search.__file__).parent / "studies", Path(search.__file__).parents[1] / "studies")


def find_templates() -> dict[str, Path]:
    """The files by name."""
    folder = next(place for place in _PLACES if place.is_dir())
    return dict(sorted((path.stem, path) for path in folder.glob("*.toml")))


def write_template(name: str, path: Path | None = None) -> Path:
    """Writes a study file to start from, with its comments; returns where. The study is named as the file.

    Args:
        path: by default NAME.toml in this folder.

    Raises:
        RunError: there is no template of that name, or the file already exists.
    """
    templates = find_templates()
    if name not in templates:
        raise RunError(f"{name}: is not one of {', '.join(templates)}")
    path = Path(f"{name}.toml") if path is None else path
    if path.exists():
        raise RunError(f"{path}: already exists; give another name: hgcnas init {name} FILE.toml")
    # (Its schema lies beside the template only.)
    text = re.sub(r"^#:schema .*\n", "", templates[name].read_text(encoding="utf-8"))
    if re.fullmatch(NAME, path.stem):
        text = re.sub(r"^name = .*", f'name = "{path.stem}"', text, flags=re.MULTILINE)
    with writing(path):
        make_folder(path.parent)
        replace_file(path, text.encode())
    return path
