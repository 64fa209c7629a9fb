"""What only the newest versions of torch name: a CPU's bfloat16, and the failure of a device."""

from functools import cache
from pathlib import Path

import torch

_CPU = Path("/proc/cpuinfo")


@cache
def cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bfloat16; False if Linux does not list the CPU's features."""
    # torch.cpu.get_capabilities says it, too, but older versions that we support lack it.
    if not _CPU.exists():
        return False
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(_CPU.read_text(encoding="utf-8").split())


def is_of_accelerator(error: BaseException | None) -> bool:
    """Whether an error says that the device failed: its process can then do nothing more."""
    # torch 2.6 and 2.7 have no type of its own for it, only the text.
    kind = getattr(torch, "AcceleratorError", None)
    if kind is not None:
        return isinstance(error, kind)
    return isinstance(error, RuntimeError) and str(error).startswith("CUDA error: ")
