"""All uses of Optuna beyond its public interface; seen in Optuna 4.7 to 5.0.

Each says what happens if an Optuna has changed it.
"""

import optuna
from optuna.storages import BaseStorage, RDBStorage

from search.versions import warn_moved

SEEN = "optuna 4.7 to 5.0"


def cached(storage: RDBStorage) -> BaseStorage:
    """The storage behind Optuna's cache of finished trials, as `create_study` puts it.

    Without the cache every proposal reads all trials anew.
    """
    cache = getattr(optuna.storages, "_CachedStorage", None)
    if cache is None:
        name = "optuna.storages._CachedStorage"
        warn_moved("optuna", name, SEEN, "the more trials a study has, the longer each takes")
        return storage
    found: BaseStorage = cache(storage)
    return found


def close_storage(storage: RDBStorage) -> None:
    """Closes the connections. Without its engine they stay until the process ends."""
    storage.remove_session()
    engine = getattr(storage, "engine", None)
    if engine is None:
        warn_moved("optuna", "RDBStorage.engine", SEEN, "connections stay open")
    else:
        engine.dispose()
