"""Chromium, to see a page as people do."""

import shutil

import pytest

from tests.parts.processes import Processes

OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--virtual-time-budget=30000", "--window-size=1400,1400", "--dump-dom"),
)


def seen_by_browser(address: str, processes: Processes) -> str:
    """The document at an address after its scripts ran. Skips where there is no Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium on this machine")
    profile = f"--user-data-dir={processes.folder / 'profile'}"
    return processes.start(chromium, *OPTIONS, profile, address).succeed()
