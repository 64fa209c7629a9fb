"""Which numbers a training computes with: float32, or bfloat16 under autocast."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from search.training.proxy_config import Precision


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware; emulated, it would be slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))


def computes_in_bf16(precision: Precision, device: torch.device) -> bool:
    """Whether losses and logits are computed in bfloat16; "auto" is bf16 where there is hardware."""
    return precision == "bf16" or (precision == "auto" and has_bf16(device))


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    """The context in which to compute losses and logits."""
    if computes_in_bf16(precision, device):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()
