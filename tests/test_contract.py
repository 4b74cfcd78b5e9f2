"""What every registered method keeps, whatever it is: the contract of repro.methods.base."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from contract import SMALL, small_run
from train_helpers import host_batches, modules_of, small_data, small_dataset

from repro.core import tensorfile
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.core.settings import leaves
from repro.inference.loading import load_network, trained_upscaler
from repro.inference.upscaler import Options
from repro.methods import DIRECT, METHODS, direct, method
from repro.methods.variants import PROFILES, config_from_dict, configure, deviations, trainable
from repro.train.execution import make_step
from repro.train.run import VGGSource, prepare, train
from repro.train.schedule import learning_rate

CPU = torch.device("cpu")
VARIANTS = [name for key in METHODS for name in method(key).variants]


def test_every_method_has_a_small_setting_for_these_tests() -> None:
    assert set(SMALL) == set(METHODS)


@pytest.mark.parametrize("variant", VARIANTS)
def test_configurations_stand_and_are_told(variant: str) -> None:
    for profile in PROFILES:
        config = configure(variant, profile)
        method(config.method).check(config)
        assert (config.variant, config.profile) == (variant, profile)
        assert config_from_dict(config.as_dict()) == config
    assert deviations(configure(variant, "paper")) == []
    assert method(config.method).citation
    assert method(config.method).declared


@pytest.mark.parametrize("variant", VARIANTS)
def test_wrong_settings_are_refused(variant: str) -> None:
    config = trainable()[variant]
    for setting in ("optimiser=lion", "updates=0", "learning_rate=inf", "batch_size=nan", "no_such_thing=1"):
        with pytest.raises(UserError):
            config.with_settings([setting])
    for path, value in leaves(config):
        if isinstance(value, int | float) and not isinstance(value, bool):
            with pytest.raises(UserError):
                config.with_settings([f"{path}=nan"])
            with pytest.raises(UserError):
                config.with_settings([f"{path}=-1"])


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_builds_and_the_loss_falls_on_one_crop(
    variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_run(variant)
    how, modules = modules_of(config)
    learning = {update.module for update in how.updates(config)}
    assert learning <= set(modules)
    _, again = modules_of(config)
    for name in set(again) & learning - {"discriminator"}:  # the seed decides, not the call
        for a, b in zip(modules[name].parameters(), again[name].parameters(), strict=True):
            assert torch.equal(a, b)
    step = make_step(config, how, modules, CPU, bfloat16=False).eager
    images = small_dataset(tmp_path)
    regions = images if "regions" in how.asks(config) else None  # pixels in the place of labels
    sample = host_batches(images, config, regions=regions).make(0)
    first = how.updates(config)[-1] if len(learning) > 1 else how.updates(config)[0]
    values: list[float] = []
    for k in range(SMALL[config.method].get("falls_after", 12)):
        step.set_learning_rate(config.schedule.learning_rate)
        step(k, sample)
        with torch.no_grad():
            outputs = how.forward(step.modules, sample)
            target = sample.hr_pm1 if outputs.target is None else outputs.target
        values.append(float((outputs.sr.float() - target).abs().mean()))
    assert first.terms
    assert np.mean(values[-3:]) < np.mean(values[:3]), values
    if how.recordable(config):  # what a CUDA graph holds sends nothing from the host
        for sends in ("as_tensor", "from_numpy", "tensor"):
            monkeypatch.setattr(torch, sends, None)
        step.descend(0, sample)


@pytest.mark.usefixtures("light_training")
@pytest.mark.parametrize("variant", VARIANTS)
def test_checkpoint_and_exact_resume_then_files_and_upscaling(variant: str, tmp_path: Path) -> None:
    config = small_run(variant, updates=3)
    how = method(config.method)
    data = small_data(tmp_path / "packed")
    if "regions" in how.asks(config):
        data = replace(data, regions=data.training)
    start = {}
    for name, other in how.start_modules(config).items():
        begun = small_run(other) if other in trainable() else None  # a ranker is no upscaler
        path = tmp_path / f"{name}.safetensors"
        module = method(begun.method).build(begun)["generator"] if begun else how.build(config)[name]
        tensorfile.save(path, tensorfile.module_state("generator", module), {"notes": []})
        start[name] = path
    source = VGGSource(allow_random=True)
    straight = prepare(config, Results(tmp_path / "a"), data, source, start, CPU)
    assert train(straight)
    stopped = prepare(config, Results(tmp_path / "b"), data, source, start, CPU)
    calls = 0
    while not train(stopped, max_minutes=0.0):
        calls += 1
    assert calls == 2
    for file in ("generator.safetensors", "checkpoint.safetensors", "log.jsonl"):
        assert (straight.folder / file).read_bytes() == (stopped.folder / file).read_bytes(), file
    if "reference" in how.needs:
        return  # upscaling with a reference image has tests of its own
    loaded = load_network(straight.generator)
    assert loaded.method is how
    scale = int(loaded.scale)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((17, 23), (20, 40))]
    whole = trained_upscaler(straight.generator, Options("cpu", tile=0))(images)
    for image, result in zip(images, whole, strict=True):
        assert result.shape == (scale * image.shape[0], scale * image.shape[1], 3)
    if how.radius(loaded.network) is not None:
        parts = trained_upscaler(straight.generator, Options("cpu", tile=16))(images)
        for a, b in zip(whole, parts, strict=True):
            assert np.abs(a.astype(int) - b).max() <= 2
            assert (a != b).mean() < 0.01
    exported = how.exported(loaded.network, loaded.scale)
    x = torch.rand(1, exported.channels, 9, 8)
    with torch.no_grad():
        assert exported.module(x).ndim == 4
    assert exported.words


@pytest.mark.parametrize("name", list(DIRECT))
def test_methods_without_networks(name: str) -> None:
    how = direct(name)
    assert how.key == name
    image = np.random.default_rng(0).integers(0, 256, (9, 13, 3), dtype=np.uint8)
    for scale in how.scales:
        assert how.apply(image, scale).shape == (int(scale) * 9, int(scale) * 13, 3)


def test_learning_rates_are_finite_and_positive() -> None:
    for variant in VARIANTS:
        for profile in PROFILES:
            schedule = configure(variant, profile).schedule
            rates: list[Any] = [
                learning_rate(schedule, k) for k in np.linspace(0, schedule.updates - 1, 9).astype(int)
            ]
            assert all(0 < rate < 1 for rate in rates), (variant, profile)
