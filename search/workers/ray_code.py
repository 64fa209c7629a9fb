"""Has workers run this process's code, whatever the current folder contains."""

from typing import Any

from search.workers.ray_inside import without_folders_of_driver

import ray  # isort: skip - after what keeps it silent
from ray.job_config import JobConfig
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hgcnet.errors import RunError
from search.versions import code_digest, digest_of_sources, own_packages
from search.workers.reasons import reason_of_traceback

_CODE = "HGCNAS_CODE"  # in workers that have our code: its digest


def options_with_code() -> dict[str, Any]:
    """Options of `ray.init`: every worker of the job imports the packages of this process.

    By default Ray puts the driver's current folder first on its workers' import path: a `search.py`
    or another checkout in it would be imported instead.

    Raises:
        RunError: the sources have changed since this process first looked at them.
    """
    if digest_of_sources() != code_digest():
        raise RunError(
            "restart Python (in a notebook: the kernel): the sources of hgcnas have changed since it "
            "started, so workers would run different code"
        )
    packages = list(own_packages())
    return {
        "runtime_env": {"py_modules": packages, "env_vars": {_CODE: code_digest()}},
        "job_config": without_folders_of_driver(JobConfig()),
    }


def check_code_of_workers() -> None:
    """Refuses a Ray that is already initialised, if its workers would import other code than this process.

    Raises:
        RunError: says which code they have.
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
            wrong = f"have different code of hgcnas ({found}) than this process ({own})"
        raise RunError(
            f"the workers of the Ray that this process initialised {wrong}; leave ray.init to hgcnas, or "
            "call it in a folder without search.py, space.py and hgcnet.py"
        )
