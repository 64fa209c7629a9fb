"""Which numbers a training computes with: float32, or bfloat16 under autocast."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from search.training.accelerator import cpu_has_bf16
from search.training.proxy_config import Precision


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware; emulated, it would be slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return cpu_has_bf16()


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    """The context in which to compute losses and logits; "auto" is bf16 where there is hardware."""
    if precision == "bf16" or (precision == "auto" and has_bf16(device)):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()
