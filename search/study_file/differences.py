"""Where two documents differ, such as the study file of a started study and the one that is given."""

from typing import Any


def first_difference(stored: Any, given: Any, path: str = "") -> tuple[str, Any, Any] | None:
    """The first key, and its two values, in which a study file differs from the stored one.

    `[budget]` and `[workers]` may differ.
    """
    if isinstance(stored, dict) and isinstance(given, dict):
        keys = sorted(stored.keys() | given.keys())
        if not path:
            keys = [key for key in keys if key not in ("budget", "workers")]
        parts = [(f"{path}.{key}".lstrip("."), stored.get(key), given.get(key)) for key in keys]
    elif isinstance(stored, list) and isinstance(given, list) and len(stored) == len(given):
        pairs = enumerate(zip(stored, given, strict=True))
        parts = [(f"{path}[{index}]", old, new) for index, (old, new) in pairs]
    else:
        return None if stored == given else (path, stored, given)
    differences = (first_difference(old, new, key) for key, old, new in parts)
    return next((found for found in differences if found is not None), None)
