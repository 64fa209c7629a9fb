"""The seeds of trainings."""

import hashlib


def training_seed(seed: int, fingerprint: str) -> int:
    """The same for the same network, so that a repeated training gives the same result."""
    return int(hashlib.sha256(f"{seed} {fingerprint}".encode()).hexdigest()[:15], 16)
