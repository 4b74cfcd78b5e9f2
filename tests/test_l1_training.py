"""SRFBN, SAN and Meta-SR in the training loop: they learn, resume exactly, and skip steps where told to."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from train_helpers import small_data

from repro.core import tensorfile
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.data.samples import Sample
from repro.inference.loading import load_network
from repro.methods import method
from repro.methods.config import RunConfig
from repro.methods.variants import configure
from repro.train.execution import make_step
from repro.train.log import read_lines
from repro.train.run import Prepared, prepare, train
from repro.train.step import Step

TINY = {
    "SRFBN-S": {"channels": 8, "groups": 2, "steps": 2},
    "SAN": {"channels": 16, "groups": 1, "blocks": 1, "reduction": 4},
    "Meta-SR": {"channels": 8, "growth": 8, "blocks": 1, "layers": 2, "hidden": 8},
}


def _config(variant: str, **changes: object) -> RunConfig:
    settings = {
        "updates": 6,
        "batch_size": 2,
        "crop_hr": 96,
        "precision": "float32",
        "log_every": 1,
        "validate_every": 6,
        "sample_every": 6,
        "checkpoint_every": 2,
        "warmup_updates": 0,
    }
    values = (settings | TINY[variant] | changes).items()
    return configure(variant, "quick").with_settings([f"{name}={value}" for name, value in values])


def _prepared(folder: Path, config: RunConfig) -> Prepared:
    data = small_data(folder / "data")
    return prepare(config, Results(folder / "results"), data, None, {}, torch.device("cpu"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("variant", "changes"),
    [
        ("SRFBN-S", {"skip_above": 1.01, "learning_rate": 0.01}),
        ("SRFBN-S", {"degradation": "DN", "curriculum_steps": 1}),
    ],
)
def test_stop_and_resume_equals_the_straight_run(
    variant: str, changes: dict[str, object], tmp_path: Path
) -> None:
    config = _config(variant, **changes)
    straight, stopped = (_prepared(tmp_path / name, config) for name in ("straight", "stopped"))
    assert train(straight)
    calls = 0
    while not train(stopped, max_minutes=0.0):
        calls += 1
    assert calls == 5
    for name in ("generator.safetensors", "checkpoint.safetensors"):
        assert (straight.folder / name).read_bytes() == (stopped.folder / name).read_bytes()
    loaded = load_network(straight.folder / "generator.safetensors")
    assert loaded.method is method(config.method)
    losses = [
        line["l1_1" if variant == "SRFBN-S" else "l1"]
        for line in read_lines(straight.folder / "log.jsonl")
        if "learning_rate" in line
    ]
    assert len(losses) == 6
    assert all(1 < loss < 200 for loss in losses)  # grey levels


def _step(config: RunConfig) -> Step:
    how = method(config.method)
    return make_step(config, how, how.build(config), torch.device("cpu"), bfloat16=False).eager


def _sample(brightness: float = 0.5) -> Sample:
    generator = torch.Generator().manual_seed(0)
    smooth = torch.rand((2, 3, 4, 4), generator=generator)
    hr = torch.nn.functional.interpolate(smooth, size=48, mode="bicubic") * 2 * brightness
    lr = torch.nn.functional.interpolate(hr, size=12, mode="area")
    return Sample(lr, hr * 2 - 1, 4)


def test_a_loss_that_jumps_makes_no_step() -> None:
    step = _step(_config("SRFBN-S", skip_above=1.5))
    good, bad = _sample(), _sample()
    bad = bad._replace(hr_pm1=-bad.hr_pm1.sign())

    def weights() -> list[torch.Tensor]:
        return [p.detach().clone() for p in step.modules["generator"].parameters()]

    def changed(k: int, sample: Sample) -> tuple[bool, float]:
        before = weights()
        loss = sum(value.item() for value in step(k, sample).values())
        return any(not torch.equal(a, b) for a, b in zip(before, weights(), strict=True)), loss

    moved, first = changed(0, good)
    assert moved
    moved, loss = changed(1, bad)
    assert loss >= 1.5 * first
    assert not moved
    assert step.accepted["generator"].item() == pytest.approx(
        first, rel=1e-6
    )  # of the last step that was made
    moved, _ = changed(2, good)
    assert moved
    without = _step(_config("SRFBN-S", skip_above=0.0))
    assert without.accepted == {}


def test_the_last_accepted_loss_is_in_the_checkpoint(tmp_path: Path) -> None:
    prepared = _prepared(tmp_path, _config("SRFBN-S"))
    assert train(prepared)
    tensors, _ = tensorfile.load(prepared.folder / "checkpoint.safetensors")
    assert tensors["accepted.generator"] > 0


def test_training_runs_at_other_scales() -> None:
    for variant, scale, crop in (("SRFBN-S", 2, 32), ("SRFBN-S", 3, 33), ("SRFBN-S", 8, 64), ("SAN", 3, 36)):
        config = _config(variant, scale=scale, crop_hr=crop)
        sample = Sample(torch.rand(2, 3, crop // scale, crop // scale), torch.rand(2, 3, crop, crop), scale)
        assert all(torch.isfinite(value) for value in _step(config)(0, sample).values())


@pytest.mark.parametrize("variant", TINY)
def test_bfloat16_training_stays_near_float32(variant: str) -> None:
    config = _config(variant)
    how, sample = method(config.method), _sample()
    step = make_step(config, how, how.build(config), torch.device("cpu"), bfloat16=True).eager
    exact = _step(config)(0, sample)
    for name, value in step(0, sample).items():
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(exact[name].item(), rel=0.02)


@pytest.mark.parametrize(
    ("variant", "settings", "says"),
    [
        ("Meta-SR", ["scale=3", "crop_hr=120"], "scale = 3"),
        ("SAN", ["scale=5", "crop_hr=120"], "SAN at scale = 5"),
        ("SRFBN", ["curriculum_steps=1"], "has no effect here"),
        ("SAN", ["steps=4"], "unknown setting 'steps'"),
    ],
)
def test_settings_without_effect_are_refused(variant: str, settings: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        config = configure(variant, "quick").with_settings(settings)
        method(config.method).check_all(config)
