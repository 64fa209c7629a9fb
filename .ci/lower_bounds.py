"""Prints the lower bounds of pyproject.toml as constraints: "torch>=2.6" as "torch==2.6"."""

import re
import tomllib
from pathlib import Path

path = Path(__file__).parents[1] / "pyproject.toml"
project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
# Development tools may have any version.
used = [text for extra, texts in extras.items() if extra != "dev" for text in texts]
for text in [*project["dependencies"], *used]:
    if bound := re.match(r"([\w.-]+)(?:\[.*\])?>=([\w.]+)", text):
        print(f"{bound[1]}=={bound[2]}")
