"""Checkpoints are whole or not there, strict, and harmless."""

from pathlib import Path

import pytest
import torch

from repro.core import tensorfile as checkpoint
from repro.core.errors import UserError
from repro.methods.config import OptimiserSettings
from repro.methods.srgan import Generator
from repro.train.checkpoint import optimiser_state, restore_optimisers
from repro.train.optim import Optimisers, make_optimisers


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


@pytest.mark.parametrize("kind", ["adam", "sgd", "muon"])
def test_optimiser_state_is_restored_strictly(kind: str) -> None:
    x = torch.linspace(-1, 1, 16 * 25).view(1, 16, 5, 5)

    def made(module: torch.nn.Module) -> Optimisers:
        settings = OptimiserSettings(optimiser=kind)  # type: ignore[arg-type]
        return make_optimisers(module, settings, 1e-2, torch.device("cpu"))

    def update(module: torch.nn.Module, optimisers: Optimisers) -> None:
        optimisers.zero_grad()
        module(x).square().sum().backward()
        optimisers.step()

    torch.manual_seed(0)
    module = torch.nn.Conv2d(16, 16, 3)
    optimisers = made(module)
    for _ in range(3):
        update(module, optimisers)
    state = {k: v.clone() for k, v in optimiser_state("net", optimisers).items()}
    other = torch.nn.Conv2d(16, 16, 3)
    other.load_state_dict(module.state_dict())
    restored = made(other)
    restore_optimisers("net", restored, state)
    update(module, optimisers)
    update(other, restored)
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), other.parameters(), strict=True))
    state.pop(next(name for name in state if name.startswith(f"{kind}.net.0.") and "step" not in name))
    with pytest.raises(UserError, match="parameter 0"):
        restore_optimisers("net", restored, state)
