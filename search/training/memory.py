"""Memory of a training: held to a share of a GPU, and told from other errors where it runs out."""

import torch

# What the driver and torch's libraries take of a GPU for each process, beside its tensors.
_CONTEXT_BYTES = 600 * 2**20


def set_memory_share(gpus: float) -> None:
    """Holds this process to its share of the GPU: what asks for more is out of memory."""
    total = torch.cuda.mem_get_info()[1]
    share = min(1.0, gpus) - _CONTEXT_BYTES / total
    torch.cuda.set_per_process_memory_fraction(max(0.0, share))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the GPU's or the machine's memory is used up."""
    # torch has no type of its own for the machine's memory.
    of_machine = isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    return of_machine or isinstance(error, torch.OutOfMemoryError | MemoryError)
