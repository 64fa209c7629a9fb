"""Durations and counts as text."""

from datetime import timedelta


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    return str(timedelta(seconds=round(min(seconds, 1e12))))


def count_text(value: float) -> str:
    """55521264 -> 55.5M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return (
                f"{value / size:.3g}{unit}" if value / size < 1000 else f"{value / size:.0f}{unit}"
            )
    return f"{value:.0f}"
