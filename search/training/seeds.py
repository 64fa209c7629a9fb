"""The seeds of a study, of its trainings and of the trainings beside it, each for a named purpose.

Stored results come from these seeds: a change here makes every training a different one.
"""

import hashlib

import numpy as np

_PAIRED = 0x5EED  # keeps these seeds apart from the others that are drawn from a study's seed


def sampler_seed(seed: int, rows: int) -> int:
    """Changes with the rows stored, or a resumed sampler would repeat its proposals."""
    return int(np.random.SeedSequence([seed, rows]).generate_state(1)[0])


def training_seed(seed: int, fingerprint: str) -> int:
    """Of a network in a study: the same whenever it is trained, so that a retry gives the same result."""
    return int(hashlib.sha256(f"{seed} {fingerprint}".encode()).hexdigest()[:15], 16)


def table_seed(seed: int, fingerprint: str, repetition: int) -> int:
    """Of a network in a table: at first (repetition 0) the study's own, then one that differs."""
    return training_seed(seed, f"second {fingerprint}" if repetition else fingerprint)


def reference_seed(seed: int, fingerprint: str, repetition: int) -> int:
    """Of the longer training that proxies are compared with: no proxy trains with it."""
    return training_seed(seed, f"reference {repetition} {fingerprint}")


def paired_seeds(seed: int, repetitions: int) -> tuple[int, ...]:
    """Shared by all networks, so that they can be compared in pairs; with more repetitions the
    first seeds stay the same.

    No study trains with them: its seeds come from the networks' fingerprints.
    """
    states = np.random.SeedSequence([seed, _PAIRED]).generate_state(repetitions, np.uint64)
    return tuple(int(state) >> 1 for state in states)
