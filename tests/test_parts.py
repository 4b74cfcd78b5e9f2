"""A checkpoint in parts is the checkpoint again, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from repro.core import tensorfile
from repro.core.errors import UserError
from repro.core.parts import joined, part, split


def _checkpoint(path: Path) -> bytes:
    torch.manual_seed(0)
    tensors = {
        "a": torch.randn(300, 7), "b": torch.zeros(0, 3), "c": torch.tensor(5), "d": torch.randn(40),
        "e": torch.arange(17, dtype=torch.uint8),
    }  # fmt: skip
    tensorfile.save(path, tensors, {"done": 3, "config": {"x": [1, 2]}})
    return path.read_bytes()


@pytest.mark.parametrize("limit", [500, 4_000, 10**6])
def test_there_and_back(tmp_path: Path, limit: int) -> None:
    path = tmp_path / "checkpoint.safetensors"
    whole = _checkpoint(path)
    split(path, 100)
    count = split(path, limit)
    assert count == -(-8600 // limit) or limit == 500
    parts = sorted(tmp_path.glob("checkpoint.part*"))
    assert len(parts) == count
    assert all(sum(t.nbytes for t in tensorfile.load(p)[0].values()) <= limit for p in parts)
    path.unlink()
    assert joined(path)
    assert path.read_bytes() == whole


def test_missing_and_mixed_parts_are_told(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    assert not joined(path)
    _checkpoint(path)
    split(path, 4_000)
    path.unlink()
    kept = part(path, 1).read_bytes()
    part(path, 1).unlink()
    with pytest.raises(UserError, match="part001"):
        joined(path)
    part(path, 1).write_bytes(kept)
    _checkpoint(path)
    tensorfile.save(path, tensorfile.load(path)[0], {"done": 4})
    other = tmp_path / "other" / path.name
    other.parent.mkdir()
    path.rename(other)
    split(other, 4_000)
    part(path, 2).write_bytes(part(other, 2).read_bytes())
    with pytest.raises(UserError, match="another split"):
        joined(path)
