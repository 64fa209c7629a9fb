"""The code that workers run: this process's, whatever lies in the folder in which it was called."""

from typing import Any

from search.workers.ray_inside import without_folders_of_driver

import ray  # isort: skip - after what keeps it silent
from ray.job_config import JobConfig
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hgcnet.errors import RunError
from search.versions import code_digest, digest_of_sources, own_packages
from search.workers.reasons import reason_of_traceback

_CODE = "HGCNAS_CODE"  # of workers that were given ours: its digest


def options_with_code() -> dict[str, Any]:
    """For `ray.init`: every worker of the job imports the packages as this process has them.

    Left to itself Ray puts the folder in which the driver was called before all else that its workers
    import from, and then a `search.py` or another checkout that lies there is what trains.

    Raises:
        RunError: the sources have changed since this process first looked at them.
    """
    if digest_of_sources() != code_digest():
        raise RunError(
            "the sources of hgcnas have changed since this Python began, and workers would run other code than it; "
            "begin anew (in a notebook: restart the kernel)"
        )
    packages = list(own_packages())
    return {
        "runtime_env": {"py_modules": packages, "env_vars": {_CODE: code_digest()}},
        "job_config": without_folders_of_driver(JobConfig()),
    }


def check_code_of_workers() -> None:
    """Refuses a Ray that was initialised before, if its workers would import other code than this process.

    Raises:
        RunError: says what they have.
    """
    env = ray.get_runtime_context().runtime_env
    if _CODE in (env.get("env_vars") or {}):
        return  # within a block of ours
    own = code_digest()
    for node in ray.nodes():  # type: ignore[no-untyped-call]
        if not node["Alive"]:
            continue
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        look = ray.remote(digest_of_sources).options(
            num_cpus=0, scheduling_strategy=there, max_retries=0
        )
        try:
            found = ray.get(look.remote())
        except ray.exceptions.RayError as error:
            wrong = f"cannot import hgcnas's code: {reason_of_traceback(str(error))}"
        else:
            if found == own:
                continue
            wrong = f"have other code of hgcnas ({found}) than this process ({own})"
        raise RunError(
            f"the workers of the Ray that this process initialised {wrong}; leave ray.init to hgcnas, which "
            "gives them this code, or call it in a folder without files of these names: "
            "search.py, space.py, hgcnet.py"
        )
