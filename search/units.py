"""Durations and counts as text."""

from datetime import timedelta


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    return str(timedelta(seconds=round(min(seconds, 1e12))))


def count_text(value: float) -> str:
    """55521264 -> 55.5M; three digits below a thousand of the largest unit, at most."""
    for unit, size in (("", 1), ("k", 1e3), ("M", 1e6)):
        if value < 999.5 * size:  # what would round to 1000 has the next unit
            return f"{value / size:.3g}{unit}" if unit else f"{value:.0f}"
    return f"{value / 1e9:.3g}G" if value < 999.5e9 else f"{value / 1e9:.0f}G"
