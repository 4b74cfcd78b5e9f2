"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def _data_root_or_reason() -> tuple[Path | None, str]:
    value = os.environ.get("SRGAN_DATA", "")
    if not value:
        return None, "SRGAN_DATA is not set"
    root = Path(value).resolve()
    if not root.is_dir():
        return None, f"SRGAN_DATA={value} is not a folder"
    # the default folder (`make test` exports SRGAN_DATA=data) after a download without a network: a lock file
    if not any(not entry.name.startswith(".") for entry in root.iterdir()):
        return None, f"SRGAN_DATA={value} is empty"
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked ``data`` are skipped, with the reason, where there is no data root."""
    root, reason = _data_root_or_reason()
    if root is None:
        for item in items:
            if item.get_closest_marker("data") is not None:
                item.add_marker(pytest.mark.skip(reason=reason))
