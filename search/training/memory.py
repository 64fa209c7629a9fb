"""Memory of a training: its share of a GPU, and the errors of running out of it."""

import math
from collections.abc import Iterable

import torch

from hgcnet.errors import RunError

# GPU memory of each process for the driver and torch's libraries, beside its tensors.
_CONTEXT_BYTES = 600 * 2**20
_LEAST_BYTES = 256 * 2**20  # that a training of a small network needs beside it


def least_share(gpu_bytes: int) -> float:
    """The smallest share of a GPU, in hundredths, that leaves a training room."""
    return math.ceil(100 * (_CONTEXT_BYTES + _LEAST_BYTES) / gpu_bytes) / 100


def check_share(gpus: float, source: str, gpu_bytes: Iterable[int]) -> None:
    """Refuses a share of a GPU in which every training would be out of memory.

    Args:
        gpu_bytes: the memory of the GPUs that there are; the smallest counts.

    Raises:
        RunError: names the key and the smallest share that works.
    """
    smallest = min(gpu_bytes, default=None)
    if smallest is None or not 0 < gpus < (least := least_share(smallest)):
        return
    right = f"give {least:g} or more" if least <= 1 else "this GPU is too small for any training"
    raise RunError(
        f"{source}: workers.gpus: {gpus:g} of a GPU with {smallest / 1e9:.1f} GB is too little, as CUDA "
        f"alone takes {_CONTEXT_BYTES / 1e9:.1f} GB in each process; {right}"
    )


def gpu_sizes() -> list[int]:
    """The bytes of each GPU that torch sees here."""
    count = torch.cuda.device_count()
    return [torch.cuda.get_device_properties(index).total_memory for index in range(count)]


def set_memory_share(gpus: float) -> None:
    """Limits this process to its share of the GPU's memory."""
    total = torch.cuda.mem_get_info()[1]
    share = min(1.0, gpus) - _CONTEXT_BYTES / total
    torch.cuda.set_per_process_memory_fraction(max(0.0, share))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the GPU's or the machine's memory is used up."""
    # torch has no type of its own for the machine's memory.
    of_machine = isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    return of_machine or isinstance(error, torch.OutOfMemoryError | MemoryError)
