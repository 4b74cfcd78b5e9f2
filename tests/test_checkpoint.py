"""Checkpoints are whole or not there, strict, and harmless."""

from pathlib import Path

import pytest
import torch

from repro.core import tensorfile as checkpoint
from repro.core.errors import UserError
from repro.methods.generator import Generator


def test_round_trip_is_exact(tmp_path: Path) -> None:
    tensors = {"a": torch.rand(3, 2), "b": torch.tensor(float("nan")), "c": torch.arange(3)}
    checkpoint.save(tmp_path / "c.safetensors", tensors, {"done": 3})
    loaded, metadata = checkpoint.load(tmp_path / "c.safetensors")
    assert metadata == {"done": 3}
    assert all(torch.equal(loaded[k].nan_to_num(7), tensors[k].nan_to_num(7)) for k in tensors)
    assert [p.name for p in tmp_path.iterdir()] == ["c.safetensors"]


def test_a_failed_save_is_an_error_and_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.safetensors"
    checkpoint.save(path, {"a": torch.zeros(1)}, {})
    before = path.read_bytes()

    def full(tensors: object, name: Path, header: object) -> None:
        name.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(path, {"a": torch.ones(1)}, {})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["c.safetensors"]


@pytest.mark.parametrize("damage", ["cut", "junk", "empty", "missing", "foreign"])
def test_damaged_files_are_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "c.safetensors"
    checkpoint.save(path, {"a": torch.zeros(100)}, {})
    data = path.read_bytes()
    if damage == "foreign":
        from safetensors.torch import save_file

        save_file({"a": torch.zeros(1)}, path)
    elif damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"cut": data[:-10], "junk": b"\xff" * 50, "empty": b""}[damage])
    with pytest.raises(UserError):
        checkpoint.load(path)


@pytest.mark.parametrize("change", ["missing", "surplus", "shape"])
def test_weights_that_do_not_fit_are_refused(change: str) -> None:
    generator = Generator(1)
    state = checkpoint.module_state("generator", generator)
    if change == "missing":
        del state["generator.head.weight"]
    elif change == "surplus":
        state["generator.extra"] = torch.zeros(1)
    else:
        state["generator.head.weight"] = torch.zeros(1)
    with pytest.raises(UserError, match="do not fit"):
        checkpoint.restore_module("generator", generator, state)


def test_adam_state_is_restored_strictly() -> None:
    def trained() -> tuple[torch.nn.Module, torch.optim.Adam]:
        torch.manual_seed(0)
        module = torch.nn.Linear(3, 2)
        adam = torch.optim.Adam(module.parameters(), fused=True)
        for _ in range(3):
            module(torch.ones(1, 3)).sum().backward()
            adam.step()
        return module, adam

    module, adam = trained()
    state = {k: v.clone() for k, v in checkpoint.adam_state("adam", adam).items()}
    other = torch.nn.Linear(3, 2)
    other.load_state_dict(module.state_dict())
    restored = torch.optim.Adam(other.parameters(), fused=True)
    checkpoint.restore_adam("adam", restored, state)
    for model, optimiser in ((module, adam), (other, restored)):
        optimiser.zero_grad()
        model(torch.full((1, 3), 0.3)).square().sum().backward()
        optimiser.step()
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), other.parameters(), strict=True))
    state.pop("adam.0.exp_avg")
    with pytest.raises(UserError, match="parameter 0"):
        checkpoint.restore_adam("adam", restored, state)
