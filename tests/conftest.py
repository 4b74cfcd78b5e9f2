"""Fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from repro.data.sources import load_registry


@lru_cache(maxsize=1)
def _data_root_or_reason() -> tuple[Path | None, str]:
    value = os.environ.get("SRGAN_DATA", "")
    if not value:
        return None, "SRGAN_DATA is not set"
    root = Path(value).resolve()
    if not root.is_dir():
        return None, f"SRGAN_DATA={value} is not a folder"
    files = load_registry().files
    missing = sum(1 for file in files if not file.under(root).is_file())
    if missing:
        # a download that was interrupted, or the empty default folder that `make test` exports
        reason = f"{missing} of {len(files)} files are missing (python -m repro data fetch)"
        return None, f"SRGAN_DATA={value}: {reason}"
    return root, ""


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The data root of the real images; the test is skipped, with the reason, where there is none."""
    root, reason = _data_root_or_reason()
    if root is None:
        pytest.skip(reason)
    return root


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of golden figures (tests/golden)."""
    return Path(__file__).resolve().parent / "golden"


@pytest.fixture
def light_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that train and do not ask how wide the discriminator is, nor how exact VGG's means are."""
    from train_helpers import NARROW

    monkeypatch.setattr("repro.methods.srgan.Discriminator", NARROW)
    monkeypatch.setattr("repro.train.run.STATISTICS_BATCHES", 1)  # of 16 crops: seconds each at conv5_4


@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    """Playwright, started; not for longer than a module, for it keeps asyncio busy."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked ``data`` are skipped, with the reason, where there is no data root."""
    root, reason = _data_root_or_reason()
    if root is None:
        for item in items:
            if item.get_closest_marker("data") is not None:
                item.add_marker(pytest.mark.skip(reason=reason))
